/** An image that can be read twice: a file in its place, anything else by way of memory. */
import { closeSync, fstatSync, writeSync } from 'node:fs';
import { LocalMemory, mustSyscall, syscall } from './linux/ffi.ts';
import { ImageReader } from './image/reader.ts';
import { readEvents } from './image/read-events.ts';
import { kinds } from './objects/registry.ts';
import { openSource } from './source.ts';

export interface Spooled extends Disposable {
  readonly fd: number;
  /** Back to the image's begin. */
  rewind(): void;
}

const SEEK_SET = 0;
const SEEK_CUR = 1;

/** `fd` stands at the begin of the image. A pipe or socket is read up to the image's end. */
export function spool(fd: number): Spooled {
  if (fstatSync(fd).isFile()) {
    const begin = mustSyscall('lseek', 'Cannot find the position in the image', fd, 0, SEEK_CUR);
    return {
      fd,
      rewind: () => void syscall('lseek', fd, begin, SEEK_SET),
      // what was not an image has not been read
      [Symbol.dispose]: () => void syscall('lseek', fd, begin, SEEK_SET),
    };
  }
  const MFD_CLOEXEC = 1;
  const name = LocalMemory.scratch('memfd', 64);
  name.bytes.set(Buffer.from('stasis-image\0'));
  const memory = mustSyscall('memfd_create', 'Cannot hold the image in memory', name.address, MFD_CLOEXEC);
  const input = openSource({ fd });
  const copying = {
    read(into: Uint8Array): number {
      const count = input.read(into);
      for (let written = 0; written < count;) written += writeSync(memory, into, written, count - written);
      return count;
    },
  };
  try {
    for (const _ of readEvents(new ImageReader(kinds, { data: 'read' }), copying));
  } catch (error) {
    closeSync(memory);
    throw error;
  }
  const rewind = (): void => void syscall('lseek', memory, 0, SEEK_SET);
  rewind();
  return { fd: memory, rewind, [Symbol.dispose]: () => closeSync(memory) };
}
