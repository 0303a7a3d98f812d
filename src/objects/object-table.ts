/** What the records of an image share while they are collected: objrefs, and what only shows when all has been seen. */
import type { Blocker } from '../errors.ts';
import { Descriptions } from './descriptions.ts';
import type { Ending } from './ending.ts';
import { FileTables } from './file-tables.ts';
import type { ImageNode } from './object.ts';
import type { PipeHolders } from '../linux/proc/pipe-holders.ts';

/** What the caller knows and wants. */
export interface CollectionChoices {
  /** Numbers of descriptors that are left out. */
  readonly skipFds?: readonly number[] | undefined;
  /** Who had which pipe open just before. */
  readonly pipeHolders?: PipeHolders | undefined;
  /** TCP connections to outside the tree: not carried (default), kept, or come back as if the other end had reset them. */
  readonly connections?: 'refuse' | 'established' | 'close' | undefined;
  /** Given when the processes are to end after the checkpoint. */
  readonly ending?: Ending | undefined;
}

/** Objrefs: from 1, in order of first appearance; an object is described before or with its first user. */
export class ObjectTable implements Disposable {
  readonly descriptions: Descriptions = new Descriptions();
  /** The processes that the image is of. */
  readonly processes: readonly number[];
  /** Descriptor tables, of all processes. */
  readonly files: FileTables;
  /** Records about open files that may be described only later in the image; each is asked after each descriptor table. */
  readonly pending: Set<Pending> = new Set();
  /** objrefs of open files whose own locks are in the image. */
  readonly locked: Set<number> = new Set();
  readonly #known = new Map<string, number>();
  readonly #checks: (() => readonly Blocker[])[] = [];
  readonly #kept: Disposable[] = [];
  #next = 1;

  readonly choices: CollectionChoices;

  constructor(processes: readonly number[], choices: CollectionChoices = {}) {
    this.processes = processes;
    this.choices = choices;
    this.files = new FileTables(processes);
  }

  /** The next objref, for an object that the caller knows to be new. */
  next(): number {
    return this.#next++;
  }

  /** The objref of the object with this key, if it has been described. */
  find(key: string): number | undefined {
    return this.#known.get(key);
  }

  /** The objref of the object with this key; `describe` makes its record when it is met for the first time. */
  refer(key: string, describe: (objref: number) => ImageNode): { objref: number; before: ImageNode[] } {
    const known = this.#known.get(key);
    if (known !== undefined) return { objref: known, before: [] };
    const objref = this.next();
    this.#known.set(key, objref);
    return { objref, before: [describe(objref)] };
  }

  /** A check for when all processes have been collected. */
  atEnd(check: () => readonly Blocker[]): void {
    this.#checks.push(check);
  }

  /** What must live until then. */
  keep<T extends Disposable>(thing: T): T {
    this.#kept.push(thing);
    return thing;
  }

  /** Everything has been collected: what stands in the way, now that all is known. */
  finish(): Blocker[] {
    return this.#checks.flatMap((check) => check());
  }

  [Symbol.dispose](): void {
    for (const thing of this.#kept.splice(0).toReversed()) thing[Symbol.dispose]();
  }
}

/** Gives its record once everything that it refers to has an objref. */
export type Pending = () => ImageNode | undefined;
