/**
 * Errors of Stasis. Every error that leaves the library is a StasisError: a stable `code`, the `phase` in which it
 * happened, and a `hint` that says what to do. Exit codes of the commands follow from the code (see exitCodes).
 */

/** Stable names; documented in docs/errors.md, which is generated from {@link errorCatalogue}. */
export type ErrorCode =
  | 'FAILED'
  | 'USAGE'
  | 'CANNOT_CARRY'
  | 'PRIVILEGE'
  | 'IMAGE'
  | 'VANISHED'
  | 'RESTART_FAILED'
  | 'SYSCALL'
  | 'ABORTED';

/** Where in a checkpoint, restart or run something happened. */
export type Phase =
  | 'prepare'
  | 'freeze'
  | 'collect'
  | 'memory'
  | 'write'
  | 'commit'
  | 'resume'
  | 'read'
  | 'exec'
  | 'restore'
  | 'supervise';

interface CatalogueEntry {
  readonly exit: number;
  readonly meaning: string;
}

/** Exit code and meaning of each error code; the source of docs/errors.md, the man pages and the help. */
export const errorCatalogue: Readonly<Record<ErrorCode, CatalogueEntry>> = {
  FAILED: { exit: 1, meaning: 'The operation failed; the target is running and unharmed.' },
  SYSCALL: { exit: 1, meaning: 'A system call failed; the target is running and unharmed.' },
  ABORTED: { exit: 1, meaning: 'The caller aborted the operation; the target is running and unharmed.' },
  USAGE: { exit: 2, meaning: 'The command line or the options make no sense.' },
  CANNOT_CARRY: { exit: 10, meaning: 'The target uses something that cannot be carried; every blocker is listed.' },
  PRIVILEGE: { exit: 11, meaning: 'A privilege or a kernel feature is missing.' },
  IMAGE: { exit: 12, meaning: 'The image is damaged, truncated or made for another architecture or revision.' },
  VANISHED: { exit: 13, meaning: 'The target exited, or replaced itself by execve, in the meantime.' },
  RESTART_FAILED: { exit: 14, meaning: 'The restart failed; everything it had made was removed again.' },
};

export interface ErrorDetails {
  readonly phase?: Phase;
  readonly pid?: number;
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Base of every error that Stasis throws. */
export class StasisError extends Error {
  override name = 'StasisError';
  readonly code: ErrorCode;
  readonly phase: Phase | undefined;
  readonly pid: number | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.phase = details.phase;
    this.pid = details.pid;
    this.hint = details.hint;
  }

  /** The exit code that a command ends with for this error. */
  get exitCode(): number {
    return errorCatalogue[this.code].exit;
  }

  /** A plain object for --json and for crossing a process border; {@link errorFromJSON} is the inverse. */
  toJSON(): ErrorJSON {
    return {
      code: this.code,
      message: this.message,
      ...(this.phase !== undefined && { phase: this.phase }),
      ...(this.pid !== undefined && { pid: this.pid }),
      ...(this.hint !== undefined && { hint: this.hint }),
    };
  }
}

/** One thing that cannot be carried: what it is, where it sits, why, and what the user can do. */
export interface Blocker {
  /** e.g. `fd 7`, `vma 7f00deadb000-7f00deadc000`, `thread 4243` */
  readonly object: string;
  /** e.g. `socket:[123]`, a path; empty when the object says it all */
  readonly place: string;
  readonly reason: string;
  readonly remedy: string;
}

/** The target holds objects that cannot be carried. Nothing was written. */
export class CannotCarryError extends StasisError {
  override name = 'CannotCarryError';
  readonly blockers: readonly Blocker[];

  constructor(pid: number, blockers: readonly Blocker[]) {
    const lines = blockers.map((b) => `  ${b.object}${b.place === '' ? '' : ` (${b.place})`}: ${b.reason}. ${b.remedy}`);
    super('CANNOT_CARRY', `Cannot checkpoint ${pid}: ${blockers.length} of its objects cannot be carried.\n${lines.join('\n')}`, {
      phase: 'collect',
      pid,
    });
    this.blockers = blockers;
  }

  override toJSON(): ErrorJSON {
    return { ...super.toJSON(), blockers: this.blockers };
  }
}

/** A system call answered with an errno. */
export class SyscallError extends StasisError {
  override name = 'SyscallError';
  readonly syscall: string;
  readonly errno: number;
  /** e.g. `EPERM` */
  readonly errnoName: string;

  constructor(
    syscall: string,
    errno: number,
    errnoName: string,
    action: string,
    details: ErrorDetails & { code?: ErrorCode } = {},
  ) {
    super(details.code ?? 'SYSCALL', `${action}: ${syscall} answered ${errnoName}`, details);
    this.syscall = syscall;
    this.errno = errno;
    this.errnoName = errnoName;
  }

  override toJSON(): ErrorJSON {
    return { ...super.toJSON(), syscall: this.syscall, errno: this.errno, errnoName: this.errnoName };
  }
}

/** An image that cannot be read: where (byte offset from its start) and in which field. */
export class ImageError extends StasisError {
  override name = 'ImageError';
  readonly offset: number;
  readonly path: string;

  constructor(message: string, offset: number, path = '', details: ErrorDetails = {}) {
    super('IMAGE', `${message} (offset ${offset}${path === '' ? '' : `, ${path}`})`, { phase: 'read', ...details });
    this.offset = offset;
    this.path = path;
  }

  override toJSON(): ErrorJSON {
    return { ...super.toJSON(), offset: this.offset, path: this.path };
  }
}

export interface ErrorJSON {
  readonly code: ErrorCode;
  readonly message: string;
  readonly phase?: Phase;
  readonly pid?: number;
  readonly hint?: string;
  readonly blockers?: readonly Blocker[];
  readonly syscall?: string;
  readonly errno?: number;
  readonly errnoName?: string;
  readonly offset?: number;
  readonly path?: string;
}

/** The typed error again, from what {@link StasisError.toJSON} gave in another process. */
export function errorFromJSON(json: ErrorJSON): StasisError {
  const error = rebuild(json);
  error.message = json.message;
  return error;
}

function rebuild(json: ErrorJSON): StasisError {
  if (json.blockers !== undefined) return new CannotCarryError(json.pid ?? 0, json.blockers);
  if (json.syscall !== undefined) {
    return new SyscallError(json.syscall, json.errno ?? 0, json.errnoName ?? '', '', json);
  }
  if (json.offset !== undefined) return new ImageError('', json.offset, json.path, json);
  return new StasisError(json.code, json.message, json);
}

/** What Node throws for a failed system call. */
export interface NodeError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

export function isNodeError(error: unknown): error is NodeError {
  return error instanceof Error && typeof (error as Partial<NodeError>).code === 'string' && 'syscall' in error;
}
