/** The standard streams of a program in the background, as its starter chooses them. */
import { closeSync, openSync } from 'node:fs';
import { fromNodeError } from './descriptor.ts';
import type { Streams } from './linux/spawn.ts';

/**
 * One standard stream: nothing (/dev/null), the caller's own, a descriptor of the caller, or a file (what is written is
 * appended, and it is created when it is not there).
 */
export type StreamChoice = 'ignore' | 'inherit' | { readonly path: string } | { readonly fd: number };

export interface StandardStreams {
  readonly input: StreamChoice;
  readonly output: StreamChoice;
  readonly error: StreamChoice;
}

/** Opens what is to be opened; disposing closes that again, here. */
export function openStreams({ input, output, error }: StandardStreams): { readonly fds: Streams } & Disposable {
  const opened: number[] = [];
  const open = (choice: StreamChoice, number: number): number => {
    if (choice === 'inherit') return number;
    if (choice !== 'ignore' && 'fd' in choice) return choice.fd;
    const path = choice === 'ignore' ? '/dev/null' : choice.path;
    try {
      const fd = openSync(path, choice === 'ignore' ? 'r+' : number === 0 ? 'r' : 'a', 0o666);
      opened.push(fd);
      return fd;
    } catch (failure) {
      throw fromNodeError(failure, `Cannot open ${path} as a standard stream`);
    }
  };
  const close = (): void => opened.forEach((fd) => closeSync(fd));
  try {
    return { fds: [open(input, 0), open(output, 1), open(error, 2)], [Symbol.dispose]: close };
  } catch (failure) {
    close();
    throw failure;
  }
}
