/** User and group ids. Source: man 7 credentials. */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { mapsAll, maySetGroups } from '../linux/proc/id-maps.ts';
import { readStatus, type Status } from '../linux/proc/status.ts';
import {
  capabilitiesNow,
  capabilitySets,
  collectCapabilities,
  restoreCapabilities,
  type CapabilitySets,
} from './capability-sets.ts';
import type { ObjectKind, Rebuild, ThreadCollection } from './object.ts';

type Ids = readonly [real: number, effective: number, saved: number, filesystem: number];

export interface CredentialsRecord {
  readonly uid: Ids;
  readonly gid: Ids;
  readonly groups: readonly number[];
  readonly noNewPrivileges: boolean;
  readonly capabilities: CapabilitySets;
}

/** The highest number is no id: it tells the kernel to leave an id as it is. */
const id = s.uint(0xffff_fffe);

const record: RecordKind<CredentialsRecord> = defineKind<CredentialsRecord>({
  tag: 0x34,
  name: 'credentials',
  parents: ['thread'],
  schema: s.record({
    uid: s.tuple(id, id, id, id),
    gid: s.tuple(id, id, id, id),
    groups: s.array(id, 65536),
    noNewPrivileges: s.bool(),
    capabilities: capabilitySets,
  }),
});

type Identity = Pick<CredentialsRecord, 'uid' | 'gid' | 'groups'>;

function identityOf({ uid, gid, groups }: Status): Identity {
  return {
    uid: [uid.real, uid.effective, uid.saved, uid.filesystem],
    gid: [gid.real, gid.effective, gid.saved, gid.filesystem],
    groups,
  };
}

export function collectCredentials(collection: ThreadCollection): CredentialsRecord {
  const { status } = collection;
  return { ...identityOf(status), noNewPrivileges: status.noNewPrivs, capabilities: collectCapabilities(collection) };
}

const PR_SET_NO_NEW_PRIVS = 38;
const CAP_SETGID = 1n << 6n;
const CAP_SETUID = 1n << 7n;

export const credentials: ObjectKind<CredentialsRecord> = {
  record,
  title: 'Credentials',
  carried:
    'User and group ids, supplementary groups, capabilities, secure bits, no_new_privs; given back where the restarting user may, else reported.',
  refused: '',

  /** Who may change ids gives the program its own back; anybody else keeps theirs. Privileges are never raised. */
  restart(value, rebuild) {
    const { status } = rebuild.fresh;
    const now = identityOf(status);
    const capabilities = capabilitiesNow(status);
    const { calls, injected } = rebuild.thread;
    calls.push(() => {
      const same = sameIds(value, now);
      const changed = !same && mayChange(value, now, capabilities, rebuild);
      const sameSets = (Object.keys(capabilities) as (keyof CapabilitySets)[]).every(
        (name) => value.capabilities[name] === capabilities[name],
      );
      if (changed || !sameSets) {
        const changeIds = changed ? () => setIds(value, now, rebuild) : undefined;
        restoreCapabilities(value.capabilities, capabilities, rebuild, changeIds);
        injected.push(() => assertNotRaised(value, changed, rebuild));
      }
      rebuild.room(1);
      if (value.noNewPrivileges && !status.noNewPrivs)
        rebuild.batch.add('set no_new_privs', 'prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
    });
  },
};

/** Says what stays when it may not. The file that was executed may have been set-user-ID: what counts is what is permitted. */
function mayChange(value: Identity, now: Identity, { permitted }: CapabilitySets, { notes, tracee }: Rebuild): boolean {
  const both = CAP_SETUID | CAP_SETGID;
  const known = mapsAll(tracee.tid, 'uid_map', value.uid) && mapsAll(tracee.tid, 'gid_map', value.gid);
  if ((permitted & both) === both && known) return true;
  const why = known ? 'who restarted it' : 'as the user namespace of the restart knows no such user or group';
  notes.push(
    `The program was user ${value.uid[1]}, group ${value.gid[1]}; it goes on as user ${now.uid[1]}, group ${now.gid[1]}, ${why}.`,
  );
  return false;
}

function setIds(value: Identity, now: Identity, rebuild: Rebuild): void {
  rebuild.room(5, 4 * value.groups.length + 16);
  const { batch, notes, tracee } = rebuild;
  if (value.groups.join() !== now.groups.join()) {
    if (maySetGroups(tracee.tid) && mapsAll(tracee.tid, 'gid_map', value.groups)) {
      const groups = batch.data(new Uint8Array(Uint32Array.from(value.groups).buffer));
      batch.add('set the groups', 'setgroups', [value.groups.length, groups]);
    } else notes.push('The supplementary groups stay those of the restart: its user namespace does not let it change them.');
  }
  batch.add('set the group ids', 'setresgid', value.gid.slice(0, 3));
  batch.add('set the user ids', 'setresuid', value.uid.slice(0, 3));
  batch.add('set the group id for files', 'setfsgid', value.gid.slice(3));
  batch.add('set the user id for files', 'setfsuid', value.uid.slice(3));
}

/** The last look: whatever the image says and however the calls went, the task has nothing that the image does not give it. */
function assertNotRaised({ uid, gid, capabilities }: CredentialsRecord, changed: boolean, { tracee }: Rebuild): void {
  const status = readStatus(tracee.tid);
  const { capPrm, capEff, capInh, capAmb } = status;
  const { permitted, effective, inheritable, ambient } = capabilities;
  const excess = (capPrm & ~permitted) | (capEff & ~effective) | (capInh & ~inheritable) | (capAmb & ~ambient);
  const here = identityOf(status);
  const identity = !changed || (here.uid.join() === uid.join() && here.gid.join() === gid.join());
  if (excess === 0n && identity) return;
  throw new StasisError('RESTART_FAILED', 'Cannot restart: the task did not get the identity of the program', {
    phase: 'restore',
  });
}

function sameIds(a: Identity, b: Identity): boolean {
  const text = ({ uid, gid, groups }: Identity): string => `${uid.join()} ${gid.join()} ${groups.join()}`;
  return text(a) === text(b);
}
