/** User and group ids. Source: man 7 credentials. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readStatus, type Status } from '../linux/proc/status.ts';
import type { Collection, ObjectKind } from './object.ts';

export interface CredentialsRecord {
  /** Real, effective, saved, file system. */
  readonly uid: readonly number[];
  readonly gid: readonly number[];
  readonly groups: readonly number[];
  readonly noNewPrivileges: boolean;
}

const id = s.uint(0xffff_ffff);

const record: RecordKind<CredentialsRecord> = defineKind<CredentialsRecord>({
  tag: 0x34,
  name: 'credentials',
  parents: ['task'],
  schema: s.record({ uid: s.array(id, 4), gid: s.array(id, 4), groups: s.array(id, 65536), noNewPrivileges: s.bool() }),
});

function fromStatus({ uid, gid, groups, noNewPrivs }: Status): CredentialsRecord {
  return {
    uid: [uid.real, uid.effective, uid.saved, uid.filesystem],
    gid: [gid.real, gid.effective, gid.saved, gid.filesystem],
    groups,
    noNewPrivileges: noNewPrivs,
  };
}

export function collectCredentials({ status }: Collection): CredentialsRecord {
  return fromStatus(status);
}

const PR_SET_NO_NEW_PRIVS = 38;

export const credentials: ObjectKind<CredentialsRecord> = {
  record,
  title: 'Credentials',
  carried: 'User and group ids, supplementary groups, no_new_privs; given back where the restarting user may, else reported.',
  refused: '',

  /** Root gives the program its own identity back; anybody else keeps theirs. Privileges are never raised. */
  restart(value, rebuild) {
    const now = fromStatus(readStatus(rebuild.tracee.tid));
    rebuild.finals.calls.push(() => {
      const { batch } = rebuild;
      if (!sameIds(value, now)) {
        if (now.uid[1] === 0) {
          const groups = batch.data(new Uint8Array(Uint32Array.from(value.groups).buffer));
          batch.add('set the groups', 'setgroups', [value.groups.length, groups]);
          batch.add('set the group ids', 'setresgid', value.gid.slice(0, 3));
          batch.add('set the user ids', 'setresuid', value.uid.slice(0, 3));
        } else {
          rebuild.notes.push(
            `The program was user ${value.uid[1]}, group ${value.gid[1]}; it goes on as user ${now.uid[1]}, group ${now.gid[1]}, who restarted it.`,
          );
        }
      }
      if (value.noNewPrivileges && !now.noNewPrivileges) {
        batch.add('set no_new_privs', 'prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
      }
    });
  },
};

function sameIds(a: CredentialsRecord, b: CredentialsRecord): boolean {
  const text = ({ uid, gid, groups }: CredentialsRecord): string =>
    `${uid.slice(0, 3).join()} ${gid.slice(0, 3).join()} ${groups.join()}`;
  return text(a) === text(b);
}
