/** From an inode back to a path. Source: man 2 open_by_handle_at, man 5 proc_pid_mountinfo. */
import { closeSync, readFileSync, readlinkSync } from 'node:fs';
import { LocalMemory, syscall } from './ffi.ts';

/** As inotify and fanotify show it in fdinfo. */
export interface FileHandle {
  readonly type: number;
  readonly bytes: Uint8Array;
  /** Device as the kernel counts it inside: twelve bits, then twenty. */
  readonly device: number;
}

const AT_FDCWD = -100;
const O_PATH_CLOEXEC = 0o12000000;
const O_NONBLOCK_CLOEXEC = 0o2004000;

/** A path of the inode, through any mount of its file system; undefined when none leads there or CAP_DAC_READ_SEARCH is lacking. */
export function pathOfHandle({ type, bytes, device }: FileHandle): string | undefined {
  const memory = LocalMemory.scratch('file handle', 8192);
  for (const directory of mountsOf(device)) {
    memory.bytes.set(Buffer.from(`${directory}\0`));
    const mount = syscall('openat', AT_FDCWD, memory.address, O_NONBLOCK_CLOEXEC, 0);
    if (mount < 0) continue;
    memory.view.setUint32(0, bytes.length, true); // struct file_handle
    memory.view.setInt32(4, type, true);
    memory.bytes.set(bytes, 8);
    const fd = syscall('open_by_handle_at', mount, memory.address, O_PATH_CLOEXEC);
    closeSync(mount);
    if (fd < 0) continue;
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } finally {
      closeSync(fd);
    }
  }
  return undefined;
}

/** Where the file system is mounted, whole mounts first. */
function mountsOf(device: number): string[] {
  const number = `${device >>> 20}:${device & 0xfffff}`;
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , found]) => found === number)
    .sort(([, , , a = ''], [, , , b = '']) => a.length - b.length)
    .map(([, , , , directory = '']) =>
      directory.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    );
}
