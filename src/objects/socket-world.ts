/**
 * The sockets of an image under restart. They depend on each other (pairs, connections, datagrams from one to another), so
 * each family makes all of its sockets together when the first of them is asked for: by then all records have been read.
 */
import type { LocalDescriptors } from './local-descriptors.ts';
import type { QueuedMessage } from './socket-queue.ts';

export class SocketWorld {
  readonly locals: LocalDescriptors;
  readonly notes: string[];
  readonly #queues = new Map<number, QueuedMessage[]>();
  readonly #groups = new Map<string, SocketGroup<unknown>>();

  constructor(locals: LocalDescriptors, notes: string[]) {
    this.locals = locals;
    this.notes = notes;
  }

  addQueue(socket: number, messages: readonly QueuedMessage[]): void {
    const queue = this.#queues.get(socket) ?? [];
    queue.push(...messages);
    this.#queues.set(socket, queue);
  }

  queueOf(socket: number): readonly QueuedMessage[] {
    return this.#queues.get(socket) ?? [];
  }

  /** Adds a socket to those that `make` makes together. It gives them to {@link LocalDescriptors.put}. */
  add<T>(family: string, objref: number, value: T, make: (sockets: ReadonlyMap<number, T>, world: SocketWorld) => void): void {
    const group = (this.#groups.get(family) ?? { sockets: new Map(), isMade: false }) as SocketGroup<T>;
    this.#groups.set(family, group);
    group.sockets.set(objref, value);
    this.locals.add(objref, () => {
      if (!group.isMade) {
        group.isMade = true;
        make(group.sockets, this);
      }
      return this.locals.get(objref);
    });
  }
}

interface SocketGroup<T> {
  readonly sockets: Map<number, T>;
  isMade: boolean;
}

const worlds = new WeakMap<LocalDescriptors, SocketWorld>();

export function socketWorldOf(locals: LocalDescriptors, notes: string[] = []): SocketWorld {
  let world = worlds.get(locals);
  if (world === undefined) worlds.set(locals, (world = new SocketWorld(locals, notes)));
  return world;
}
