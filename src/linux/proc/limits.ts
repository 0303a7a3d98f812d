/** /proc/PID/limits (`man 5 proc_pid_limits`, fs/proc/base.c: proc_pid_limits). */
import { readProcText } from './read.ts';
import { decimalBigInt, lineEnd, malformed } from './scan.ts';

export interface Limit {
  /** RLIMIT_* number of asm-generic/resource.h, which x86 and arm use unchanged. */
  readonly resource: number;
  /** e.g. `RLIMIT_NOFILE` */
  readonly name: string;
  readonly soft: bigint;
  readonly hard: bigint;
}

/** RLIM64_INFINITY of linux/resource.h, shown as `unlimited`. */
export const unlimited: bigint = 2n ** 64n - 1n;

/** Resource names and the kernel's words for them; the index is the resource number. */
const resources: readonly (readonly [name: string, words: string])[] = [
  ['RLIMIT_CPU', 'Max cpu time'],
  ['RLIMIT_FSIZE', 'Max file size'],
  ['RLIMIT_DATA', 'Max data size'],
  ['RLIMIT_STACK', 'Max stack size'],
  ['RLIMIT_CORE', 'Max core file size'],
  ['RLIMIT_RSS', 'Max resident set'],
  ['RLIMIT_NPROC', 'Max processes'],
  ['RLIMIT_NOFILE', 'Max open files'],
  ['RLIMIT_MEMLOCK', 'Max locked memory'],
  ['RLIMIT_AS', 'Max address space'],
  ['RLIMIT_LOCKS', 'Max file locks'],
  ['RLIMIT_SIGPENDING', 'Max pending signals'],
  ['RLIMIT_MSGQUEUE', 'Max msgqueue size'],
  ['RLIMIT_NICE', 'Max nice priority'],
  ['RLIMIT_RTPRIO', 'Max realtime priority'],
  ['RLIMIT_RTTIME', 'Max realtime timeout'],
];

/** Width of the column that holds the words, with the blank after it: "%-25s ". */
const wordsWidth = 26;

/** The limits in the order of their numbers. A resource that this table does not know is an error: it would get lost. */
export function parseLimits(text: string): Limit[] {
  const limits: Limit[] = [];
  for (let at = lineEnd(text, 0) + 1; at < text.length;) {
    const end = lineEnd(text, at);
    const line = text.slice(at, end);
    at = end + 1;
    const words = line.slice(0, wordsWidth).trimEnd();
    const resource = resources.findIndex((entry) => entry[1] === words);
    const [soft, hard] = line.slice(wordsWidth).trimStart().split(/ +/).map(value);
    const name = resources[resource]?.[0];
    if (name === undefined || soft === undefined || hard === undefined) return malformed('limits', line);
    limits.push({ resource, name, soft, hard });
  }
  return limits.sort((a, b) => a.resource - b.resource);
}

export function readLimits(pid: number): Limit[] {
  return parseLimits(readProcText(pid, 'limits'));
}

function value(word: string): bigint | undefined {
  return word === 'unlimited' ? unlimited : decimalBigInt(word, 0, word.length);
}
