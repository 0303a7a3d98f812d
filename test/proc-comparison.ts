/**
 * All that /proc tells of a process, taken before a checkpoint and after a restart, and what differs between the two. Only what
 * the list below names may differ, each with its reason.
 *
 *     const before = everythingOf(program.pid);
 *     …
 *     assert.deepEqual(differences(before, everythingOf(again.pid)), []);
 */
import * as fs from 'node:fs';

/** By file (below /proc/PID, threads as task/0, task/1…), a colon and the name of the line or field. */
export type Everything = ReadonlyMap<string, string>;

const moment = 'it belongs to the moment: it changes while the program runs';
const place = 'it belongs to the place where the program runs: its id, its parent, its session';
const residence = 'which pages are in memory is the business of the kernel';

/** What may differ after a restart, and why. */
export const mayDiffer: readonly { readonly what: RegExp; readonly why: string }[] = [
  { what: /status: (State|SigQ|(non)?voluntary_ctxt_switches)$/, why: moment },
  { what: /status: (Vm(Peak|HWM|RSS|PTE|Swap|Lck|Pin)|Rss\w+|HugetlbPages)$/, why: residence },
  { what: /status: (Tgid|Pid|PPid|Ngid|NS\w+|TracerPid)$/, why: place },
  { what: /status: FDSize$/, why: 'the room of the descriptor table grows with its use and never shrinks' },
  { what: /stat: (state|flags|(c?m..flt)|c?[us]time|rss|kstk..p|wchan|processor|nswap|cnswap|delayacct|c?guest_time)$/, why: moment },
  { what: /stat: (pid|ppid|pgrp|session|tty_nr|tpgid|starttime)$/, why: place },
  { what: /smaps: .* (Rss|Pss\w*|Shared_\w+|Private_\w+|Referenced|Anonymous|KSM|LazyFree|AnonHugePages|\w+PmdMapped|Swap\w*|Locked)$/, why: residence },
  { what: /smaps: .* sd$/, why: 'soft-dirty marks begin anew with each mapping' },
  { what: /smaps: .* gu$/, why: 'says that there may be guard pages, and stays when there are none left' },
  { what: /sched: (?!policy$|prio$)/, why: moment },
  { what: /^fdinfo: 1 pos$/, why: 'test programs write to it meanwhile' },
  { what: /^fdinfo: \d+ (ticks|it_value)$/, why: moment },
  { what: /^fdinfo: \d+ (Pid|NSpid)$/, why: 'the former id of a child may still be taken, until init has heard of its end' },
  { what: /^fdinfo: \d+ (ino|eventfd-id)$/, why: 'pipes, sockets and their like are new ones, with new numbers' },
]; // prettier-ignore

const statFields =
  'pid comm state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice num_threads itrealvalue starttime vsize rss rsslim startcode endcode startstack kstkesp kstkeip signal blocked sigignore sigcatch wchan nswap cnswap exit_signal processor rt_priority policy delayacct guest_time cguest_time start_data end_data start_brk arg_start arg_end env_start env_end exit_code'.split(
    ' ',
  );

/** Files that are compared as they are. */
const whole =
  'comm cmdline environ auxv limits personality coredump_filter oom_score_adj cgroup uid_map gid_map projid_map setgroups loginuid attr/current timens_offsets'.split(
    ' ',
  );
const links = ['exe', 'cwd', 'root'];

/** A snapshot of a process that waits. Needs to be root, or the process's user. */
export function everythingOf(pid: number): Everything {
  const found = new Map<string, string>();
  const read = (name: string): string | undefined => {
    try {
      return fs.readFileSync(`/proc/${pid}/${name}`, 'latin1');
    } catch {
      return undefined; // not in this kernel
    }
  };
  const link = (name: string): string | undefined => {
    try {
      return fs.readlinkSync(`/proc/${pid}/${name}`);
    } catch {
      return undefined;
    }
  };
  const put = (key: string, value: string | undefined): void => void (value !== undefined && found.set(key, value.trim()));
  const byId = fs
    .readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .toSorted((a, b) => a - b);
  const tids = [pid, ...byId.filter((tid) => tid !== pid)]; // the leader first
  for (const name of whole) put(name, read(name));
  for (const name of links) put(name, link(name));
  for (const name of fs.readdirSync(`/proc/${pid}/ns`)) put(`ns/${name}`, link(`ns/${name}`));
  put(
    'timers',
    read('timers')?.replace(/id\.(\d+)/g, (_, id: string) => `id of thread ${tids.indexOf(Number(id))}`),
  );
  mappings(read('smaps') ?? '', put);
  descriptors(pid, fs.readdirSync(`/proc/${pid}/fd`), link, read, put);
  tids.forEach((tid, index) => thread(`task/${tid}`, `task/${index}`, read, put));
  return found;
}

type Put = (key: string, value: string | undefined) => void;
type Read = (name: string) => string | undefined;

function thread(path: string, key: string, read: Read, put: Put): void {
  put(`${key}/comm`, read(`${path}/comm`));
  lines(`${key}/status`, read(`${path}/status`) ?? '', put);
  lines(`${key}/sched`, read(`${path}/sched`) ?? '', put);
  const stat = read(`${path}/stat`) ?? '';
  const values = [
    '',
    '',
    ...stat
      .slice(stat.lastIndexOf(')') + 2)
      .trim()
      .split(' '),
  ];
  statFields.forEach((name, index) => name !== 'pid' && name !== 'comm' && put(`${key}/stat: ${name}`, values[index]));
}

function lines(key: string, text: string, put: Put): void {
  for (const line of text.split('\n')) {
    const [, name, value] = /^([^:]+?)\s*:(.*)$/.exec(line) ?? [];
    if (name !== undefined) put(`${key}: ${name}`, value);
  }
}

/** Ranges with permissions and files, and what the kernel says of each; flags one by one. */
function mappings(text: string, put: Put): void {
  let range = '';
  for (const line of text.split('\n')) {
    const [, name = '', value = ''] = /^(\w+):\s*(.*)$/.exec(line) ?? [];
    if (name === '') {
      range = line.split(' ')[0] ?? '';
      put(`smaps: ${range}`, line.slice(range.length).replace(/ \w+:\w+ \d+ +\S.* \(deleted\)$/, ' (deleted)'));
    } else if (name !== 'VmFlags') put(`smaps: ${range} ${name}`, value);
    else for (const flag of value.trim().split(' ')) put(`smaps: ${range} ${flag}`, 'set');
  }
}

function descriptors(pid: number, fds: readonly string[], link: Read, read: Read, put: Put): void {
  for (const fd of fds) {
    const target = link(`fd/${fd}`)?.replace(`/proc/${pid}`, '/proc/self');
    put(`fd/${fd}`, target?.replace(/:\[\d+\]$/, '').replace(/^.* \(deleted\)$/, '(deleted)'));
    const all = new Map<string, string[]>();
    for (const line of (read(`fdinfo/${fd}`) ?? '').split('\n')) {
      const [, name = '', value = ''] = /^([\w-]+):\s*(.*)$/.exec(line) ?? [];
      all.set(name, [...(all.get(name) ?? []), comparable(name, value, pid)]);
    }
    for (const [name, values] of all) if (name !== '') put(`fdinfo: ${fd} ${name}`, values.toSorted().join('; '));
  }
}

/** Without the numbers of inodes and processes; O_TMPFILE, which tells how a file was made; whether an EPOLLONESHOT has struck. */
function comparable(name: string, value: string, pid: number): string {
  if (name === 'flags') return (parseInt(value, 8) & ~0o20200000).toString(8);
  if (name === 'lock') return value.replace(/^\d+: /, '').replace(` ${pid} `, ' ').replace(/:\d+ /, ' '); // prettier-ignore
  return name === 'tfd' ? value.replace(/events: 400000\w\w/, 'once').replace(/pos:.*/, '') : value;
}

/** A line for everything that differs and may not. */
export function differences(before: Everything, after: Everything): string[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => before.get(key) !== after.get(key) && !mayDiffer.some(({ what }) => what.test(key)))
    .map((key) => `${key} was ${before.get(key) ?? 'absent'}, is ${after.get(key) ?? 'absent'}`);
}
