/** /proc/PID/status (`man 5 proc_pid_status`, fs/proc/array.c: proc_pid_status). */
import { readProcText } from './read.ts';
import { hexWord, integer, malformed, namedLines } from './scan.ts';

/** The four user or group ids of a task. */
export interface Credentials {
  readonly real: number;
  readonly effective: number;
  readonly saved: number;
  readonly filesystem: number;
}

/** Optional fields are those that a kernel leaves out by its age, its configuration, or for a task without memory. */
export interface Status {
  /** With \\ and \n unescaped. */
  readonly name: string;
  readonly umask: number | undefined;
  /** The letter alone: R, S, D, T, t, Z, X, P or I. */
  readonly state: string;
  readonly tgid: number;
  readonly pid: number;
  readonly ppid: number;
  /** 0 when nobody traces it. */
  readonly tracerPid: number;
  readonly uid: Credentials;
  readonly gid: Credentials;
  readonly fdSize: number | undefined;
  readonly groups: readonly number[];
  /** The id in each nested pid namespace, outermost first; the last is the one that the task itself knows. */
  readonly nsTgid: readonly number[];
  readonly nsPid: readonly number[];
  readonly nsPgid: readonly number[];
  readonly nsSid: readonly number[];
  readonly threads: number;
  readonly sigQ: { readonly queued: number; readonly limit: number };
  /** Pending for this thread; bit 0 is signal 1. */
  readonly sigPnd: bigint;
  /** Pending for the whole process. */
  readonly shdPnd: bigint;
  readonly sigBlk: bigint;
  readonly sigIgn: bigint;
  readonly sigCgt: bigint;
  readonly capInh: bigint;
  readonly capPrm: bigint;
  readonly capEff: bigint;
  readonly capBnd: bigint;
  readonly capAmb: bigint;
  readonly noNewPrivs: boolean;
  /** 0 off, 1 strict, 2 filter; undefined without CONFIG_SECCOMP. */
  readonly seccomp: number | undefined;
  readonly seccompFilters: number | undefined;
  readonly speculationStoreBypass: string | undefined;
  readonly speculationIndirectBranch: string | undefined;
  readonly thpEnabled: boolean | undefined;
  readonly untagMask: bigint | undefined;
  /** `shstk` and `wrss`, where the thread uses them (x86_Thread_features, since Linux 6.6). */
  readonly x86ThreadFeatures: readonly string[];
  readonly coreDumping: boolean;
  /** kB of anonymous memory in use, in pages and in swap. Approximate: the kernel adds up its counters now and then. */
  readonly anonymousKb: number;
  /** Has memory of its own; false for a kernel thread and a zombie. */
  readonly hasMemory: boolean;
}

export function parseStatus(text: string): Status {
  const lines = namedLines(text);
  const need = (name: string): string => lines.get(name) ?? malformed('status', `${name}: (no such line)`);
  const number = (name: string): number => integer('status', need(name));
  const optional = (name: string): number | undefined => (lines.has(name) ? number(name) : undefined);
  const mask = (name: string): bigint => hexWord('status', need(name));
  const list = (name: string): number[] => numbers(lines.get(name) ?? '');
  const kilobytes = (name: string): number => parseInt(lines.get(name) ?? '0', 10);
  const umask = lines.get('Umask');
  const thpEnabled = optional('THP_enabled');
  const untagMask = lines.get('untag_mask');
  return {
    name: unescape(need('Name')),
    umask: umask === undefined ? undefined : parseInt(umask, 8),
    state: need('State').charAt(0),
    tgid: number('Tgid'),
    pid: number('Pid'),
    ppid: number('PPid'),
    tracerPid: number('TracerPid'),
    uid: credentials(need('Uid')),
    gid: credentials(need('Gid')),
    fdSize: optional('FDSize'),
    groups: list('Groups'),
    nsTgid: list('NStgid'),
    nsPid: list('NSpid'),
    nsPgid: list('NSpgid'),
    nsSid: list('NSsid'),
    threads: optional('Threads') ?? 1,
    sigQ: signalQueue(lines.get('SigQ') ?? '0/0'),
    sigPnd: mask('SigPnd'),
    shdPnd: mask('ShdPnd'),
    sigBlk: mask('SigBlk'),
    sigIgn: mask('SigIgn'),
    sigCgt: mask('SigCgt'),
    capInh: mask('CapInh'),
    capPrm: mask('CapPrm'),
    capEff: mask('CapEff'),
    capBnd: mask('CapBnd'),
    // Since Linux 4.3; before that no task had any.
    capAmb: lines.has('CapAmb') ? mask('CapAmb') : 0n,
    noNewPrivs: optional('NoNewPrivs') === 1,
    seccomp: optional('Seccomp'),
    seccompFilters: optional('Seccomp_filters'),
    speculationStoreBypass: lines.get('Speculation_Store_Bypass'),
    speculationIndirectBranch: lines.get('SpeculationIndirectBranch'),
    thpEnabled: thpEnabled === undefined ? undefined : thpEnabled === 1,
    untagMask: untagMask === undefined ? undefined : hexWord('status', untagMask),
    x86ThreadFeatures: words(lines.get('x86_Thread_features') ?? ''),
    coreDumping: optional('CoreDumping') === 1,
    anonymousKb: kilobytes('RssAnon') + kilobytes('VmSwap'),
    hasMemory: lines.has('VmSize'),
  };
}

export function readStatus(pid: number): Status {
  return parseStatus(readProcText(pid, 'status'));
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

function numbers(text: string): number[] {
  return words(text).map((word) => integer('status', word));
}

function credentials(text: string): Credentials {
  const [real, effective, saved, filesystem] = numbers(text);
  if (real === undefined || effective === undefined || saved === undefined || filesystem === undefined) {
    return malformed('status', text);
  }
  return { real, effective, saved, filesystem };
}

function signalQueue(text: string): Status['sigQ'] {
  const slash = text.indexOf('/');
  return { queued: integer('status', text.slice(0, slash)), limit: integer('status', text.slice(slash + 1)) };
}

/** The name is escaped with ESCAPE_SPACE | ESCAPE_SPECIAL and a list of "\n\\" (fs/proc/array.c: proc_task_name). */
function unescape(name: string): string {
  if (!name.includes('\\')) return name;
  return name.replaceAll(/\\([n\\])/g, (_, letter: string) => (letter === 'n' ? '\n' : '\\'));
}
