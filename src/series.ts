/** A series of images of a program under `stasis run`: each holds what has changed, old ones that nothing needs are removed. */
import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkpoint } from './checkpoint.ts';
import { StasisError } from './errors.ts';
import { is } from './image/events.ts';
import { headKind, type Head } from './image/head.ts';
import { readEvents } from './image/read-events.ts';
import { ImageReader } from './image/reader.ts';
import { say } from './messages.ts';
import { kinds } from './objects/registry.ts';
import { openSource } from './source.ts';

/** Plain data: it passes through a command line. */
export interface SeriesOptions {
  readonly directory: string;
  /** Milliseconds from one to the next. */
  readonly every?: number | undefined;
  /** As many of the newest can be restarted. */
  readonly keep: number;
  /** Names of signals to the supervisor that ask for one. */
  readonly on: readonly string[];
}

const imageName = /^(\d{6,})\.image$/;
const latest = 'latest';
/** Holds the pid of the supervisor, for who sends it a signal. */
const pidName = 'supervisor.pid';

export class Series implements Disposable {
  readonly #pid: number;
  readonly #options: SeriesOptions;
  /** The images since the last whole one, newest last. */
  #chain: string[] = [];
  #next: number;

  constructor(pid: number, options: SeriesOptions) {
    this.#pid = pid;
    this.#options = options;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    writeFileSync(join(options.directory, pidName), `${process.pid}\n`);
    this.#next = performance.now() + (options.every ?? Infinity);
  }

  /** Milliseconds until the next one is due; Infinity without an interval. */
  get wait(): number {
    return Math.max(0, this.#next - performance.now());
  }

  /** Makes one. What goes wrong is said and has no other consequence: the program runs on, and so does the series. */
  async take(): Promise<void> {
    const { directory, every, keep } = this.#options;
    const path = join(directory, `${String(nextNumber(directory)).padStart(6, '0')}.image`);
    const last = this.#chain.at(-1);
    // A chain for ever could never lose its first image, so now and then there is a whole one.
    const base = last !== undefined && this.#chain.length < keep && exists(last) ? last : undefined;
    try {
      await checkpoint(this.#pid, { path }, base === undefined ? {} : { base });
      this.#chain = base === undefined ? [path] : [...this.#chain, path];
      pointTo(directory, path);
      prune(directory, keep);
    } catch (error) {
      const vanished = error instanceof StasisError && error.code === 'VANISHED';
      if (!vanished) say(`Cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#next = performance.now() + (every ?? Infinity);
  }

  [Symbol.dispose](): void {
    rmSync(join(this.#options.directory, pidName), { force: true });
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function imagesIn(directory: string): string[] {
  const numbered = readdirSync(directory).filter((name) => imageName.test(name));
  return numbered.sort((one, other) => parseInt(one, 10) - parseInt(other, 10));
}

function nextNumber(directory: string): number {
  return parseInt(imagesIn(directory).at(-1) ?? '0', 10) + 1;
}

/** The link `latest` always names a whole image. */
function pointTo(directory: string, path: string): void {
  const temporary = join(directory, `${latest}.new`);
  rmSync(temporary, { force: true });
  symlinkSync(basename(path), temporary);
  renameSync(temporary, join(directory, latest));
}

/** Removes all images but the newest `keep` and those on which they are based. */
export function prune(directory: string, keep: number): void {
  const images = imagesIn(directory);
  const needed = new Set<string>();
  for (const newest of images.slice(-keep)) {
    for (let name: string | undefined = newest; name !== undefined && !needed.has(name);) {
      needed.add(name);
      const base: Head['base'] = headOf(join(directory, name))?.base;
      name = base === undefined ? undefined : basename(base.path);
    }
  }
  for (const name of images) if (!needed.has(name)) rmSync(join(directory, name));
}

/** undefined for what is no image, or is gone. */
function headOf(path: string): Head | undefined {
  try {
    using input = openSource({ path });
    for (const event of readEvents(new ImageReader(kinds, { data: 'skip' }), input))
      return event.type !== 'close' && is(event, headKind) ? event.value : undefined;
  } catch (error) {
    if (!(error instanceof StasisError)) throw error;
  }
  return undefined;
}
