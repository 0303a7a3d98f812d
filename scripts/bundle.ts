/**
 * The second half of the build: joins the modules that the commands run into one file, dist/bundle.cjs, and has V8 compile
 * it in advance. Node 20 takes 70 ms to find, load and compile them one by one, the joined file 10 ms. Figures and reasons:
 * docs/decisions.md. The library (dist/index.js) stays as tsc wrote it.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const bundle = join(dist, 'bundle.cjs');

await build({
  absWorkingDir: root,
  stdin: {
    contents: `exports.cli = () => import('./src/cli/main.ts'); exports.engine = () => import('./src/engine/main.ts');`,
    resolveDir: root,
  },
  outfile: bundle,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  // What the modules find beside themselves they find beside the bundle too: those that look stand in src/ itself.
  define: { 'import.meta.url': 'bundleUrl' },
  // Its binary lies in a package of its own.
  external: ['koffi'],
  supported: { 'dynamic-import': false },
  legalComments: 'none',
  logLevel: 'warning',
});

// V8 recognises a cache by the length of the source only, so its name must tell the two apart.
const hash = createHash('sha256').update(readFileSync(bundle)).digest('hex').slice(0, 16);
const cache = `bundle-${hash}.cache`;
for (const name of readdirSync(dist)) if (/^bundle-.*\.cache$/.test(name)) rmSync(join(dist, name));
const start = readFileSync(new URL('bundle/start.cjs', import.meta.url), 'utf8');
for (const part of ['cli', 'engine']) {
  mkdirSync(join(dist, part), { recursive: true });
  writeFileSync(join(dist, part, 'main.cjs'), start.replace('PART', part).replace('CACHE', cache));
}
// In a Node of its own, without the options and hooks of this one.
execFileSync(process.execPath, [fileURLToPath(new URL('bundle/compile.cjs', import.meta.url)), bundle, join(dist, cache)], {
  env: { ...process.env, NODE_OPTIONS: '' },
});
