/** Objrefs: from 1, in order of first appearance; an object is described before or with its first user. */
import { Descriptions } from './descriptions.ts';
import type { ImageNode } from './object.ts';

export class ObjectTable {
  /** Open file descriptions, of all processes. */
  readonly descriptions: Descriptions = new Descriptions();
  readonly #known = new Map<string, number>();
  #next = 1;

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
}
