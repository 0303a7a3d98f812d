/**
 * Writes what follows from data in the source: man pages, shell completions, docs/command-line.md, docs/errors.md and
 * docs/supported.md. With --check it only compares, and fails when a file is not as it would be written.
 *
 *     npm run docs [-- --check]
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { registry } from '../src/objects/registry.ts';
import { bashCompletion } from './docs/bash.ts';
import { commandLinePage } from './docs/command-line.ts';
import { errorsPage } from './docs/errors.ts';
import { fishCompletion } from './docs/fish.ts';
import { manPages } from './docs/man.ts';
import { supportedPage } from './docs/supported.ts';
import { zshCompletion } from './docs/zsh.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

/** Every generated file, by its path. */
const files: ReadonlyMap<string, string> = new Map([
  ...manPages(version),
  ['completions/stasis.bash', bashCompletion()],
  ['completions/_stasis', zshCompletion()],
  ['completions/stasis.fish', fishCompletion()],
  ['docs/command-line.md', commandLinePage()],
  ['docs/errors.md', errorsPage()],
  ['docs/supported.md', supportedPage(registry)],
]);

/** Folders that hold nothing but generated files: what is left in them from earlier is stale too. */
const generatedFolders = ['man', 'completions'];

const stale = [...files].filter(([path, text]) => contentOf(path) !== text).map(([path]) => path);
const surplus = generatedFolders.flatMap((folder) => filesIn(folder)).filter((path) => !files.has(path));

if (process.argv.includes('--check')) {
  for (const path of [...stale, ...surplus]) console.error(`${path} is stale. Run: npm run docs`);
  process.exitCode = stale.length + surplus.length === 0 ? 0 : 1;
} else {
  for (const path of surplus) rmSync(join(root, path));
  for (const path of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), files.get(path) ?? '');
    console.log(path);
  }
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return undefined;
  }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(join(root, folder)).map((name) => `${folder}/${name}`);
  } catch {
    return [];
  }
}
