/**
 * Making the processes of an image as children, in their sessions and groups. A session is inherited by fork and cannot
 * be joined later, so who belongs to the one that its parent left is made before the parent leaves it, and who belongs
 * to one whose leader is not its parent is made by a stand-in of that leader (CLONE_PARENT). Groups can be joined at
 * any time. Source: man 2 setsid, man 2 setpgid, man 2 clone.
 */
import { StasisError } from './errors.ts';
import { syscall } from './linux/ffi.ts';
import { timespec } from './linux/abi/time.ts';
import { signalMask } from './linux/signals.ts';
import type { Member, Tree } from './objects/tree.ts';
import type { TaskRebuild } from './rebuild.ts';
import type { Area, Batch } from './tracee/batch.ts';
import { makeChild, type ChildOptions } from './tracee/make-child.ts';
import type { Tracee } from './tracee/tracee.ts';

const CLONE_PARENT = 0x8000;
const WALL = 0x40000000;
const SIGCHLD = 17;

export class Family {
  readonly #members = new Map<number, Member>();
  readonly #root: Member;
  readonly #strict: boolean;
  readonly #tasks = new Map<number, TaskRebuild>();
  /** Made before their record came, by former pid. */
  readonly #early = new Map<number, Area>();
  /** In place of processes that have ended, by their former pid; with the process that they are a child of. */
  readonly #standIns = new Map<number, { readonly area: Area; readonly parent: TaskRebuild }>();
  readonly #zombies: { readonly area: Area; readonly member: Member; readonly parent: TaskRebuild }[] = [];
  /** The session that a process of the restart is in, by former pid of the process: the former number of the session. */
  readonly #sessions = new Map<number, number>();

  /** `sameIds`: all processes get their former ids. */
  constructor({ members }: Tree, sameIds: boolean) {
    const [root] = members;
    if (root === undefined) throw new StasisError('IMAGE', 'The tree of the image is empty');
    this.#root = root;
    this.#strict = sameIds;
    for (const member of members) {
      if (this.#members.has(member.pid))
        throw new StasisError('IMAGE', `The tree of the image holds process ${member.pid} twice`);
      if (member !== root && !this.#members.has(member.parent))
        throw new StasisError('IMAGE', `The tree of the image holds process ${member.pid} before its parent`);
      this.#members.set(member.pid, member);
    }
  }

  /** The former ids of all processes and threads, the root's first. */
  get ids(): number[] {
    return [...this.#members.values()].flatMap(({ pid, tids = [] }) => [pid].concat(tids));
  }

  /** The ids of those that have ended and wait for their parent, by what they were. */
  get endedIds(): [former: number, now: number][] {
    return this.#zombies.map(({ area, member }) => [member.pid, area.tracee.tid]);
  }

  /** How the process `pid` comes into being; the root does so elsewhere. */
  birth(pid: number): (path: string) => Tracee {
    const member = this.#member(pid);
    return (path) => {
      const area = this.#early.get(pid) ?? this.#makeIn(member, this.#parentOf(member));
      this.#early.delete(pid);
      area.execute(path);
      return area.tracee;
    };
  }

  /** The process `pid` as a fork of its parent, which has its memory by now. */
  fork(pid: number): { area: Area; from: TaskRebuild } {
    const member = this.#member(pid);
    const from = this.#parentOf(member);
    const isEarly = this.#early.has(pid) || (member.session !== pid && member.session !== this.#sessions.get(member.parent));
    if (isEarly) throw new StasisError('IMAGE', `Process ${pid} cannot have the memory of its parent`);
    return { area: this.#makeIn(member, from).withOwnTables(), from };
  }

  /** The task has its working area: children that shall not follow it into its session are made first. */
  settle(pid: number, task: TaskRebuild): void {
    const member = this.#member(pid);
    this.#tasks.set(pid, task);
    const inherited = member === this.#root ? member.session : (this.#sessions.get(member.parent) ?? member.session);
    this.#sessions.set(pid, inherited);
    if (member === this.#root || member.session !== pid) return;
    for (const child of this.#members.values()) {
      const isEarly = child.parent === pid && child.exitStatus === undefined && child.session === inherited;
      if (isEarly && child.session !== child.pid) this.#early.set(child.pid, this.#fork(task, child));
    }
    task.batch.add('begin a session', 'setsid', []);
    task.flush();
    this.#sessions.set(pid, pid);
  }

  /** All have been made: groups, and those that have ended. */
  finish(notes: string[]): void {
    for (const member of this.#members.values()) if (member.exitStatus !== undefined) this.#makeZombie(member);
    this.#keepGroup(notes);
    for (const member of this.#members.values()) this.#joinGroup(member, notes);
    for (const { area, member } of this.#zombies) endAs(area, member.exitStatus ?? 0);
    for (const { area, parent } of this.#standIns.values()) endStandIn(area, parent);
    const parents = new Set([...this.#zombies, ...this.#standIns.values()].map(({ parent }) => parent));
    for (const parent of parents) forgetSignals(parent);
  }

  /** What has been made and is no task of the image (yet). */
  get others(): Tracee[] {
    const areas = [...this.#early.values(), ...[...this.#standIns.values(), ...this.#zombies].map(({ area }) => area)];
    return areas.map(({ tracee }) => tracee);
  }

  #member(pid: number): Member {
    const member = this.#members.get(pid);
    if (member === undefined) throw new StasisError('IMAGE', `The tree of the image does not hold process ${pid}`);
    return member;
  }

  #parentOf(member: Member): TaskRebuild {
    const parent = this.#tasks.get(member.parent);
    if (parent === undefined) throw new StasisError('IMAGE', `The image holds process ${member.pid} before its parent`);
    return parent;
  }

  /** By its parent, or by somebody in its session who makes it a child of that one. */
  #makeIn(member: Member, parent: TaskRebuild): Area {
    const inherited = this.#sessions.get(member.parent);
    if (member.session === member.pid || member.session === inherited) return this.#fork(parent, member);
    const leader = this.#tasks.get(member.session);
    const isSibling = leader !== undefined && this.#members.get(member.session)?.parent === member.parent;
    const maker = isSibling ? leader.area : this.#standIn(member.session, parent, true);
    return makeChild(maker, { ...this.#childOptions(member), flags: CLONE_PARENT });
  }

  #childOptions({ pid, exitSignal }: Member): ChildOptions {
    return { exitSignal, wanted: pid, strict: this.#strict };
  }

  #fork(parent: TaskRebuild, member: Member): Area {
    parent.flush();
    return makeChild(parent.area, this.#childOptions(member));
  }

  /** A process with the number of one that has ended, as leader of a session or of a group. */
  #standIn(pid: number, parent: TaskRebuild, session: boolean): Area {
    const known = this.#standIns.get(pid)?.area;
    if (known !== undefined) return known;
    parent.flush();
    const area = makeChild(parent.area, { exitSignal: SIGCHLD, wanted: pid });
    this.#standIns.set(pid, { area, parent });
    run(area, (batch) => (session ? batch.add('begin a session', 'setsid', []) : batch.add('begin a group', 'setpgid', [0, 0])));
    return area;
  }

  #makeZombie(member: Member): void {
    const parent = this.#parentOf(member);
    const area = this.#makeIn(member, parent);
    this.#zombies.push({ area, member, parent });
    run(area, (batch) => {
      if (member.session === member.pid) batch.add('begin a session', 'setsid', []);
      const PR_SET_NAME = 15;
      batch.add('set the name', 'prctl', [PR_SET_NAME, batch.text(member.comm ?? ''), 0, 0, 0]);
    });
  }

  /**
   * A shell that comes back as another process (in the foreground, that of the restart) gives the terminal to the group that it
   * remembers after each job. So a group of that number is made, by a stand-in that has it as its pid, and the shell joins it.
   */
  #keepGroup(notes: string[]): void {
    const { pid, group, jobControl } = this.#root;
    const task = this.#tasks.get(pid);
    if (jobControl !== true || task === undefined || group !== pid) return;
    const { tid } = task.leader;
    if (tid === pid || syscall('getsid', tid) === tid) return;
    const isKept = this.#standIn(group, task, false).tracee.tid === group;
    const result = isKept ? run(task.area, (batch) => batch.add('keep a group', 'setpgid', [0, group], { mayFail: true })) : -1n;
    if (result < 0n)
      notes.push(
        `The shell cannot have its former process group ${group}: its job control will not work. It takes CAP_CHECKPOINT_RESTORE.`,
      );
  }

  #joinGroup(member: Member, notes: string[]): void {
    if (member === this.#root) return;
    const area = this.#areaOf(member);
    const { tid } = area.tracee;
    const wanted = this.#groupFor(member, area);
    if (syscall('getpgid', tid) === wanted) return;
    const result = run(area, (batch) =>
      batch.add('join a process group', 'setpgid', [0, wanted === tid ? 0 : wanted], { mayFail: true }),
    );
    if (result < 0n) notes.push(`Process ${tid}, which was ${member.pid}, could not be put into its process group.`);
  }

  /** The number here of the group that the member was in. */
  #groupFor(member: Member, area: Area): number {
    const { group } = member;
    if (group === this.#root.group && member.session === this.#root.session) {
      return syscall('getpgid', this.#areaOf(this.#root).tracee.tid);
    }
    const leader = this.#members.get(group);
    if (leader === member) return area.tracee.tid;
    if (leader === undefined) {
      const holder = this.#standIns.get(group)?.area;
      if (holder !== undefined) return holder.tracee.tid;
      const parent = this.#tasks.get(member.pid) ?? this.#parentOf(member);
      return this.#standIn(group, parent, false).tracee.tid;
    }
    const other = this.#areaOf(leader);
    // It may come later in the list than those who join it.
    if (syscall('getpgid', other.tracee.tid) !== other.tracee.tid)
      run(other, (batch) => batch.add('begin a group', 'setpgid', [0, 0], { mayFail: true }));
    return other.tracee.tid;
  }

  #areaOf(member: Member): Area {
    const area = this.#tasks.get(member.pid)?.area ?? this.#zombies.find((zombie) => zombie.member === member)?.area;
    if (area === undefined) throw new StasisError('IMAGE', `The image holds no task for process ${member.pid} of its tree`);
    return area;
  }
}

function run(area: Area, add: (batch: Batch) => unknown): bigint {
  const batch = area.batch();
  add(batch);
  return batch.run().at(-1) ?? 0n;
}

/** Ends a process as wait shall tell of it. Source: man 2 wait (status). */
function endAs(area: Area, status: number): void {
  const signal = status & 0x7f;
  if (signal === 0) area.exit(status >> 8);
  else area.tracee.killBy(signal);
}

/** Nobody hears of it: its parent waits for it before it knows of anything. */
function endStandIn(area: Area, parent: TaskRebuild): void {
  area.exit(0);
  parent.room(1);
  parent.batch.add('wait for a stand-in', 'wait4', [area.tracee.tid, 0, WALL, 0]);
  parent.flush();
}

/** The ends of those that were made for the purpose have left a SIGCHLD. What was pending before comes back by itself. */
function forgetSignals(parent: TaskRebuild): void {
  parent.room(1, 128);
  const { batch } = parent;
  const set = batch.data(new Uint8Array(BigUint64Array.of(signalMask(SIGCHLD)).buffer));
  batch.add('forget a signal', 'rt_sigtimedwait', [set, 0, batch.data(timespec.make({})), 8], { mayFail: true });
  parent.flush();
}
