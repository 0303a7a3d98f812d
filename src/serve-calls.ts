/**
 * The two system calls, as their callers see them: a result or an errno, and one line on our standard error that says
 * why. Errors as in docs/system-calls.md.
 */
import { closeSync } from 'node:fs';
import { checkpoint, checkpointSelf } from './checkpoint.ts';
import { nextCheckpointId } from './checkpoint-id.ts';
import { CannotCarryError, isNodeError, StasisError, SyscallError } from './errors.ts';
import { freeze, type FrozenThread } from './freeze.ts';
import { PidFd } from './linux/descriptors.ts';
import { syscall } from './linux/ffi.ts';
import { mustPtrace, PTRACE, PTRACE_O } from './linux/ptrace.ts';
import { NR_checkpoint, NR_restart, type Listener, type Notification } from './linux/seccomp.ts';
import { readStat } from './linux/proc/stat.ts';
import { readStatus, type Status } from './linux/proc/status.ts';
import { controllingTerminal } from './linux/terminal.ts';
import { errno } from './linux/errno.ts';
import { largestHole } from './objects/mm.ts';
import type { Birth } from './rebuild.ts';
import { rebuildFrom, restart } from './restart.ts';
import { say } from './messages.ts';
import { openSink } from './sink.ts';
import { openSource } from './source.ts';
import { spool } from './spool.ts';
import { Injector } from './tracee/injector.ts';

interface Call {
  readonly caller: Status;
  /** The task it is about; the caller itself for pid 0. */
  readonly target: number;
  readonly fd: number;
}

const O_ACCMODE = 3;
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_PATH = 0o10000000;
const F_GETFL = 3;

/** Thrown for the errors that a caller can provoke by its parameters alone. */
class BadCall extends Error {
  readonly errno: number;

  constructor(number: number, reason: string) {
    super(reason);
    this.errno = number;
  }
}

export async function answerCheckpoint(listener: Listener, notification: Notification): Promise<void> {
  await answering(listener, notification, 'checkpoint', async () => {
    const call = understand(notification);
    using descriptor = takeDescriptor(call, O_WRONLY);
    if (call.target !== call.caller.tgid) return (await checkpoint(call.target, { fd: descriptor.fd })).id;
    await checkpointCaller(call, notification, descriptor.fd);
    return undefined;
  });
}

/** The caller waits in the call: it is stopped there, written down as if the call had answered 0, and gets its answer. */
async function checkpointCaller({ caller }: Call, notification: Notification, fd: number): Promise<void> {
  using output = openSink({ fd });
  using frozen = freeze(caller.tgid, { descendants: true });
  const thread = [frozen.root.leader, ...frozen.root.followers].find(({ tracee }) => tracee.tid === notification.tid);
  if (thread === undefined) return; // it has ended
  const { tracee, registers } = thread;
  const waiting = tracee.architecture.blockedCall(registers);
  if (waiting?.number !== NR_checkpoint) return; // a signal was faster; the call comes again
  const answer = (value: number): void => {
    tracee.setRegisters(tracee.architecture.withResult(registers, value));
    tracee.detach();
  };
  // Should we die, the call fails as it does without us.
  const unanswered = tracee.architecture.withResult(registers, -errno.ENOSYS);
  const healed = { ...thread, settled: { registers: unanswered, healing: unanswered } };
  const { leader, followers } = frozen.root;
  const heal = (other: FrozenThread): FrozenThread => (other === thread ? healed : other);
  const root = { ...frozen.root, leader: heal(leader), followers: followers.map(heal) };
  try {
    const id = nextCheckpointId();
    await checkpointSelf(output, {
      frozen: { ...frozen, processes: [root, ...frozen.processes.slice(1)], root },
      id,
      imageFd: fd,
      answer: { tid: tracee.tid, value: 0 },
    });
    answer(id);
  } catch (error) {
    answer(-errnoOf(error));
    report('checkpoint', notification.tid, error);
  }
}

export async function answerRestart(listener: Listener, notification: Notification): Promise<void> {
  await answering(listener, notification, 'restart', async () => {
    const call = understand(notification);
    if (call.target !== call.caller.tgid) throw new BadCall(errno.EINVAL, 'a task can only restart in its own place');
    if (call.caller.threads > 1) throw new BadCall(errno.EBUSY, 'the caller has more than one thread');
    using descriptor = takeDescriptor(call, O_RDONLY);
    // Everything is read and checked before the caller is touched: then it can still be told what is wrong.
    using image = spool(descriptor.fd);
    await restart({ fd: image.fd }, { dryRun: true });
    image.rewind();
    await becomeCaller(call, notification, image.fd);
    return undefined;
  });
}

async function becomeCaller({ caller }: Call, notification: Notification, fd: number): Promise<void> {
  const frozen = freeze(caller.pid, { descendants: false });
  const { leader, vdso, vmas } = frozen.root;
  const { tracee, registers } = leader;
  const waiting = tracee.architecture.blockedCall(registers);
  if (waiting?.number !== NR_restart) return frozen[Symbol.dispose]();
  let executed = false;
  const birth: Birth = (path) => {
    using injector = new Injector(
      tracee,
      vdso,
      tracee.architecture.withResult(registers, -errno.ENOSYS),
      largestHole(vmas, tracee.architecture.addressLimit).start,
    );
    injector.execute(path);
    executed = true;
    mustPtrace(PTRACE.SETOPTIONS, tracee.tid, 'Cannot guard the restart', 0, PTRACE_O.TRACESYSGOOD | PTRACE_O.EXITKILL);
    return tracee;
  };
  try {
    using input = openSource({ fd });
    const imageOnStdin = Number(BigInt.asIntN(32, notification.parameters[1] ?? 0n)) === 0;
    const surroundings = { imageOnStdin, terminal: controllingTerminal(readStat(caller.pid).tty_nr) };
    const result = await rebuildFrom(
      input,
      { birth, acceptChangedFiles: false, surroundings, keepOnFailure: () => !executed },
      {},
      true,
    );
    result.notes.forEach(say);
  } catch (error) {
    report('restart', notification.tid, error);
    if (executed) return;
    tracee.setRegisters(tracee.architecture.withResult(registers, -errnoOf(error)));
    tracee.detach();
  }
}

/** Runs the work and answers the call, unless the work answers by itself (undefined). */
async function answering(
  listener: Listener,
  { id, tid }: Notification,
  name: string,
  work: () => Promise<number | undefined>,
): Promise<void> {
  try {
    const result = await work();
    if (result !== undefined) listener.answer(id, result);
  } catch (error) {
    listener.answer(id, -errnoOf(error));
    report(name, tid, error);
  }
}

function understand({ tid, parameters }: Notification): Call {
  const [pidWord = 0n, fdWord = 0n, flags = 0n] = parameters;
  const caller = readStatus(tid);
  const pid = Number(BigInt.asIntN(32, pidWord));
  if (flags !== 0n) throw new BadCall(errno.EINVAL, `unknown flags 0x${flags.toString(16)}`);
  if (pid < 0) throw new BadCall(errno.ESRCH, `there is no process ${pid}`);
  const target = pid === 0 || pid === caller.nsTgid.at(-1) ? caller.tgid : pid;
  if (target !== caller.tgid) assertMayTrace(caller, target);
  return { caller, target, fd: Number(BigInt.asIntN(32, fdWord)) };
}

/** The rule of ptrace for the caller, not for us: same ids, or privileged. Source: man 2 ptrace. */
function assertMayTrace(caller: Status, target: number): void {
  const CAP_SYS_PTRACE = 19n;
  if ((caller.capEff & (1n << CAP_SYS_PTRACE)) !== 0n) return;
  const { uid, gid } = readStatus(target);
  const same = (ids: Status['uid'], id: number): boolean => ids.real === id && ids.effective === id && ids.saved === id;
  if (same(uid, caller.uid.real) && same(gid, caller.gid.real)) return;
  throw new BadCall(errno.EPERM, `the caller may not trace process ${target}`);
}

function takeDescriptor({ caller, fd }: Call, mode: number): { fd: number } & Disposable {
  using process = new PidFd(caller.tgid);
  const duplicate = fd < 0 ? -errno.EBADF : process.duplicate(fd);
  if (duplicate < 0) throw new BadCall(-duplicate, `descriptor ${fd} cannot be taken`);
  const flags = syscall('fcntl', duplicate, F_GETFL, 0);
  const wrongMode = mode === O_WRONLY ? (flags & O_ACCMODE) === O_RDONLY : (flags & O_ACCMODE) === O_WRONLY;
  if (wrongMode || (flags & O_PATH) !== 0) {
    closeSync(duplicate);
    throw new BadCall(errno.EBADF, `descriptor ${fd} is not open for ${mode === O_WRONLY ? 'writing' : 'reading'}`);
  }
  return { fd: duplicate, [Symbol.dispose]: () => closeSync(duplicate) };
}

/** The errno that stands for an error. Source: docs/system-calls.md. */
function errnoOf(error: unknown): number {
  if (error instanceof BadCall) return error.errno;
  if (error instanceof SyscallError) return error.errno;
  if (!(error instanceof StasisError)) return isNodeError(error) ? Math.abs(error.errno) : errno.EIO;
  switch (error.code) {
    case 'CANNOT_CARRY':
      return error instanceof CannotCarryError && error.blockers.some(({ object }) => object === 'tracer')
        ? errno.EBUSY
        : errno.EOPNOTSUPP;
    case 'PRIVILEGE':
      return errno.EPERM;
    case 'VANISHED':
      return errno.ESRCH;
    case 'IMAGE':
      return /\bends?\b|ended|empty|truncated/i.test(error.message) ? errno.EPIPE : errno.EINVAL;
    case 'USAGE':
      return errno.EINVAL;
    default:
      return isNodeError(error.cause) ? Math.abs(error.cause.errno) : errno.EIO;
  }
}

function report(name: string, tid: number, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  say(`${name} for ${tid}: ${message.replaceAll('\n', ' ')}`);
}
