// Runs one part of dist/bundle.cjs. CommonJS, because the loader of ES modules alone takes 7 ms.
'use strict';
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { Script } = require('node:vm');

const dist = join(__dirname, '..');
const filename = join(dist, 'bundle.cjs');
let cachedData;
try {
  cachedData = readFileSync(join(dist, 'CACHE'));
} catch {
  // Without it V8 compiles what it runs, as it does when another Node wrote the cache.
}
const source = `(function (exports, require, module, bundleUrl) {${readFileSync(filename, 'utf8')}\n})`;
const script = new Script(source, { filename, cachedData });
const module_ = { exports: {} };
script.runInThisContext()(module_.exports, require, module_, pathToFileURL(filename).href);
module_.exports['PART']();
