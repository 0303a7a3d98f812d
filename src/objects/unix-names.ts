/** Names of unix sockets under restart. Source: man 7 unix, man 2 bind. */
import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { syscallError } from '../linux/ffi.ts';
import { readUnixSockets } from '../linux/sock-diag.ts';
import { addressText, encodeAddress } from '../linux/socket-address.ts';
import { isSocketFile } from '../linux/socket-file.ts';
import { withAddress } from '../linux/sockets.ts';
import type { SocketFile } from './unix-socket.ts';

export interface BoundName {
  /** Names that were deleted stay until everybody has connected. */
  removeIfGone(): void;
}

/** Works in a directory, for names that are relative to it. */
export function within<T>(directory: string, work: () => T): T {
  const own = process.cwd();
  if (own === directory) return work();
  process.chdir(directory);
  try {
    return work();
  } finally {
    process.chdir(own);
  }
}

/** Gives a socket its name. Of a path that a dead socket has left behind, as a killed program does, that is removed first. */
export function bindName(fd: number, name: Uint8Array, file: SocketFile | undefined): BoundName {
  const isPath = name[0] !== 0 && name.length > 0;
  const path = Buffer.from(name);
  const bind = (): void => {
    if (isPath) removeDead(path);
    const result = withAddress('bind', fd, encodeAddress({ family: 'unix', name }));
    if (result < 0) {
      const text = addressText({ family: 'unix', name });
      throw syscallError('bind', result, `Cannot give a unix socket the name ${text} again`, {
        code: 'RESTART_FAILED',
        phase: 'restore',
        hint: 'Another program may have the name, or the original still runs: end it first. The directory must exist and be writable.',
      });
    }
    if (isPath) setOwner(path, file);
  };
  const directory = file?.directory ?? '/';
  if (isPath && path[0] !== 0x2f) within(directory, bind);
  else bind();
  return { removeIfGone: () => isPath && file?.gone === true && within(directory, () => unlinkSync(path)) };
}

function setOwner(path: Buffer, file: SocketFile | undefined): void {
  if (file === undefined) return;
  if (file.gone) return chmodSync(path, 0o777); // for the moment
  const stat = lstatSync(path);
  if (stat.uid !== file.uid || stat.gid !== file.gid) {
    try {
      chownSync(path, file.uid, file.gid);
    } catch {
      // without the privilege it is the caller's, as all files that the program would make now
    }
  }
  if ((stat.mode & 0o7777) !== file.mode) chmodSync(path, file.mode);
}

function removeDead(path: Buffer): void {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return;
  const details = { phase: 'restore', hint: 'Remove what has the path, or end the program that uses it.' } as const;
  const text = path.toString('utf8');
  if (!stat.isSocket()) throw new StasisError('RESTART_FAILED', `Cannot bind a socket to ${text}: it is no socket`, details);
  const isAlive = [...readUnixSockets().values()].some(({ file }) => file !== undefined && isSocketFile(stat, file));
  if (isAlive) throw new StasisError('RESTART_FAILED', `Cannot bind a socket to ${text}: a program has it open`, details);
  unlinkSync(path);
}
