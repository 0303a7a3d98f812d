import { headKind } from './head.ts';
import { firstFreeTag, type RecordKind, topLevel } from './kind.ts';
import { errorKind, tailKind } from './tail.ts';

const ownKinds: readonly RecordKind[] = [headKind, tailKind, errorKind];

/** The kinds that a reader knows: those given and those of the format itself (head, tail, error). */
export class KindTable {
  readonly #byTag: Map<number, RecordKind>;
  readonly kinds: readonly RecordKind[];

  constructor(kinds: readonly RecordKind[]) {
    const early = kinds.find((kind) => kind.tag < firstFreeTag);
    if (early !== undefined)
      throw new TypeError(`Kind ${early.name} has tag ${early.tag}, below ${firstFreeTag} belongs to the format`);
    this.kinds = [...ownKinds, ...kinds];
    this.#byTag = new Map(this.kinds.map((kind) => [kind.tag, kind]));
    const byName = new Map(this.kinds.map((kind) => [kind.name, kind]));
    if (this.#byTag.size !== this.kinds.length) throw new TypeError('Two kinds have the same tag');
    if (byName.size !== this.kinds.length || byName.has(topLevel)) throw new TypeError('Two kinds have the same name');
    for (const kind of kinds) {
      const wrong = kind.parents.find((parent) => parent !== topLevel && byName.get(parent)?.container !== true);
      if (wrong !== undefined) throw new TypeError(`Kind ${kind.name} cannot stand in ${wrong}, which is no container`);
    }
  }

  byTag(tag: number): RecordKind | undefined {
    return this.#byTag.get(tag);
  }
}
