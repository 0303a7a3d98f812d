/**
 * The test runner: unit tests (src/**\/*.test.ts), then process tests (test/*.test.ts), each file in a process of its own.
 * It lists the files itself, because no form of `node --test DIR` works on all Node versions from 20 to 26.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { installNeeds } from './needs.ts';
import { runFile, type FileResult, type TestResult } from './runner/file.ts';
import { readOptions } from './runner/options.ts';
import { enforceSkipBudget, readSkipBudget } from './runner/skips.ts';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const options = readOptions(process.argv.slice(2));
const nodeVersion = execFileSync(options.node, ['--version'], { encoding: 'utf8' }).trim();
const nodeMajor = /^v(\d+)/.exec(nodeVersion)?.[1] ?? '';
const run = randomBytes(8).toString('hex');
const budget = readSkipBudget();
// A developer without root cannot install what is missing; a machine that counts (CI) runs as root.
const strict = process.getuid?.() === 0;
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interruption.abort(signal));

const kinds = {
  unit: { directory: 'src', recursive: true, jobs: 2 },
  process: { directory: 'test', recursive: false, jobs: 2 },
} as const;
/** They measure time, so nothing runs beside them. */
const alone = /^test\/(blocked|blocked-i386|clocks|sleepers|timers|threads)\.test\.ts$/;
/** Long ones in which Node does the same whatever its version; under another Node they run only when they are asked for. */
const betweenKernelAndPrograms =
  /^test\/(blocked|blocked-i386|clocks|debian|descriptors-sigkill|i386|pids|seccomp|servers|sigkill|sleepers|tcp-outside|terminals|threads|timers|trees)\.test\.ts$/;
const isOtherNode = nodeVersion !== process.version;
const totals = { passed: 0, failed: 0, skipped: 0 };
let fileCount = 0;

console.log(`Node ${nodeVersion}`);
installNeeds();
for (const kind of options.kinds) {
  const { directory, recursive, jobs } = kinds[kind];
  const found = listFiles(directory, recursive);
  const files = isOtherNode && options.filter === '' ? found.filter((file) => !betweenKernelAndPrograms.test(file)) : found;
  await runAll(
    files.filter((file) => !alone.test(file)),
    options.jobs ?? jobs,
  );
  await runAll(
    files.filter((file) => alone.test(file)),
    1,
  );
}
if (interruption.signal.aborted) console.log(`Interrupted by ${interruption.signal.reason}`);
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 || totals.passed === 0 || interruption.signal.aborted ? 1 : 0;

function listFiles(directory: string, recursive: boolean): string[] {
  return readdirSync(directory, { recursive, encoding: 'utf8' })
    .map((name) => `${directory}/${name}`)
    .filter((file) => file.endsWith('.test.ts') && file.includes(options.filter))
    .toSorted();
}

async function runAll(files: string[], jobs: number): Promise<void> {
  const worker = async (): Promise<void> => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      if (interruption.signal.aborted) return;
      const marker = `${run}.${fileCount++}`;
      const { node, timeoutMs } = options;
      const result = await runFile(file, { node, timeoutMs, marker, signal: interruption.signal });
      report(strict ? enforceSkipBudget(result, budget, nodeMajor) : result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

function report(result: FileResult): void {
  const having = (outcome: TestResult['outcome']): TestResult[] => result.tests.filter((test) => test.outcome === outcome);
  const [passed, failed, skipped] = [having('passed'), having('failed'), having('skipped')];
  totals.passed += passed.length;
  totals.failed += failed.length;
  totals.skipped += skipped.length;
  const counts = [`${passed.length} passed`];
  if (failed.length > 0) counts.push(`${failed.length} failed`);
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`);
  const seconds = (result.milliseconds / 1000).toFixed(1);
  console.log(`${failed.length > 0 ? 'FAIL' : 'ok  '} ${result.file}: ${counts.join(', ')} in ${seconds} s`);
  for (const { name, reason } of skipped) console.log(`     skipped: ${name} (${reason})`);
  for (const { name, details } of failed) console.log(indent(`${name}\n${indent(details, 2)}`, 5));
  if (failed.length > 0 && result.output.trim() !== '')
    console.log(indent(`It printed:\n${indent(ending(result.output), 2)}`, 5));
}

/** The last lines of what a file printed: a test that prints in a loop must not bury the failures of the others. */
function ending(output: string): string {
  const lines = output.trim().split('\n');
  const most = 200;
  return lines.length <= most
    ? lines.join('\n')
    : [`(${lines.length - most} lines before these)`, ...lines.slice(-most)].join('\n');
}

function indent(text: string, width: number): string {
  return text.replaceAll(/^(?=.)/gm, ' '.repeat(width));
}
