/** An address space whose memory is still arriving: what is missing, and how it comes. */
import type { LateRecord, Segment } from './lazy-memory.ts';
import type { UserFaults } from './linux/userfaultfd.ts';
import { pageSize } from './linux/pagemap.ts';

/** Gives the address of the content of a record in our memory. */
export type Content = (record: LateRecord) => bigint;

/** Pages around the one that is asked for, at most: neighbours are wanted next. */
const around = 64;
const EEXIST = -17;
const EAGAIN = -11;
const ENOENT = -2;
const ESRCH = -3;

export class LateSpace {
  readonly faults: UserFaults;
  /** By address, disjoint. */
  #segments: Segment[];
  #ended = false;

  constructor(faults: UserFaults, segments: Segment[]) {
    this.faults = faults;
    this.#segments = segments;
  }

  get isDone(): boolean {
    return this.#ended || this.#segments.length === 0;
  }

  /** A child has the same memory, and the same is missing in it. */
  inherit(faults: UserFaults): LateSpace {
    return new LateSpace(
      faults,
      this.#segments.map((segment) => ({ ...segment })),
    );
  }

  /** Pages that were discarded or unmapped are not to come any more. */
  forget(start: bigint, end: bigint): void {
    this.#cut(Number(start) / pageSize, Number(end) / pageSize);
  }

  move(from: bigint, to: bigint, length: bigint): void {
    const moved = this.#cut(Number(from) / pageSize, Number(from + length) / pageSize);
    const distance = Number(to - from) / pageSize;
    for (const segment of moved) segment.page += distance;
    this.forget(to, to + length);
    this.#segments = [...this.#segments, ...moved].sort((a, b) => a.page - b.page);
  }

  /** Somebody waits for this address. */
  serve(address: bigint, content: Content): void {
    const page = Number(address) / pageSize;
    const segment = this.#segments[this.#find(Math.floor(page))];
    if (segment === undefined || segment.page > page) {
      this.#zero(BigInt(Math.floor(page)) * BigInt(pageSize));
      return;
    }
    const start = Math.floor(page);
    this.#fill(segment, start, Math.min(segment.page + segment.count, start + around), content);
  }

  /** The next missing piece, whoever may want it. */
  advance(content: Content): void {
    const segment = this.#segments.at(-1);
    if (segment !== undefined) this.#fill(segment, segment.page, segment.page + segment.count, content);
  }

  /** Brings pages [start, end) of a segment. What could not be brought now stays missing. */
  #fill(segment: Segment, start: number, end: number, content: Content): void {
    const from = content(segment.record) + BigInt((segment.first + start - segment.page) * pageSize);
    for (let page = start; page < end;) {
      const to = BigInt(page) * BigInt(pageSize);
      const result = this.faults.copy(to, from + BigInt((page - start) * pageSize), (end - page) * pageSize);
      if (result > 0) {
        page += result / pageSize;
        continue;
      }
      if (result === EEXIST) {
        this.faults.wake(to, BigInt(pageSize));
        page++;
      } else {
        this.#cut(start, page);
        if (result === EAGAIN) return; // an event is to be read first
        if (result === ENOENT) this.#cut(page, end);
        else if (result === ESRCH) this.#ended = true;
        else throw new RangeError(`Cannot bring ${end - page} pages to ${to.toString(16)}: error ${-result}`);
        return;
      }
    }
    this.#cut(start, end);
  }

  #zero(address: bigint): void {
    const result = this.faults.zero(address, BigInt(pageSize));
    if (result === EEXIST) this.faults.wake(address, BigInt(pageSize));
    else if (result === ESRCH) this.#ended = true;
    // EAGAIN, ENOENT: the kernel asks again, if the memory is still there
    else if (result === EAGAIN) this.faults.wake(address, BigInt(pageSize));
  }

  /** Index of the first segment that ends behind the page. */
  #find(page: number): number {
    let low = 0;
    for (let high = this.#segments.length; low < high;) {
      const middle = (low + high) >> 1;
      const segment = this.#segments[middle]!;
      if (segment.page + segment.count <= page) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Takes pages [start, end) out, and gives what was there. */
  #cut(start: number, end: number): Segment[] {
    const taken: Segment[] = [];
    if (end <= start) return taken;
    const first = this.#find(start);
    const kept: Segment[] = [];
    let last = first;
    for (; last < this.#segments.length && this.#segments[last]!.page < end; last++) {
      const segment = this.#segments[last]!;
      const low = Math.max(start, segment.page);
      const high = Math.min(end, segment.page + segment.count);
      const part = (from: number, to: number): Segment => ({
        page: from,
        count: to - from,
        record: segment.record,
        first: segment.first + from - segment.page,
      });
      if (segment.page < low) kept.push(part(segment.page, low));
      taken.push(part(low, high));
      if (high < segment.page + segment.count) kept.push(part(high, segment.page + segment.count));
    }
    this.#segments.splice(first, last - first, ...kept);
    return taken;
  }
}
