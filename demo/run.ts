/**
 * `npm run demo`: a program that is on every Debian system is checkpointed, killed, and continued exactly where it was.
 * Takes five seconds, needs no privileges, and leaves nothing behind.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { closeInherited } from '../test/processes.ts';

/** The first digits of pi, from a table: what both lives of the program must add up to. */
const expected = '3.141592653589793238462643383279502884197169399375105820974944592';
const checkpointAfter = 26;

const root = fileURLToPath(new URL('..', import.meta.url));
const stasis = join(root, 'bin/stasis');
const program = join(root, 'demo/pi.pl');
const shown = { stasis: relative(process.cwd(), stasis) || stasis, image: 'pi.image' };

const room = mkdtempSync(join(tmpdir(), 'stasis-demo-'));
const image = join(room, shown.image);
const started = new Set<ChildProcess>();
// The number of the last checkpoint is kept on the host; ours goes with the room.
process.env['STASIS_STATE_DIR'] = room;

// The program of the demonstration must not inherit a pipe of somebody's editor.
closeInherited();
process.once('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

function cleanUp(): void {
  for (const child of started) child.kill('SIGKILL');
  rmSync(room, { recursive: true, force: true });
}

function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

function fail(reason: string): never {
  say();
  say(reason);
  say(`What this system allows, and what to do about the rest: ${shown.stasis} doctor`);
  process.exit(1);
}

/** Starts a program and shows what it prints as it comes. */
class Shown {
  readonly child: ChildProcess;
  output = '';

  constructor(command: string, words: readonly string[]) {
    this.child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    started.add(this.child);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      process.stdout.write(text);
    });
    this.child.stderr?.pipe(process.stderr);
  }

  get pid(): number {
    return this.child.pid ?? fail('Cannot start the program.');
  }

  async printed(length: number): Promise<void> {
    while (this.output.length < length) {
      if (this.child.exitCode !== null) fail(`It ended too early, with exit code ${this.child.exitCode}.`);
      await sleep(10);
    }
  }

  async end(): Promise<number> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    started.delete(this.child);
    return this.child.exitCode ?? -1;
  }
}

/** As ps shows it. */
function nameOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
}

/** How perl may be traced by a process that is not its parent, where Yama asks for permission (man 2 ptrace). */
const PERMIT_TRACING = 'syscall(157, 0x59616d61, -1, 0, 0);';
const yamaScope = '/proc/sys/kernel/yama/ptrace_scope';
const asksForPermission = existsSync(yamaScope) && process.getuid?.() !== 0;

if (!existsSync('/usr/bin/perl')) fail('/usr/bin/perl is missing, which is part of every Debian system.');

say('Stasis writes a running program into a file, and continues it from there.');
say();
const permission = asksForPermission ? ['-e', `BEGIN { ${PERMIT_TRACING} } do shift`, program] : [program];
const before = new Shown('/usr/bin/perl', permission);
say(`1. Perl computes pi, digit by digit. It is process ${before.pid}, and knows nothing of Stasis.`);
say();
await before.printed(checkpointAfter);

const words = ['checkpoint', String(before.pid), '--kill', '-o', image];
const taken = spawnSync(stasis, [...words, '--json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const document = JSON.parse(taken.stdout || '{}') as { ok?: boolean; error?: { message: string }; stats?: { freezeMs: number } };
if (document.ok !== true) fail(document.error?.message ?? 'The checkpoint failed.');
await before.end();
say();
say();
say('2. In the middle of its work everything that it is goes into a file, and the process is killed:');
say();
say(`   $ ${shown.stasis} checkpoint ${before.pid} --kill -o ${shown.image}`);
say();
const size = (statSync(image).size / 1e6).toFixed(1);
say(`   ${shown.image} has ${size} MB: memory, registers, open files, and the sleep in which it was.`);
say(`   Process ${before.pid} is gone: there is ${existsSync(`/proc/${before.pid}`) ? 'still' : 'no'} /proc/${before.pid}.`);
say();
await sleep(500);

say('3. Continue. This command itself becomes the program that was, and does not compute a single digit again:');
say();
const after = new Shown(stasis, ['restart', image]);
say(`   $ ${shown.stasis} restart ${shown.image}`);
say();
await after.printed(1);
const name = nameOf(after.pid);
const exitCode = await after.end();
say();
say();
if (exitCode !== 0) fail(`The restarted program ended with exit code ${exitCode}.`);

say(`   ps showed it as: ${name.replace(program, relative(process.cwd(), program))}`);
say();
const whole = before.output + after.output;
if (whole !== expected) fail(`Both parts together should be ${expected}, but are ${whole}.`);
say(`Together they printed ${whole.length - 2} decimals of pi with no gap, no repeat and no wrong digit:`);
say(before.output);
say(' '.repeat(before.output.length) + after.output);
