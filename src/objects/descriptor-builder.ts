/**
 * Builds the descriptor table of a task under restart. Everything happens above the highest number that the program
 * uses: first the descriptors that the task brought along are put aside there, then each open file is opened (low
 * numbers are all free, so an open gives 0) and put aside, then each descriptor gets its number, then what was put
 * aside is closed.
 */
import { StasisError } from '../errors.ts';
import type { Rebuild } from './object.ts';

const F_DUPFD_CLOEXEC = 1030;
const O_CLOEXEC = 0o2000000;
const everything = 0xffff_ffff;

/** Makes one open file and hands the descriptor it has in the task to `place`. */
export type Opener = (place: (fd: number) => void) => void;

export class DescriptorBuilder {
  readonly #rebuild: Rebuild;
  readonly #openers = new Map<number, Opener>();
  readonly #assignments: { fd: number; description: number; closeOnExec: boolean }[] = [];
  #base = 16;

  constructor(rebuild: Rebuild) {
    this.#rebuild = rebuild;
  }

  begin(highest: number): void {
    this.#base = Math.max(highest, ...this.#rebuild.surroundings.inherited, 15) + 1;
  }

  add(objref: number, open: Opener): void {
    this.#openers.set(objref, open);
  }

  assign(fd: number, description: number, closeOnExec: boolean): void {
    this.#assignments.push({ fd, description, closeOnExec });
  }

  /** Where descriptor `fd` of the restart has been put aside; undefined when it was not open. */
  inherited(fd: number): number | undefined {
    return this.#rebuild.surroundings.inherited.has(fd) ? this.#base + fd : undefined;
  }

  /** Adds all the calls. */
  build(): void {
    const { surroundings } = this.#rebuild;
    for (const fd of surroundings.inherited) {
      this.#call('put a descriptor aside', 'fcntl', [fd, F_DUPFD_CLOEXEC, this.#base + fd]);
    }
    this.#call('close the low descriptors', 'close_range', [0, this.#base - 1, 0]);
    let next = this.#base + Math.max(-1, ...surroundings.inherited) + 1;
    const places = new Map<number, number>();
    for (const [objref, open] of this.#openers) {
      const place = next++;
      open((fd) => this.#call('put a descriptor aside', 'dup3', [fd, place, O_CLOEXEC]));
      places.set(objref, place);
    }
    for (const { fd, description, closeOnExec } of this.#assignments) {
      const place = places.get(description);
      if (place === undefined)
        throw new StasisError('IMAGE', `Descriptor ${fd} refers to object ${description}, which is no open file`);
      this.#call(`set up descriptor ${fd}`, 'dup3', [place, fd, closeOnExec ? O_CLOEXEC : 0]);
    }
    this.#call('close what was put aside', 'close_range', [this.#base, everything, 0]);
  }

  #call(action: string, name: 'fcntl' | 'dup3' | 'close_range', parameters: readonly number[]): void {
    this.#rebuild.room(1);
    this.#rebuild.batch.add(action, name, parameters);
  }
}
