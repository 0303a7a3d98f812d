/** Runs one test file in a process of its own and collects what it reports. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endLeftovers, markerName } from './leftovers.ts';

export interface TestResult {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped. */
  readonly reason: string;
  /** What went wrong, for a failed test. */
  readonly details: string;
}

export interface FileResult {
  readonly file: string;
  readonly tests: readonly TestResult[];
  /** What the file printed, both streams mixed. */
  readonly output: string;
  readonly milliseconds: number;
}

export interface FileRun {
  readonly node: string;
  readonly timeoutMs: number;
  /** Unique to this run of this file. */
  readonly marker: string;
  readonly signal: AbortSignal;
}

const reporter = new URL('reporter.mjs', import.meta.url).href;
const tsx = import.meta.resolve('tsx');

export async function runFile(file: string, run: FileRun): Promise<FileResult> {
  const started = performance.now();
  const directory = mkdtempSync(join(tmpdir(), 'stasis-test-'));
  try {
    const report = join(directory, 'report');
    const { output, ending } = await runProcess(file, report, run);
    const tests = readReport(report);
    const expected = tests.some((test) => test.outcome === 'failed') ? 'exit code 1' : 'exit code 0';
    if (ending !== expected) tests.push(failure('(the file itself)', `ended with ${ending}`));
    else if (tests.length === 0) tests.push(failure('(the file itself)', 'ran no test'));

    const leftovers = await endLeftovers(run.marker, run.signal.aborted || ending !== 'exit code 0' ? 0 : 2000);
    if (leftovers.length > 0 && ending !== 'a timeout') {
      const lines = leftovers.map(({ pid, command }) => `${pid} ${command}`).join('\n');
      tests.push(failure('(nothing is left running)', `still running after the file ended, now killed:\n${lines}`));
    }
    return { file, tests, output, milliseconds: performance.now() - started };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function failure(name: string, details: string): TestResult {
  return { name, outcome: 'failed', reason: '', details };
}

/** Where the checkpoints of the tests, of whatever user, count: else files would stay behind outside the checkout. */
function stateDirectory(marker: string): { readonly path: string } & Disposable {
  const path = fileURLToPath(new URL(`../../build/state-${marker}`, import.meta.url));
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o1777);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

async function runProcess(file: string, report: string, run: FileRun): Promise<{ output: string; ending: string }> {
  using state = stateDirectory(run.marker);
  const flags = [`--import=${tsx}`, `--test-reporter=${reporter}`, `--test-reporter-destination=${report}`];
  const child = spawn(run.node, [...flags, file], {
    // A session of its own: a test that signals its process group must not reach the runner.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      [markerName]: run.marker,
      STASIS_STATE_DIR: state.path,
      // bin/stasis takes `node` from PATH: that must be the Node under test.
      PATH: `${dirname(run.node)}${delimiter}${process.env['PATH'] ?? ''}`,
    },
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));

  let timedOut = false;
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, run.timeoutMs);
  run.signal.addEventListener('abort', kill);
  // 'exit' and not 'close': a process that was left behind may hold the pipes open.
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (...ending) => setImmediate(() => resolve(ending)));
  });
  clearTimeout(timer);
  run.signal.removeEventListener('abort', kill);
  child.stdout.destroy();
  child.stderr.destroy();
  const ending = timedOut ? 'a timeout' : signal === null ? `exit code ${code}` : `signal ${signal}`;
  return { output: Buffer.concat(chunks).toString(), ending };
}

function readReport(path: string): TestResult[] {
  try {
    // A killed process may leave half a line at the end; whole lines end in a newline.
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    return lines.map((line): TestResult => JSON.parse(line));
  } catch {
    return []; // the process ended before the reporter began
  }
}
