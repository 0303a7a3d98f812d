/** The state of one stopped task as the records of an image, nested as the RFC nests them. */
import { CannotCarryError, type Blocker } from './errors.ts';
import { x86_64 } from './arch/x86_64.ts';
import { ownPages, runsWithin } from './linux/pagemap.ts';
import { readExe } from './linux/proc/links.ts';
import type { Frozen } from './freeze.ts';
import { collectCpu, cpuX86_64 } from './objects/cpu-x86_64.ts';
import { collectCredentials, credentials } from './objects/credentials.ts';
import { identify, referToFile } from './objects/file.ts';
import { collectFiles } from './objects/files.ts';
import { collectFs, fs } from './objects/fs.ts';
import { collectLimits, limits } from './objects/limits.ts';
import { collectMm, isTimeMapping, largestHole, mm } from './objects/mm.ts';
import { node, type Collection, type ImageNode } from './objects/object.ts';
import { ObjectTable } from './objects/object-table.ts';
import { collectRefusals, intervalTimers } from './objects/refusals.ts';
import { openFileKinds, vmaKinds } from './objects/registry.ts';
import { collectScheduling, scheduling } from './objects/scheduling.ts';
import { collectSettings, settings } from './objects/settings.ts';
import { collectSignals, signals } from './objects/signals.ts';
import { collectTask, executable, task } from './objects/task.ts';
import { isBlocker, vmaBlocker } from './objects/vma.ts';
import { Injector } from './tracee/injector.ts';
import { encodeNote } from './tracee/sleep-note.ts';

export interface CollectOptions {
  /** For a checkpoint that the task itself asked for: our duplicate of the descriptor that receives the image. */
  readonly imageFd?: number | undefined;
  /** checkpoint and restart are served to the task. */
  readonly systemCalls: boolean;
  /** What the system call in which the task waits answers in the restarted program. */
  readonly answer?: number | undefined;
  readonly blockers: readonly Blocker[];
}

/** The task's record with everything inside. Throws CannotCarryError with all blockers. The task is as before. */
export function collectTree(frozen: Frozen, options: CollectOptions): ImageNode {
  const { tracee, status, stat, vmas, vdso, settled } = frozen;
  const pid = tracee.tid;
  const blockers = [...options.blockers, ...collectRefusals(pid, status)];
  const objects = new ObjectTable();
  const hole = largestHole(vmas);
  using injector = new Injector(tracee, vdso, settled.healing, hole.start);
  const collection: Collection = {
    pid,
    tracee,
    status,
    stat,
    vmas,
    vdso,
    registers: settled.registers,
    injector,
    blockers,
    objects,
    imageFd: options.imageFd, // prettier-ignore
  };
  blockers.push(...intervalTimers(injector));
  const children = [
    ...executableNodes(collection),
    node(mm.record, collectMm(collection), { children: mappingNodes(collection) }),
    node(cpuX86_64.record, collectCpu(collection, settled.sleep, options.answer)),
    node(signals.record, collectSignals(collection)),
    node(fs.record, collectFs(collection)),
    node(limits.record, collectLimits(collection)),
    node(settings.record, collectSettings(collection)),
    node(scheduling.record, collectScheduling(collection)),
    node(credentials.record, collectCredentials(collection)),
    collectFiles(collection, openFileKinds),
  ];
  const root = node(task.record, collectTask(collection, frozen.groupStop, options.systemCalls), { children });
  if (settled.sleep !== undefined)
    injector.writeNote(encodeNote(settled.sleep, settled.registers, x86_64, process.hrtime.bigint()));
  if (blockers.length > 0) throw new CannotCarryError(pid, blockers);
  return root;
}

function executableNodes({ pid, objects, blockers }: Collection): ImageNode[] {
  const link = readExe(pid);
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
  return [...before, node(executable.record, { file: objref })];
}

function mappingNodes(collection: Collection): ImageNode[] {
  const { pid, vmas, blockers } = collection;
  const mappings = vmas.filter((vma) => !isTimeMapping(vma) && vma.path !== '[vsyscall]');
  const runs = ownPages(
    pid,
    mappings.filter((vma) => !vma.shared),
  );
  const nodes: ImageNode[] = [];
  let next = 0;
  for (const vma of mappings) {
    const own = runsWithin(runs, vma, next);
    next = own.next;
    const kind = vmaKinds.find((candidate) => candidate.recognise(vma));
    const found =
      kind?.collect(vma, collection, own.runs) ??
      vmaBlocker(vma, 'mappings of this kind are not supported yet', 'Run the program without it');
    if (isBlocker(found)) blockers.push(found);
    else nodes.push(...found);
  }
  return nodes;
}
