/** Numbers of checkpoints: positive, one higher with each checkpoint that a user makes on this host since it started. */
import { closeSync, mkdirSync, openSync, readFileSync, writeSync, constants } from 'node:fs';
import { mustSyscall } from './linux/ffi.ts';

/** /run is emptied at boot, as the RFC's counter in the kernel is. STASIS_STATE_DIR names another place, shared by all users. */
function stateDirectory(): string {
  const named = process.env['STASIS_STATE_DIR'];
  if (named !== undefined && named !== '') return `${named}/${process.geteuid?.()}`;
  if (process.geteuid?.() === 0) return '/run/stasis';
  const runtime = process.env['XDG_RUNTIME_DIR'];
  return runtime !== undefined && runtime !== '' ? `${runtime}/stasis` : `/dev/shm/stasis-${process.geteuid?.()}`;
}

const width = 20;

export function nextCheckpointId(): number {
  const directory = stateDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = `${directory}/last-id`;
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    const LOCK_EX = 2;
    mustSyscall('flock', `Cannot lock ${path}`, fd, LOCK_EX);
    const last = Number.parseInt(readFileSync(fd, 'utf8'), 10);
    const id = Number.isSafeInteger(last) && last > 0 ? last + 1 : 1;
    writeSync(fd, `${String(id).padStart(width)}\n`, 0); // always as long: nothing to truncate, which costs a millisecond
    return id;
  } finally {
    closeSync(fd); // and with it the lock
  }
}
