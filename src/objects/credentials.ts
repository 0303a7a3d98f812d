/** User and group ids. Source: man 7 credentials. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readStatus, type Status } from '../linux/proc/status.ts';
import { capabilitySets, collectCapabilities, restoreCapabilities, type CapabilitySets } from './capability-sets.ts';
import type { ObjectKind, Rebuild, ThreadCollection } from './object.ts';

export interface CredentialsRecord {
  /** Real, effective, saved, file system. */
  readonly uid: readonly number[];
  readonly gid: readonly number[];
  readonly groups: readonly number[];
  readonly noNewPrivileges: boolean;
  readonly capabilities?: CapabilitySets | undefined;
}

const id = s.uint(0xffff_ffff);

const record: RecordKind<CredentialsRecord> = defineKind<CredentialsRecord>({
  tag: 0x34,
  name: 'credentials',
  parents: ['thread'],
  schema: s.record({
    uid: s.array(id, 4),
    gid: s.array(id, 4),
    groups: s.array(id, 65536),
    noNewPrivileges: s.bool(),
    capabilities: s.optional(capabilitySets),
  }),
});

function fromStatus({ uid, gid, groups, noNewPrivs }: Status): CredentialsRecord {
  return {
    uid: [uid.real, uid.effective, uid.saved, uid.filesystem],
    gid: [gid.real, gid.effective, gid.saved, gid.filesystem],
    groups,
    noNewPrivileges: noNewPrivs,
  };
}

export function collectCredentials(collection: ThreadCollection): CredentialsRecord {
  return { ...fromStatus(collection.status), capabilities: collectCapabilities(collection) };
}

const PR_SET_NO_NEW_PRIVS = 38;

export const credentials: ObjectKind<CredentialsRecord> = {
  record,
  title: 'Credentials',
  carried:
    'User and group ids, supplementary groups, capabilities, secure bits, no_new_privs; given back where the restarting user may, else reported.',
  refused: '',

  /** Root gives the program its own identity back; anybody else keeps theirs. Privileges are never raised. */
  restart(value, rebuild) {
    const status = readStatus(rebuild.tracee.tid);
    const now = fromStatus(status);
    rebuild.thread.calls.push(() => {
      const same = sameIds(value, now);
      const mayChange = now.uid[1] === 0;
      if (!same && !mayChange) {
        rebuild.notes.push(
          `The program was user ${value.uid[1]}, group ${value.gid[1]}; it goes on as user ${now.uid[1]}, group ${now.gid[1]}, who restarted it.`,
        );
      }
      const changeIds = same || !mayChange ? undefined : () => setIds(value, rebuild);
      if (value.capabilities !== undefined) restoreCapabilities(value.capabilities, status, rebuild, changeIds);
      else changeIds?.();
      rebuild.room(1);
      if (value.noNewPrivileges && !now.noNewPrivileges) {
        rebuild.batch.add('set no_new_privs', 'prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
      }
    });
  },
};

function setIds(value: CredentialsRecord, rebuild: Rebuild): void {
  rebuild.room(5, 4 * value.groups.length + 16);
  const { batch } = rebuild;
  const groups = batch.data(new Uint8Array(Uint32Array.from(value.groups).buffer));
  batch.add('set the groups', 'setgroups', [value.groups.length, groups]);
  batch.add('set the group ids', 'setresgid', value.gid.slice(0, 3));
  batch.add('set the user ids', 'setresuid', value.uid.slice(0, 3));
  batch.add('set the group id for files', 'setfsgid', value.gid.slice(3));
  batch.add('set the user id for files', 'setfsuid', value.uid.slice(3));
}

function sameIds(a: CredentialsRecord, b: CredentialsRecord): boolean {
  const text = ({ uid, gid, groups }: CredentialsRecord): string => `${uid.join()} ${gid.join()} ${groups.join()}`;
  return text(a) === text(b);
}
