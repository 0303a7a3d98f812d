/** What the caller and its engine say to each other: plain data over the channel of node:child_process. */
import type { CheckpointResult, Progress } from '../checkpoint.ts';
import type { ErrorJSON } from '../errors.ts';
import type { Diagnosis } from '../doctor.ts';
import type { RestartResult } from '../restart.ts';
import type { BackgroundStreams } from '../run.ts';

/** A file by its path, or a connection that the engine makes to the caller (see streams.ts). */
export type Place = { readonly path: string } | { readonly socket: string; readonly token: string };

export type Work =
  | { readonly kind: 'checkpoint'; readonly pid: number; readonly sink: Place | undefined; readonly after: 'continue' | 'kill' | 'stop'; readonly dryRun: boolean }
  | { readonly kind: 'restart'; readonly source: Place; readonly acceptChangedFiles: boolean; readonly dryRun: boolean }
  | {
      readonly kind: 'run';
      readonly command: readonly string[];
      readonly directory: string;
      readonly environment: Readonly<Record<string, string>>;
      readonly streams: BackgroundStreams;
    }
  | { readonly kind: 'doctor' };

export interface Started {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: tells the process from a later one with its number. */
  readonly startTime: number;
}

/** The answer to each kind of work. */
export interface Answers {
  readonly checkpoint: CheckpointResult;
  readonly restart: RestartResult & Started;
  readonly run: Started;
  readonly doctor: Diagnosis;
}

export type ToEngine = { readonly id: number; readonly work: Work } | { readonly id: number; readonly abort: true };

export type FromEngine =
  | { readonly ready: true }
  | { readonly id: number; readonly progress: Progress }
  | { readonly id: number; readonly result: Answers[keyof Answers] }
  | { readonly id: number; readonly error: ErrorJSON };
