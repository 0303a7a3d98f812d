import { headKind } from './head.ts';
import { type RecordKind, topLevel } from './kind.ts';
import { errorKind, tailKind } from './tail.ts';

/**
 * Which record may follow: the head first and once, the tail last and outside of everything, every other kind inside one
 * of its parents. The reader and the writer keep the same rules; only their errors differ.
 */
export class Nesting {
  readonly #open: RecordKind[] = [];
  readonly #maxDepth: number;
  #started = false;
  #ended = false;

  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth;
  }

  /** How many containers are open. */
  get depth(): number {
    return this.#open.length;
  }

  /** Name of the innermost open container, or 'image'. */
  get place(): string {
    return this.#open.at(-1)?.name ?? topLevel;
  }

  /** The tail or an error record was entered. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Enters a record; answers with what is wrong, and stays as it was, when it may not stand here. */
  enter(kind: RecordKind): string | undefined {
    if (this.#ended) return `A ${kind.name} record stands behind the end of the image`;
    if (!this.#started && kind !== headKind) return `The image begins with a ${kind.name} record instead of its head`;
    if (this.#started && kind === headKind) return 'A second head record stands in the image';
    const parent = this.place;
    // An image can fail anywhere.
    if (kind !== errorKind && !kind.parents.includes(parent)) return `A ${kind.name} record cannot stand in ${parent}`;
    if (kind.container && this.#open.length >= this.#maxDepth) return `Records are nested deeper than ${this.#maxDepth}`;
    this.#started = true;
    this.#ended = kind === tailKind || kind === errorKind;
    if (kind.container) this.#open.push(kind);
    return undefined;
  }

  /** Leaves the innermost container, undefined when none is open. */
  leave(): RecordKind | undefined {
    return this.#ended ? undefined : this.#open.pop();
  }
}

/** The shared objects that an image defined so far. */
export class SharedObjects {
  readonly #kinds = new Map<number, RecordKind>();

  /** What is wrong with giving the number to a record, undefined when it is free. */
  taken(objref: number, kind: RecordKind): string | undefined {
    const earlier = this.#kinds.get(objref);
    if (earlier === undefined) return undefined;
    return `Objref ${objref} of a ${kind.name} record is already that of a ${earlier.name} record`;
  }

  define(objref: number, kind: RecordKind): void {
    this.#kinds.set(objref, kind);
  }

  /** A {@link ReferenceCheck}. */
  readonly check = (objref: number, kinds: readonly string[]): string | undefined => {
    const kind = this.#kinds.get(objref);
    if (kind === undefined) return `refers to object ${objref}, which does not stand before it`;
    if (kinds.length > 0 && !kinds.includes(kind.name))
      return `refers to object ${objref}, a ${kind.name} and no ${kinds.join(' or ')}`;
    return undefined;
  };
}
