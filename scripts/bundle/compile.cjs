// node compile.cjs BUNDLE CACHE: compiles every function of the bundle now, and writes down the result.
'use strict';
const { readFileSync, writeFileSync } = require('node:fs');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

const [bundle, cache] = process.argv.slice(2);
// The same wrapping as in start.cjs: V8 compares the length.
const source = `(function (exports, require, module, bundleUrl) {${readFileSync(bundle, 'utf8')}\n})`;
setFlagsFromString('--no-lazy');
const script = new Script(source, { filename: bundle });
// A cache is only taken under the flags it was made with.
setFlagsFromString('--lazy');
const cachedData = script.createCachedData();
if (new Script(source, { filename: bundle, cachedData }).cachedDataRejected) throw new Error('V8 refuses its own code cache');
writeFileSync(cache, cachedData);
