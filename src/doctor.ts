/** What this kernel and these privileges allow: each thing that Stasis needs is tried, not guessed from a version. */
import { mustSyscall } from './linux/ffi.ts';

export interface Check {
  /** Stable. */
  readonly name: string;
  readonly ok: boolean;
  /** Without it no checkpoint or no restart works; otherwise something is slower, or needs root. */
  readonly required: boolean;
  readonly detail: string;
  /** What to do about it; empty when it is there. */
  readonly remedy: string;
}

export interface Diagnosis {
  /** Everything that is required is there. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

export async function doctor(): Promise<Diagnosis> {
  const checks = [ffi()];
  return { ok: checks.every(({ ok, required }) => ok || !required), checks };
}

function ffi(): Check {
  try {
    mustSyscall('getpid', 'Cannot make a system call');
    return { name: 'ffi', ok: true, required: true, detail: 'system calls can be made', remedy: '' };
  } catch (error) {
    return { name: 'ffi', ok: false, required: true, detail: String(error), remedy: 'Run npm ci where Stasis is installed.' };
  }
}
