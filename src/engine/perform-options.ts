import type { Progress } from '../checkpoint.ts';

export interface PerformOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Descriptors of this process that the engine needs; it numbers them from firstGivenFd on. */
  readonly fds?: readonly number[];
  /** The engine will wait for this process, by a stream: then it must not wait for its turn. */
  readonly atOnce?: boolean;
  /** The image is written, and the engine waits for what comes of this. */
  readonly onWritten?: () => Promise<void>;
}
