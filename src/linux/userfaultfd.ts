/** A userfaultfd: memory of a process whose missing pages we bring. Source: man 2 userfaultfd, ioctl_userfaultfd. */
import { uffd_msg, uffdio_api, uffdio_copy, uffdio_register, uffdio_zeropage } from './abi/userfaultfd.ts';
import { LocalMemory, mustSyscall, syscall, syscallError } from './ffi.ts';

const UFFD_API = 0xaan;
const UFFDIO = {
  API: 0xc018aa3f,
  REGISTER: 0xc020aa00,
  WAKE: 0x8010aa02,
  COPY: 0xc028aa03,
  ZEROPAGE: 0xc020aa04,
} as const;
const REGISTER_MODE_MISSING = 1n;
/** The memory may be unmapped, moved, discarded and inherited meanwhile: the kernel tells, and waits until it has been read. */
const FEATURES = { EVENT_FORK: 2n, EVENT_REMAP: 4n, EVENT_REMOVE: 8n, EVENT_UNMAP: 64n } as const;
const EVENT = { PAGEFAULT: 0x12, FORK: 0x13, REMAP: 0x14, REMOVE: 0x15, UNMAP: 0x16 } as const;

export type FaultEvent =
  | { readonly kind: 'fault'; readonly address: bigint }
  | { readonly kind: 'fork'; readonly fd: number }
  | { readonly kind: 'remap'; readonly from: bigint; readonly to: bigint; readonly length: bigint }
  /** Discarded (its pages are zero now) or unmapped. */
  | { readonly kind: 'gone'; readonly start: bigint; readonly end: bigint };

const argument = (): LocalMemory => LocalMemory.scratch('uffdio', 64);

export class UserFaults {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Minus the errno: EPERM without CAP_SYS_PTRACE, which following a fork takes. */
  enable(): number {
    const memory = argument();
    const { EVENT_FORK, EVENT_REMAP, EVENT_REMOVE, EVENT_UNMAP } = FEATURES;
    memory.bytes.set(uffdio_api.make({ api: UFFD_API, features: EVENT_FORK | EVENT_REMAP | EVENT_REMOVE | EVENT_UNMAP }));
    return syscall('ioctl', this.fd, UFFDIO.API, memory.address);
  }

  register(start: bigint, length: bigint): void {
    const memory = argument();
    memory.bytes.set(uffdio_register.make({ 'range.start': start, 'range.len': length, mode: REGISTER_MODE_MISSING }));
    mustSyscall('ioctl', 'Cannot watch memory for missing pages', this.fd, UFFDIO.REGISTER, memory.address);
  }

  /** Bytes copied, which may be fewer, or minus the errno: EEXIST, EAGAIN (events wait), ENOENT (unmapped), ESRCH (ended). */
  copy(to: bigint, from: bigint, length: number): number {
    const memory = argument();
    memory.bytes.set(uffdio_copy.make({ dst: to, src: from, len: BigInt(length) }));
    const result = syscall('ioctl', this.fd, UFFDIO.COPY, memory.address);
    const copied = Number(uffdio_copy.get(memory.view, 'copy'));
    return result === 0 || copied > 0 ? copied : result;
  }

  /** A page of zeros, for those who wait for it. The same answers. */
  zero(address: bigint, length: bigint): number {
    const memory = argument();
    memory.bytes.set(uffdio_zeropage.make({ 'range.start': address, 'range.len': length }));
    return syscall('ioctl', this.fd, UFFDIO.ZEROPAGE, memory.address);
  }

  wake(address: bigint, length: bigint): void {
    const memory = argument();
    memory.view.setBigUint64(0, address, true);
    memory.view.setBigUint64(8, length, true);
    syscall('ioctl', this.fd, UFFDIO.WAKE, memory.address);
  }

  /** What has happened; empty when nothing waits. The descriptor does not block. */
  read(): FaultEvent[] {
    const most = 64;
    const memory = LocalMemory.scratch('uffd_msg', most * uffd_msg.size);
    const got = syscall('read', this.fd, memory.address, most * uffd_msg.size);
    if (got === -11 || got === -4 || got === 0) return []; // EAGAIN, EINTR
    if (got < 0) throw syscallError('read', got, 'Cannot read page faults');
    const { view } = memory;
    return Array.from({ length: got / uffd_msg.size }, (_, index) => decode(view, index * uffd_msg.size));
  }
}

function decode(view: DataView, at: number): FaultEvent {
  const event = uffd_msg.get(view, 'event', at);
  switch (event) {
    case EVENT.PAGEFAULT:
      return { kind: 'fault', address: uffd_msg.get(view, 'arg.pagefault.address', at) };
    case EVENT.FORK:
      return { kind: 'fork', fd: uffd_msg.get(view, 'arg.fork.ufd', at) };
    case EVENT.REMAP: {
      const [from, to] = [uffd_msg.get(view, 'arg.remap.from', at), uffd_msg.get(view, 'arg.remap.to', at)];
      return { kind: 'remap', from, to, length: uffd_msg.get(view, 'arg.remap.len', at) };
    }
    case EVENT.REMOVE:
    case EVENT.UNMAP:
      return { kind: 'gone', start: uffd_msg.get(view, 'arg.remove.start', at), end: uffd_msg.get(view, 'arg.remove.end', at) };
    default:
      throw new RangeError(`userfaultfd event ${event}`);
  }
}
