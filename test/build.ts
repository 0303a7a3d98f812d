/** C programs, compiled when they are needed and kept in build/programs until their source changes. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, join, resolve } from 'node:path';

const checkout = resolve(import.meta.dirname, '..');
export const programs: string = join(checkout, 'test', 'programs');
export const include: string = join(checkout, 'include');

/** Path of the executable of test/programs/NAME.c (or of a C file anywhere, by its absolute path). */
export function build(name: string, flags: readonly string[] = []): string {
  const source = name.endsWith('.c') ? name : join(programs, `${name}.c`);
  const inputs = [source, join(programs, 'program.h'), join(include, 'stasis.h')];
  const hash = createHash('sha256').update(JSON.stringify([source, flags]));
  for (const input of inputs) hash.update(fs.readFileSync(input));
  const directory = join(checkout, 'build', 'programs');
  const executable = join(directory, `${basename(source, '.c')}-${hash.digest('hex').slice(0, 12)}`);
  if (fs.existsSync(executable)) return executable;
  fs.mkdirSync(directory, { recursive: true });
  const temporary = `${executable}.${process.pid}`; // several test files may want it at once
  const result = spawnSync('cc', ['-O2', '-g', '-Wall', '-Wextra', `-I${include}`, ...flags, source, '-o', temporary], {
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`Cannot compile ${source}: ${result.error?.message ?? result.stderr}`);
  fs.renameSync(temporary, executable);
  return executable;
}

/** The widest vectors that this machine computes with, as a compiler option. */
export function vectorFlags(): string[] {
  const flags = fs.readFileSync('/proc/cpuinfo', 'utf8');
  if (/\bavx512f\b/.test(flags)) return ['-mavx512f'];
  return /\bavx2\b/.test(flags) ? ['-mavx2'] : ['-msse2'];
}
