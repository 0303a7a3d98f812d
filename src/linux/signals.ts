/** Signal numbers (asm/signal.h of x86 and arm, which are those of asm-generic/signal.h; `man 7 signal`) and masks of them. */

export const signals = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

export type SignalName = keyof typeof signals;

/** _NSIG: signals are numbered from 1 to this. */
export const signalCount = 64;

/** First real-time signal of the kernel. glibc keeps 32 and 33 for itself and calls 34 SIGRTMIN, as the shells do. */
export const firstRealtimeSignal = 32;
const libraryRealtimeMinimum = 34;

const aliases: Readonly<Record<string, number>> = { SIGIOT: signals.SIGABRT, SIGPOLL: signals.SIGIO, SIGCLD: signals.SIGCHLD };
const numbers: Readonly<Record<string, number>> = signals;
const names: ReadonlyMap<number, string> = new Map(Object.entries(numbers).map(([name, number]) => [number, name]));

/** `SIGINT`, `SIGRTMIN+1` (as `kill -l` counts), `SIG32` for the two that glibc hides; `signal 99` for no signal at all. */
export function signalName(number: number): string {
  const name = names.get(number);
  if (name !== undefined) return name;
  if (number === libraryRealtimeMinimum) return 'SIGRTMIN';
  if (number > libraryRealtimeMinimum && number <= signalCount) return `SIGRTMIN+${number - libraryRealtimeMinimum}`;
  return number >= firstRealtimeSignal && number <= signalCount ? `SIG${number}` : `signal ${number}`;
}

/** The number of a name, with or without SIG, as {@link signalName} or `kill -l` writes it; undefined when there is none. */
export function signalNumber(name: string): number | undefined {
  const full = name.startsWith('SIG') ? name : `SIG${name}`;
  if (Object.hasOwn(numbers, full)) return numbers[full];
  if (Object.hasOwn(aliases, full)) return aliases[full];
  const realtime = /^SIG(RTMIN|RTMAX)?([+-]?\d{1,2})?$/.exec(full);
  if (realtime === null) return undefined;
  const base = realtime[1] === 'RTMIN' ? libraryRealtimeMinimum : realtime[1] === 'RTMAX' ? signalCount : 0;
  const number = base + Number(realtime[2] ?? 0);
  return number >= firstRealtimeSignal && number <= signalCount ? number : undefined;
}

/** The signals in a mask as /proc/PID/status and rt_sigprocmask have it: bit 0 is signal 1. */
export function signalsInMask(mask: bigint): number[] {
  const found: number[] = [];
  for (let number = 1; number <= signalCount; number++) {
    if ((mask & signalMask(number)) !== 0n) found.push(number);
  }
  return found;
}

/** The mask that holds these signals. */
export function signalMask(...members: readonly number[]): bigint {
  return members.reduce((mask, number) => mask | (1n << BigInt(number - 1)), 0n);
}
