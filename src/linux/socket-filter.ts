/** Filters of sockets in classic BPF. Source: man 7 socket (SO_ATTACH_FILTER), net/core/filter.c: sk_get_filter. */
import { sock_fprog } from './abi/seccomp.ts';
import { LocalMemory, syscall } from './ffi.ts';

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const instruction = 8; // sizeof(struct sock_filter)
const maxInstructions = 4096;
const at = 64;

function memory(): LocalMemory {
  return LocalMemory.scratch('socket filter', at + maxInstructions * instruction);
}

/** The instructions; none without a filter, undefined for a program of eBPF. The option counts in instructions. */
export function readFilter(fd: number): Uint8Array | undefined {
  const { address, view, bytes } = memory();
  const ask = (room: number): number => {
    view.setUint32(0, room, true);
    const result = syscall('getsockopt', fd, SOL_SOCKET, SO_ATTACH_FILTER, address + BigInt(at), address);
    return result < 0 ? result : view.getUint32(0, true);
  };
  const count = ask(0);
  if (count === 0) return new Uint8Array(0);
  return count < 0 || ask(maxInstructions) !== count ? undefined : bytes.slice(at, at + count * instruction);
}

/** Minus the errno. */
export function attachFilter(fd: number, instructions: Uint8Array): number {
  const { address, view, bytes } = memory();
  if (instructions.length > maxInstructions * instruction) return -1;
  bytes.set(instructions, at);
  sock_fprog.write(view, { len: instructions.length / instruction, filter: address + BigInt(at) });
  return syscall('setsockopt', fd, SOL_SOCKET, SO_ATTACH_FILTER, address, sock_fprog.size);
}
