/** What the caller and its engine say to each other: plain data over the channel of node:child_process. */
import type { BranchResult } from '../branch.ts';
import type { Compression } from '../compression.ts';
import type { CheckpointOptions, CheckpointResult, Progress } from '../checkpoint.ts';
import type { ErrorJSON } from '../errors.ts';
import type { Diagnosis } from '../doctor.ts';
import type { FreezeMode } from '../freeze-plan.ts';
import type { Ended } from '../linux/exit-watch.ts';
import type { PidChoice } from '../pid-choice.ts';
import type { RestartResult } from '../restart.ts';
import type { StandardStreams } from '../standard-streams.ts';

/** A file by its path, a descriptor that the engine was born with, or a connection that it makes to the caller (streams.ts). */
export type Place = { readonly path: string } | { readonly fd: number } | { readonly socket: string; readonly token: string };

/** Descriptors of the caller that an engine is born with have these numbers there, in order: 0 to 2 are the streams, 3 the channel. */
export const firstGivenFd = 4;

interface Working {
  /** How many descriptors were given for this work, to be closed after it. */
  readonly given: number;
}

export type Work = Working &
  (
    | {
        readonly kind: 'checkpoint';
        readonly pid: number;
        readonly sink: Place | undefined;
        readonly after: 'continue' | 'kill' | 'stop';
        readonly compress: Compression;
        /** Absolute. */
        readonly carry: readonly string[];
        readonly connections: NonNullable<CheckpointOptions['connections']>;
        readonly freeze: FreezeMode | 'auto';
        readonly skipFds: readonly number[];
        readonly base: string | undefined;
        readonly dryRun: boolean;
      }
    | {
        readonly kind: 'restart';
        readonly source: Place;
        readonly acceptChangedFiles: boolean;
        readonly lazy: boolean;
        readonly baseDirectories: readonly string[];
        readonly pids: PidChoice;
        readonly dryRun: boolean;
        readonly streams: StandardStreams;
      }
    | {
        readonly kind: 'run';
        readonly command: readonly string[];
        readonly directory: string;
        readonly environment: Readonly<Record<string, string>>;
        readonly streams: StandardStreams;
      }
    | { readonly kind: 'branch'; readonly pid: number; readonly copies: number }
    | { readonly kind: 'doctor' }
  );

export interface Started {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: tells the process from a later one with its number. */
  readonly startTime: number;
}

/** The answer to each kind of work. What was started is watched, under the id of the work. */
export interface Answers {
  readonly checkpoint: CheckpointResult;
  readonly restart: RestartResult & Started;
  readonly run: Started & { readonly supervisor?: number };
  readonly branch: Omit<BranchResult, 'branches'> & { readonly branches: readonly (RestartResult & Started)[] };
  readonly doctor: Diagnosis;
}

export type ToEngine =
  | { readonly id: number; readonly work: Work }
  | { readonly id: number; readonly abort: true }
  /** The stream has taken everything that was written. */
  | { readonly id: number; readonly delivered: true };

export type FromEngine =
  | { readonly id: number; readonly progress: Progress }
  /** Everything is written; waits for `delivered`. */
  | { readonly id: number; readonly written: true }
  | { readonly id: number; readonly result: Answers[keyof Answers] }
  | { readonly id: number; readonly error: ErrorJSON }
  /** The end of what was started; of several, which one. */
  | { readonly id: number; readonly index: number; readonly ended: Ended };
