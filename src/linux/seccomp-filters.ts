/** The seccomp filters of a stopped task. Source: man 2 ptrace (PTRACE_SECCOMP_GET_FILTER), kernel/seccomp.c. */
import { seccomp_metadata } from './abi/ptrace.ts';
import { sock_filter } from './abi/seccomp.ts';
import { errno } from './errno.ts';
import { LocalMemory, syscallError } from './ffi.ts';
import { ptrace, PTRACE } from './ptrace.ts';

export interface SeccompFilter {
  /** Instructions of classic BPF, struct sock_filter each. */
  readonly program: Uint8Array;
  /** SECCOMP_FILTER_FLAG_LOG; the only flag that stays with a filter. */
  readonly log: boolean;
}

/** BPF_MAXINSNS. */
export const mostInstructions = 4096;

/**
 * All filters, the first that was installed first. Undefined when we may not read them: that takes CAP_SYS_ADMIN in the
 * first user namespace, a reader without filters of its own, and CONFIG_CHECKPOINT_RESTORE.
 */
export function readFilters(tid: number): SeccompFilter[] | undefined {
  const memory = LocalMemory.scratch('filters', mostInstructions * sock_filter.size);
  const filters: SeccompFilter[] = [];
  for (;;) {
    const count = ptrace(PTRACE.SECCOMP_GET_FILTER, tid, filters.length, memory.address);
    if (count === -errno.ENOENT) return filters; // the kernel counts from the one installed first: kernel/seccomp.c, get_nth_filter
    if (count === -errno.EACCES || count === -errno.EIO || count === -errno.EINVAL) return undefined;
    if (count < 0) throw syscallError('ptrace', count, `Cannot read the seccomp filters of ${tid}`, { pid: tid });
    const program = memory.bytes.slice(0, count * sock_filter.size);
    filters.push({ program, log: hasLogFlag(tid, filters.length, memory) });
  }
}

/** PTRACE_SECCOMP_GET_METADATA is of Linux 4.16, one version after the flag. */
function hasLogFlag(tid: number, index: number, memory: LocalMemory): boolean {
  const SECCOMP_FILTER_FLAG_LOG = 2n;
  memory.bytes.set(seccomp_metadata.make({ filter_off: BigInt(index) }));
  const result = ptrace(PTRACE.SECCOMP_GET_METADATA, tid, seccomp_metadata.size, memory.address);
  return result > 0 && (seccomp_metadata.get(memory.view, 'flags') & SECCOMP_FILTER_FLAG_LOG) !== 0n;
}
