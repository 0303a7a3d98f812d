/** Starting the supervisor: the process that answers the two system calls. It is nobody's child and in nobody's way. */
import { closeSync, readSync } from 'node:fs';
import { x86_64 } from './arch/x86_64.ts';
import { engineCommand } from './engine-command.ts';
import { StasisError } from './errors.ts';
import { syscall, syscallError } from './linux/ffi.ts';
import { makePipe, PidFd } from './linux/descriptors.ts';
import {
  EBUSY,
  filterProgram,
  installFilter,
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_SET_MODE_FILTER,
} from './linux/seccomp.ts';
import type { SeriesOptions } from './series.ts';
import { detachStreams } from './messages.ts';
import { environment, SpawnTable } from './linux/spawn.ts';
import { supervisorMark } from './supervised.ts';
import { pause } from './tracee/tracee.ts';

const F_SETFD = 2;

function supervisorCommand(pid: number, series?: SeriesOptions): string[] {
  const words = [supervisorMark, String(pid)];
  return engineCommand('supervise', series === undefined ? words : [...words, JSON.stringify(series)]);
}

/** Where the supervisor finds its listener. */
export const listenerFd = 3;

function addSupervisor(
  table: SpawnTable,
  pid: number,
  listener: number,
  errors = 2,
  series?: SeriesOptions,
): { setListener(fd: number): void } {
  const clear = table.add('fcntl', [listener, F_SETFD, 0]);
  const move = table.add('dup3', [listener, listenerFd, 0], true); // fails when it is that already
  table.add('setsid', []);
  detachStreams(table, errors);
  table.unblockSignals();
  const command = supervisorCommand(pid, series);
  table.execute(command[0] ?? '', command, environment());
  return {
    setListener(fd) {
      table.change(clear, fd);
      table.change(move, fd);
    },
  };
}

/**
 * Makes the two system calls available to the program that this process is about to execute. The supervisor is
 * started before the filter is in force, so that it does not live under it itself (its listener would never close).
 */
export function superviseThisProcess(series?: SeriesOptions): void {
  const table = new SpawnTable(x86_64.code.spawn);
  table.blockSignals();
  const gate = table.gate();
  const CLONE_FILES = 0x400;
  table.add('unshare', [CLONE_FILES]);
  const supervisor = addSupervisor(table, process.pid, -1, 2, series);
  const pid = table.start({ shareDescriptors: true });
  const fd = installFilter();
  if (fd < 0) {
    syscall('kill', pid, 9);
    if (fd === EBUSY && series !== undefined)
      throw new StasisError('FAILED', 'Cannot make a series of images: the program runs under another stasis run', {
        phase: 'supervise',
        hint: 'Ask the outer one for it.',
      });
    if (fd === EBUSY) return; // an outer stasis run serves us already
    throw syscallError('seccomp', fd, 'Cannot make checkpoint and restart available', {
      code: 'PRIVILEGE',
      phase: 'supervise',
      hint: 'The kernel needs CONFIG_SECCOMP_FILTER; "stasis doctor" tells more.',
    });
  }
  supervisor.setListener(fd);
  gate.open();
}

interface Supervision {
  /** Starts the supervisor and lets the process go on; the supervisor's pid, if it needs one of its own. */
  afterStart(pid: number, failed?: () => boolean): number | undefined;
}

/**
 * The same for a process that still runs a table of ours: calls to be added to it, and what to do when it has made them.
 * `errors`: our descriptor on which the supervisor says what went wrong.
 */
export function superviseSpawned(table: SpawnTable, errors = 2): Supervision {
  const PR_SET_NO_NEW_PRIVS = 38;
  if (process.geteuid?.() !== 0) table.add('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
  const place = table.bytes(new Uint8Array(128));
  table.write(place, filterProgram(place));
  const call = table.add('seccomp', [SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, place], true);
  const gate = table.gate();
  return {
    afterStart(pid, failed = () => false) {
      try {
        let fd = table.result(call);
        for (let round = 0; fd === 0; round++) {
          if (failed()) return undefined;
          if (round > 20_000) throw new StasisError('FAILED', 'The new process does not react', { phase: 'exec' });
          pause(0.1);
          fd = table.result(call);
        }
        if (fd < 0 && fd !== EBUSY) {
          throw syscallError('seccomp', fd, 'Cannot make checkpoint and restart available', {
            code: 'PRIVILEGE',
            phase: 'supervise',
          });
        }
        return fd > 0 ? startSupervisor(pid, fd, errors) : undefined;
      } catch (error) {
        syscall('kill', pid, 9); // it would wait for ever
        throw error;
      } finally {
        gate.open();
      }
    },
  };
}

function startSupervisor(pid: number, fd: number, errors: number): number {
  using process = new PidFd(pid);
  const listener = process.duplicate(fd);
  if (listener < 0)
    throw syscallError('pidfd_getfd', listener, 'Cannot take the listener of the new process', { code: 'PRIVILEGE' });
  const table = new SpawnTable(x86_64.code.spawn);
  table.blockSignals();
  addSupervisor(table, pid, listener, errors);
  const [ending, held] = makePipe();
  const supervisor = table.start();
  closeSync(held);
  syscall('close', listener);
  // Its command line says whom it serves, as soon as it has executed: until then nobody else could tell.
  readSync(ending, new Uint8Array(1));
  closeSync(ending);
  table.free();
  return supervisor;
}
