/**
 * TCP connections whose other end is outside the tree, taken out of one socket and put into another by TCP_REPAIR. Between
 * the end of the processes and their restart its packets are held off (linux/hold-traffic.ts), so that the other end, which
 * knows nothing of this, tries again instead of getting a reset.
 */
import { randomBytes } from 'node:crypto';
import { closeSync } from 'node:fs';
import type { Schema } from '../image/schema-types.ts';
import { s } from '../image/schema.ts';
import { errno, errnoName } from '../linux/errno.ts';
import { syscallError } from '../linux/ffi.ts';
import { holdOff, letFlow, TrafficHold, type Flow } from '../linux/hold-traffic.ts';
import {
  fillQueue,
  readNegotiated,
  readQueue,
  repairDone,
  repairOn,
  repairUndo,
  setNegotiated,
  setSequence,
  setWindows,
  unsent,
  type TcpNegotiated,
} from '../linux/tcp.ts';
import { StasisError } from '../errors.ts';
import { unmapped, type InetAddress } from './inet-address.ts';
import type { Place } from '../linux/descriptors.ts';
import type { Ending } from './ending.ts';
import type { ObjectTable } from './object-table.ts';
import { withRoom, sendAll } from './socket-send.ts';
import { duplicate, snapshotOf } from './socket-snapshot.ts';
import { readReceived } from './tcp-undelivered.ts';

export interface OutsideState extends TcpNegotiated {
  /** Sequence numbers of the next byte from here, and from there. */
  readonly sendSequence: number;
  readonly receiveSequence: number;
  /** What was written and is not acknowledged; of that, how many bytes at the end were not sent. */
  readonly written: readonly Uint8Array[];
  readonly unsent: number;
  /** Name of the filter that holds its packets off. */
  readonly held?: string | undefined;
}

const word = s.uint(0xffff_ffff);
const piece = 1 << 20;

export const outsideSchema: Schema<OutsideState> = s.record({
  sendSequence: word,
  receiveSequence: word,
  written: s.array(s.bytes(piece), 12),
  unsent: word,
  segment: s.uint(65535),
  scales: s.optional(s.tuple(s.uint(15), s.uint(15))),
  selective: s.bool(),
  timestamps: s.bool(),
  timestamp: word,
  window: s.hex(s.bytes(20)),
  held: s.optional(s.text(32)),
});

/** Of a checkpoint after which the processes end: the connections that are held off, while they live and afterwards. */
class Holding {
  readonly name: string = `stasis-${randomBytes(8).toString('hex')}`;
  readonly #flows: Flow[] = [];
  readonly #places: Place[] = [];
  readonly #hold: TrafficHold;

  constructor(ending: Ending) {
    this.#hold = ending.hold(new TrafficHold(`${this.name}-own`));
    ending.around(() => {
      const fds = this.#places.flatMap((place) => duplicate(place) ?? []);
      return () => {
        holdOff(this.name, this.#flows);
        for (const fd of fds) {
          repairOn(fd); // its end sends nothing (net/ipv4/tcp.c: __tcp_close)
          closeSync(fd);
        }
      };
    });
  }

  /** Minus the errno when its packets cannot be held off. */
  add(flow: Flow, place: Place): number {
    this.#flows.push(flow);
    this.#places.push(place);
    return this.#hold.add(flow);
  }
}

const holdings = new WeakMap<Ending, Holding>();

function holdingOf(ending: Ending): Holding {
  let holding = holdings.get(ending);
  if (holding === undefined) holdings.set(ending, (holding = new Holding(ending)));
  return holding;
}

/** The state, and what waits to be read; or what stands in the way. */
export function takeOutside(
  fd: number,
  place: Place,
  ends: { readonly local: InetAddress; readonly remote: InetAddress },
  objects: ObjectTable,
): { readonly state: OutsideState; readonly received: Uint8Array } | string {
  const { ending } = objects.choices;
  const flow = {
    local: unmapped(ends.local.address),
    localPort: ends.local.port,
    remote: unmapped(ends.remote.address),
    remotePort: ends.remote.port,
  };
  const holding = ending && holdingOf(ending);
  const held = holding?.add(flow, place) ?? 0;
  if (held < 0) return `its packets cannot be held off until the restart (nf_tables answered ${errnoName(-held)})`;
  return snapshotOf(objects)
    .guard()
    .during(fd, repairUndo(fd), () => {
      const result = repairOn(fd);
      if (result === -errno.EPERM) return 'its state may not be taken (TCP_REPAIR needs CAP_NET_ADMIN)';
      if (result < 0) throw syscallError('setsockopt', result, 'Cannot take the state of a connection');
      const { data: received, arrived } = readReceived(fd);
      const send = readQueue(fd, 'send');
      const state: OutsideState = {
        ...readNegotiated(fd),
        sendSequence: send.sequence,
        receiveSequence: arrived,
        written: piecesOf(send.data),
        unsent: unsent(fd),
        ...(holding !== undefined && { held: holding.name }),
      };
      return { state, received };
    });
}

function piecesOf(data: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(data.length / piece) }, (_, index) => data.slice(index * piece, (index + 1) * piece));
}

/** Gives the state to a fresh socket, and with it the connection. Packets may come from now on, nothing is sent yet. */
export function giveOutside(
  fd: number,
  state: OutsideState,
  received: Uint8Array,
  connect: () => void,
): { /** Lets the connection go on. */ readonly resume: () => void } {
  const result = repairOn(fd);
  if (result < 0)
    throw syscallError('setsockopt', result, 'Cannot restart a TCP connection to outside the tree', {
      code: 'RESTART_FAILED',
      phase: 'restore',
      hint: 'TCP_REPAIR needs CAP_NET_ADMIN: restart as root, or take the checkpoint with --tcp-close.',
    });
  const written = Buffer.concat(state.written);
  const sent = written.subarray(0, Math.max(0, written.length - state.unsent));
  setSequence(fd, 'send', (state.sendSequence - written.length) >>> 0);
  setSequence(fd, 'receive', (state.receiveSequence - received.length) >>> 0);
  connect();
  setNegotiated(fd, state);
  withRoom(fd, fd, Math.max(received.length, written.length), () => {
    fill(fd, 'receive', received);
    fill(fd, 'send', sent);
  });
  setWindows(fd, state);
  return {
    resume: () => {
      repairDone(fd);
      const rest = written.subarray(sent.length);
      if (rest.length > 0) sendAll(fd, undefined, { data: rest });
    },
  };
}

function fill(fd: number, which: 'receive' | 'send', data: Uint8Array): void {
  const result = fillQueue(fd, which, data);
  if (result >= data.length) return;
  throw syscallError('sendmsg', Math.min(result, -1), 'Cannot put data into a connection again', {
    code: 'RESTART_FAILED',
    phase: 'restore',
  });
}

/** Only filters of ours can be named by an image. */
export function letGoOf(held: string): void {
  if (!/^stasis-[0-9a-f]{16}$/.test(held)) throw new StasisError('IMAGE', 'The image names a filter that is not one of Stasis');
  letFlow(held);
}
