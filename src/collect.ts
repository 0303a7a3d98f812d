/** The state of stopped processes as the records of an image, nested as the RFC nests them. */
import { CannotCarryError, type Blocker } from './errors.ts';
import type { SmapsVma } from './linux/proc/smaps.ts';
import { guardPages, ownPages, runsWithin, type PageRuns } from './linux/pagemap.ts';
import { MemoryFile } from './linux/process-memory.ts';
import { major, minor } from './linux/proc/fds.ts';
import { readExe } from './linux/proc/links.ts';
import { statProcIfPresent } from './linux/proc/read.ts';
import type { SeccompFilter } from './linux/seccomp-filters.ts';
import type { Frozen, FrozenProcess, FrozenThread } from './freeze.ts';
import { collectCarried } from './objects/carried-file.ts';
import { collectCpu } from './objects/cpu.ts';
import { cpuRefusals } from './objects/cpu-refusals.ts';
import { clocks, collectClocks } from './objects/clocks.ts';
import { collectCredentials, credentials } from './objects/credentials.ts';
import { identify, referToFile } from './objects/file.ts';
import { collectFiles } from './objects/files.ts';
import { collectFs, fs } from './objects/fs.ts';
import { collectLdt } from './objects/ldt.ts';
import { collectLimits, limits } from './objects/limits.ts';
import { collectIntervalTimers } from './objects/interval-timers.ts';
import { collectMembarrier } from './objects/membarrier.ts';
import { difference, findInheritance, inheritAll, type Inheritance, type Relative } from './objects/inheritance.ts';
import { collectMm, isTimeMapping, largestHole, mm, type Hole } from './objects/mm.ts';
import { node, type Collection, type ImageNode, type ThreadCollection } from './objects/object.ts';
import { ObjectTable, type CollectionChoices } from './objects/object-table.ts';
import { collectRefusals } from './objects/refusals.ts';
import { collectPendingSignals, collectThreadPendingSignals } from './objects/pending-signals.ts';
import { collectPosixTimers } from './objects/posix-timers.ts';
import { cpuKinds, openFileKinds, vmaKinds } from './objects/registry.ts';
import { collectScheduling, scheduling } from './objects/scheduling.ts';
import { collectSeccomp, suspendFilters } from './objects/seccomp.ts';
import { collectSettings, settings } from './objects/settings.ts';
import { memoryKey, referToMemory } from './objects/shared-memory.ts';
import { collectSignals, signals } from './objects/signals.ts';
import { collectSyscallDispatch, dispatchBlocker } from './objects/syscall-dispatch.ts';
import { collectTask, executable, task } from './objects/task.ts';
import { collectThreadSettings, threadSettings } from './objects/thread-settings.ts';
import { sharedThings } from './objects/sharing.ts';
import { collectThread, thread } from './objects/thread.ts';
import { collectTree, tree, type Member } from './objects/tree.ts';
import { joinAlike } from './objects/vma-anonymous.ts';
import { isBlocker, vmaBlocker, type MappingBase } from './objects/vma.ts';
import { collectTls, tls } from './objects/tls.ts';
import { Follower, silentSignal } from './tracee/follower.ts';
import { Injector } from './tracee/injector.ts';
import type { Inquiry } from './tracee/inquiry.ts';
import { encodeNote, noteSize } from './tracee/sleep-note.ts';
import { notesOf } from './tracee/vdso.ts';

export interface CollectOptions extends CollectionChoices {
  /** For a checkpoint that the task itself asked for: our duplicate of the descriptor that receives the image. */
  readonly imageFd?: number | undefined;
  /** checkpoint and restart are served to the task. */
  readonly systemCalls: boolean;
  /** The thread that waits in the system call, and what that answers in the restarted program. */
  readonly answer?: { readonly tid: number; readonly value: number } | undefined;
  /** The root's memory is not stored: the restart is given a copy of it (branch.ts). */
  readonly rootStays?: boolean | undefined;
  /** The pages of the mappings are looked for later, by who asks for it: until then the mappings seem to have none. */
  readonly pagesLater?: boolean | undefined;
  /** Called once per process, when everything else is known of it and its leader is still driven. */
  readonly driven?: ((process: FrozenProcess, injector: Injector) => void) | undefined;
  /** Absolute patterns: these files come into the image, see objects/carried-file.ts. */
  readonly carry?: readonly string[] | undefined;
}

/** A record of the top level, and the process whose pages are in it. */
export interface TaskNode extends ImageNode {
  readonly pid: number;
  /** Pages of its private mappings that are stored with its parent. */
  readonly inherited?: PageRuns | undefined;
}

/** The records of all processes, each with everything inside. Throws CannotCarryError with all blockers. They are as before. */
export function collectProcesses(frozen: Frozen, options: CollectOptions): TaskNode[] {
  const blockers: Blocker[] = [];
  using objects = new ObjectTable(
    frozen.processes.map(({ pid }) => pid),
    options,
  );
  const { processes, zombies, root } = frozen;
  blockers.push(...sharedThings(processes));
  const related = collectTree(
    processes.map(({ leader, followers }) => ({
      stat: leader.stat,
      status: leader.status,
      tids: followers.map(({ tracee }) => tracee.tid),
    })),
    zombies,
  );
  const addressLimits = processes.map(({ leader }) => leader.tracee.architecture.addressLimit);
  const limit = addressLimits.reduce((lowest, one) => (one < lowest ? one : lowest));
  const hole = largestHole(unionOf(processes.map(({ vmas }) => vmas)), limit);
  const context = { objects, blockers, options, hole };
  const relatives = new Map(related.members.map((member) => [member.pid, member]));
  const relative = (process: FrozenProcess): (Relative & Member) | undefined => {
    const member = relatives.get(process.pid);
    return member && { ...member, vmas: process.vmas };
  };
  const inheritanceOf = (process: FrozenProcess): Inheritance | undefined => {
    const child = relative(process);
    const parentProcess = processes.find(({ pid }) => pid === child?.parent);
    const parent = parentProcess && relative(parentProcess);
    if (process === root) return options.rootStays === true ? inheritAll(root) : undefined;
    return child === undefined || parent === undefined ? undefined : findInheritance(child, parent);
  };
  const nodes = [
    { ...node(tree.record, related), pid: root.pid },
    ...processes.map((process) => collectProcess(process, inheritanceOf(process), context)),
  ];
  blockers.push(...objects.finish());
  if (blockers.length > 0) throw new CannotCarryError(root.pid, blockers);
  return nodes;
}

/** All ranges, in rising order, so that a place free in it is free in all the processes. */
function unionOf(all: readonly (readonly SmapsVma[])[]): readonly SmapsVma[] {
  if (all.length === 1) return all[0] ?? [];
  return all.flat().sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
}

interface ImageContext {
  readonly objects: ObjectTable;
  readonly blockers: Blocker[];
  readonly options: CollectOptions;
  /** Free in all processes of the image: those that fork share the place where a restart works. */
  readonly hole: Hole;
}

function collectProcess(
  frozen: FrozenProcess,
  inheritance: Inheritance | undefined,
  { objects, blockers, options, hole }: ImageContext,
): TaskNode {
  const { pid, leader, followers, vmas, vdso } = frozen;
  const { tracee, status, stat } = leader;
  blockers.push(...collectRefusals(pid, status));
  const filters = new Map<number, SeccompFilter[]>();
  for (const thread of [leader, ...followers]) {
    const found = suspendFilters(thread.tracee, thread.status, options.systemCalls);
    if (Array.isArray(found)) filters.set(thread.tracee.tid, found);
    else blockers.push(found);
    const dispatched = dispatchBlocker(thread.tracee.tid);
    if (dispatched !== undefined) {
      filters.delete(thread.tracee.tid);
      blockers.push(dispatched);
    }
  }
  // No call may be made in a thread that might be killed for it.
  if (filters.size <= followers.length) throw new CannotCarryError(pid, blockers);
  const injectorFor = (thread: FrozenThread): Injector => new Injector(thread.tracee, vdso, thread.settled.healing, hole.start);
  using injector = injectorFor(leader);
  const { imageFd } = options;
  const collection: Collection = {
    pid,
    tracee,
    status,
    stat,
    vmas,
    vdso,
    injector,
    blockers,
    objects,
    imageFd,
    stopped: leader.at,
  };
  const children = [
    ...(pid === objects.processes[0] ? collectCarried(options.carry ?? [], blockers) : []),
    ...executableNodes(collection, inheritance !== undefined),
    node(mm.record, collectMm(collection, hole, inheritance), { children: mappingNodes(collection, inheritance, options) }),
    node(clocks.record, collectClocks(collection)),
    node(signals.record, collectSignals(collection)),
    node(fs.record, collectFs(collection)),
    node(limits.record, collectLimits(collection)),
    node(settings.record, collectSettings(collection)),
    ...collectLdt(injector),
    ...collectMembarrier(collection),
    ...collectPosixTimers(collection),
    ...collectPendingSignals(collection),
    ...collectIntervalTimers(collection),
    collectFiles(collection, openFileKinds),
  ];
  const { result, questions } = injector.record(() => threadNode(leader, injector, collection, filters, options));
  children.push(result);
  const value = collectTask(collection, frozen.groupStop, options.systemCalls);
  writeNotes(frozen, pid);
  // Those that cannot follow, one after the other: the room of the vdso holds the healing code of one thread at a time.
  const following = new Map<FrozenThread, ImageNode>();
  for (const follower of injector.followRoom === undefined ? [] : followers) {
    const signal = silentSignal(follower.status);
    if (signal === undefined) continue;
    const { tracee: other, settled } = follower;
    const own = new Follower({
      tracee: other,
      final: settled.healing,
      first: injector,
      status: follower.status,
      signal,
      questions,
    });
    following.set(follower, threadNode(follower, own, collection, filters, options));
  }
  options.driven?.(frozen, injector);
  injector[Symbol.dispose]();
  for (const follower of followers) {
    const found = following.get(follower);
    if (found !== undefined) {
      children.push(found);
      continue;
    }
    using own = injectorFor(follower);
    children.push(threadNode(follower, own, collection, filters, options));
  }
  return { ...node(task.record, value, { children }), pid, inherited: inheritance?.inherited };
}

/** For the next checkpoint: until when threads sleep that continue by restart_syscall. The longest sleeps where not all fit. */
function writeNotes({ leader, followers, vdso }: FrozenProcess, pid: number): void {
  const { at, count } = vdso.notes;
  const now = process.hrtime.bigint();
  const sleeping = [leader, ...followers].flatMap(({ tracee, settled: { sleep, registers } }) =>
    sleep === undefined
      ? []
      : [{ left: sleep.remaining, note: encodeNote(tracee.tid, sleep, registers, tracee.architecture, now) }],
  );
  if (count === 0 || (sleeping.length === 0 && notesOf(vdso).every((byte) => byte === 0))) return;
  sleeping.sort((one, other) => (one.left > other.left ? -1 : 1));
  const bytes = new Uint8Array(count * noteSize);
  sleeping.slice(0, count).forEach(({ note }, index) => bytes.set(note, index * noteSize));
  using memory = new MemoryFile(pid);
  memory.write(at, bytes);
}

function threadNode(
  frozen: FrozenThread,
  injector: Inquiry,
  process: Collection,
  filters: ReadonlyMap<number, readonly SeccompFilter[]>,
  { answer }: CollectOptions,
): ImageNode {
  const { tracee, status, settled } = frozen;
  const collection: ThreadCollection = { tid: tracee.tid, tracee, status, settled, injector, process };
  process.blockers.push(...cpuRefusals(tracee.tid, frozen.registers));
  const segments = collectTls(collection);
  const children = [
    node(
      cpuKinds[tracee.architecture.name].record,
      collectCpu(collection, answer?.tid === tracee.tid ? answer.value : undefined),
    ),
    ...(segments === undefined ? [] : [node(tls.record, segments)]),
    node(scheduling.record, collectScheduling(collection)),
    node(threadSettings.record, collectThreadSettings(collection)),
    ...collectSeccomp(process.objects, filters.get(tracee.tid) ?? []),
    node(credentials.record, collectCredentials(collection)),
    ...collectThreadPendingSignals(collection),
    ...collectSyscallDispatch(collection),
  ];
  return node(thread.record, collectThread(collection), { children });
}

function executableNodes(collection: Collection, inherited: boolean): ImageNode[] {
  const { pid, objects, blockers } = collection;
  const link = readExe(pid);
  const stat = link?.deleted === true ? statProcIfPresent(pid, 'exe') : undefined;
  if (link !== undefined && stat !== undefined && stat.nlink === 0n) {
    const key = memoryKey(`${major(Number(stat.dev))}:${minor(Number(stat.dev))}`, stat.ino);
    const origin = { backing: 'file', name: link.path, path: `/proc/${pid}/exe` } as const;
    const { objref, before } = referToMemory(collection, key, origin);
    return [...before, node(executable.record, { file: objref, ...(inherited && { inherited }) })];
  }
  const identity = link === undefined || link.deleted ? undefined : identify(link.path);
  if (identity === undefined) {
    blockers.push({
      object: 'executable',
      place: link?.path ?? '',
      reason: 'the program file was deleted or replaced',
      remedy: 'Start the program again, then checkpoint it',
    });
    return [];
  }
  const { objref, before } = referToFile(objects, identity);
  return [...before, node(executable.record, { file: objref, ...(inherited && { inherited }) })];
}

function mappingNodes(
  collection: Collection,
  inheritance: Inheritance | undefined,
  { pagesLater = false }: CollectOptions,
): ImageNode[] {
  const { pid, vmas, blockers } = collection;
  const mappings = vmas.filter((vma) => !isTimeMapping(vma) && vma.path !== '[vsyscall]');
  const withPages = mappings.filter((vma) => !vma.shared);
  const own = pagesLater ? [] : ownPages(pid, withPages);
  const runs = inheritance === undefined ? own : difference(own, inheritance.inherited);
  const guards = guardPages(pid, mappings);
  const nodes: ImageNode[] = [];
  let next = 0;
  let nextGuard = 0;
  for (const vma of mappings) {
    const stored = runsWithin(runs, vma, next);
    next = stored.next;
    const kind = vmaKinds.find((candidate) => candidate.recognise(vma));
    const found =
      kind?.collect(vma, collection, stored.runs) ??
      vmaBlocker(vma, 'mappings of this kind are not supported yet', 'Run the program without it');
    const guarded = runsWithin(guards, vma, nextGuard);
    nextGuard = guarded.next;
    if (isBlocker(found)) blockers.push(found);
    else for (const entry of found) nodes.push(withGuards(entry, guarded.runs));
  }
  return joinAlike(nodes);
}

/** Any private mapping, and shared ones of files, may have guard pages. Source: man 2 madvise (MADV_GUARD_INSTALL). */
function withGuards(entry: ImageNode, guards: PageRuns): ImageNode {
  const isMapping = entry.record.name.startsWith('vma-');
  return guards.length === 0 || !isMapping ? entry : { ...entry, value: { ...(entry.value as MappingBase), guards } };
}
