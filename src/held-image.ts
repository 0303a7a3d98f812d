/**
 * A small image is held in memory until the target runs on: then the freeze does not wait for the file system, and
 * nothing has been written should the checkpoint fail.
 */
import type { PacedSink } from './write-behind.ts';

/** Bytes of pages up to which an image is held. */
export const holdLimit = 0x800000;

export class HeldImage implements PacedSink {
  readonly parts: Uint8Array[] = [];

  write(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.parts.push(part.slice());
  }

  async settled(): Promise<void> {}
}
