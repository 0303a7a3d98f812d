/** Processes as /proc shows them. A process is known by its pid and its start time, since pids are used again. */
import * as fs from 'node:fs';
import { spawnSync } from 'node:child_process';

export interface Process {
  readonly pid: number;
  readonly startTime: string;
}

/** The fields of /proc/PID/stat after the name, from field 3 (state); undefined if there is no such process. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

export function identify(pid: number): Process {
  return { pid, startTime: statFields(pid)?.[19] ?? 'gone' };
}

/** R, S, D, T (stopped), t (traced); undefined when gone, or dead and not yet reaped by init. */
export function processState({ pid, startTime }: Process): string | undefined {
  const fields = statFields(pid);
  if (fields === undefined || fields[19] !== startTime) return undefined;
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[0];
}

export function kill(process_: Process, signal: NodeJS.Signals): void {
  if (processState(process_) === undefined) return;
  try {
    process.kill(process_.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export function allPids(): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Whoever runs this executable file now. */
export function runningExecutable(path: string): number[] {
  return allPids().filter((pid) => processState(identify(pid)) !== undefined && readLink(`/proc/${pid}/exe`) === path);
}

/** Whoever runs an executable file from this directory. */
export function runningBelow(directory: string): number[] {
  return allPids().filter((pid) => readLink(`/proc/${pid}/exe`)?.startsWith(`${directory}/`));
}

/** Whoever has this path among its arguments, e.g. an image: our own commands at work. */
export function mentioning(path: string): number[] {
  return allPids().filter((pid) => processState(identify(pid)) !== undefined && read(`/proc/${pid}/cmdline`).includes(path));
}

export function descendants(pid: number): number[] {
  const parents = new Map(allPids().map((each) => [each, Number(statFields(each)?.[1])]));
  const below = (root: number): number[] =>
    [...parents].filter(([, parent]) => parent === root).flatMap(([each]) => [each].concat(below(each)));
  return below(pid);
}

export const comm = (pid: number): string => read(`/proc/${pid}/comm`).trimEnd();
export const commandLine = (pid: number): string[] => read(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
export const parentOf = (pid: number): number => Number(statFields(pid)?.[1] ?? 0);
export const tracerOf = (pid: number): number => Number(/^TracerPid:\s*(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);

/** Process group in the foreground of its terminal: field 8 of stat, and its own group: field 5. */
export function isForeground(pid: number): boolean {
  const fields = statFields(pid);
  return fields !== undefined && fields[2] === fields[5];
}

function read(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function readLink(path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Uid to be an ordinary user with, and the reason why not, as a value for the `skip` option of a test. */
export function ordinaryUser(checkout: string): { uid: number | undefined; skip: string | false } {
  if (process.getuid?.() !== 0) return { uid: undefined, skip: 'needs root, to become another user (this run is one already)' };
  const uid = 64_000 + (process.pid % 1000); // nobody's, and each test file its own
  const id = String(uid);
  const probe = (...command: string[]) =>
    spawnSync('setpriv', ['--reuid', id, '--regid', id, '--clear-groups', '--', ...command], { encoding: 'utf8' });
  if (probe('true').status !== 0) return { uid, skip: 'needs setpriv (util-linux)' };
  if (probe('test', '-r', `${checkout}/bin/stasis`).status !== 0)
    return { uid, skip: `needs a checkout that others can read, ${checkout} is not` };
  if (probe('node', '--version').status !== 0) return { uid, skip: 'needs a node that others can run' };
  return { uid, skip: false };
}

/**
 * Closes what this process inherited besides 0, 1 and 2, so that programs started here do not inherit it in their turn: a
 * pipe of somebody's editor or CI would be a blocker of every checkpoint. All descriptors of Node's own are close-on-exec.
 */
export function closeInherited(): void {
  const closeOnExec = 0o2000000;
  for (const fd of fs.readdirSync('/proc/self/fd').map(Number)) {
    const flags = /^flags:\s*([0-7]+)/m.exec(read(`/proc/self/fdinfo/${fd}`))?.[1];
    if (fd > 2 && flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0) fs.closeSync(fd);
  }
}
