/** /proc/PID/stat (`man 5 proc_pid_stat`, fs/proc/array.c: do_task_stat). */
import { readProcText } from './read.ts';
import { malformed } from './scan.ts';

/**
 * All 52 fields under the names of the man page (`session` as `sid`). Times are in clock ticks (sysconf(_SC_CLK_TCK)).
 * Without ptrace access the kernel shows 0 or 1 for the mm boundaries, kstkesp, kstkeip, wchan and exit_code.
 */
export interface Stat {
  readonly pid: number;
  /** At most 15 bytes of any kind but NUL; may hold blanks, newlines and parentheses. */
  readonly comm: string;
  /** One letter: R running, S sleeping, D disk sleep, Z zombie, T stopped, t tracing stop, X dead, I idle… */
  readonly state: string;
  readonly ppid: number;
  readonly pgrp: number;
  readonly sid: number;
  /** Device number of the controlling terminal, 0 without one: minor in bits 31-20 and 7-0, major in bits 15-8. */
  readonly tty_nr: number;
  /** Foreground process group of the terminal, -1 without one. */
  readonly tpgid: number;
  /** PF_* of include/linux/sched.h. */
  readonly flags: number;
  readonly minflt: number;
  readonly cminflt: number;
  readonly majflt: number;
  readonly cmajflt: number;
  readonly utime: number;
  readonly stime: number;
  readonly cutime: number;
  readonly cstime: number;
  readonly priority: number;
  readonly nice: number;
  readonly num_threads: number;
  /** Always 0. */
  readonly itrealvalue: number;
  /** Ticks after boot. With the pid it names one process for as long as the machine runs. */
  readonly starttime: number;
  readonly vsize: bigint;
  readonly rss: number;
  readonly rsslim: bigint;
  readonly startCode: bigint;
  readonly endCode: bigint;
  readonly startStack: bigint;
  readonly kstkesp: bigint;
  readonly kstkeip: bigint;
  /** The four masks show only signals 1 to 31: use /proc/PID/status. */
  readonly signal: bigint;
  readonly blocked: bigint;
  readonly sigignore: bigint;
  readonly sigcatch: bigint;
  readonly wchan: bigint;
  readonly nswap: number;
  readonly cnswap: number;
  readonly exit_signal: number;
  readonly processor: number;
  readonly rt_priority: number;
  /** SCHED_* of linux/sched.h. */
  readonly policy: number;
  readonly delayacct_blkio_ticks: number;
  readonly guest_time: number;
  readonly cguest_time: number;
  readonly startData: bigint;
  readonly endData: bigint;
  readonly startBrk: bigint;
  readonly argStart: bigint;
  readonly argEnd: bigint;
  readonly envStart: bigint;
  readonly envEnd: bigint;
  /** As waitpid gives it. */
  readonly exit_code: number;
}

/** What follows comm: the state and at least 49 numbers. The man page counts these fields from 3. */
const tail = /^[A-Za-z]( -?\d+){49,}$/;

export function parseStat(text: string): Stat {
  // comm may hold `) (` and even newlines; nothing after it holds a parenthesis.
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).trimEnd();
  if (open === -1 || close < open || !tail.test(fields)) return malformed('stat', text);
  const words = fields.split(' ');
  const word = (field: number): string => words[field - 3] ?? '';
  const number = (field: number): number => Number(word(field));
  const big = (field: number): bigint => BigInt(word(field));
  return {
    pid: Number(text.slice(0, open)),
    comm: text.slice(open + 1, close),
    state: word(3),
    ppid: number(4),
    pgrp: number(5),
    sid: number(6),
    tty_nr: number(7),
    tpgid: number(8),
    flags: number(9),
    minflt: number(10),
    cminflt: number(11),
    majflt: number(12),
    cmajflt: number(13),
    utime: number(14),
    stime: number(15),
    cutime: number(16),
    cstime: number(17),
    priority: number(18),
    nice: number(19),
    num_threads: number(20),
    itrealvalue: number(21),
    starttime: number(22),
    vsize: big(23),
    rss: number(24),
    rsslim: big(25),
    startCode: big(26),
    endCode: big(27),
    startStack: big(28),
    kstkesp: big(29),
    kstkeip: big(30),
    signal: big(31),
    blocked: big(32),
    sigignore: big(33),
    sigcatch: big(34),
    wchan: big(35),
    nswap: number(36),
    cnswap: number(37),
    exit_signal: number(38),
    processor: number(39),
    rt_priority: number(40),
    policy: number(41),
    delayacct_blkio_ticks: number(42),
    guest_time: number(43),
    cguest_time: number(44),
    startData: big(45),
    endData: big(46),
    startBrk: big(47),
    argStart: big(48),
    argEnd: big(49),
    envStart: big(50),
    envEnd: big(51),
    exit_code: number(52),
  };
}

export function readStat(pid: number): Stat {
  return parseStat(readProcText(pid, 'stat'));
}
