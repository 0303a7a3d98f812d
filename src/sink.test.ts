import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { StasisError } from './errors.ts';
import { LocalMemory, mustSyscall } from './linux/ffi.ts';
import { linkFile } from './linux/link-file.ts';
import { openSink } from './sink.ts';

const directory = mkdtempSync(join(tmpdir(), 'stasis-sink-'));
after(() => rmSync(directory, { recursive: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A directory of its own for each case. */
function place(): { path: string; names: () => string[] } {
  const own = mkdtempSync(join(directory, 'case-'));
  return { path: join(own, 'image'), names: () => readdirSync(own) };
}

for (const [way, options] of [
  ['without a name until commit', { linkFile }],
  ['under a temporary name until commit', {}],
] as const) {
  test(`${way}: the file appears when it is whole, for its owner only`, () => {
    const { path, names } = place();
    const sink = openSink({ path }, options);
    sink.write([bytes('one '), new Uint8Array(0), bytes('two')]);
    assert.ok(!names().includes('image'));
    if (way.startsWith('without')) assert.deepEqual(names(), []);
    sink.commit();
    sink.discard();
    assert.equal(readFileSync(path, 'utf8'), 'one two');
    assert.equal(statSync(path).mode & 0o7777, 0o600);
    assert.deepEqual(names(), ['image']);
  });

  test(`${way}: an existing file is replaced in one step, through a symbolic link too`, () => {
    const { path, names } = place();
    writeFileSync(path, 'old', { mode: 0o644 });
    symlinkSync('image', `${path}.link`);
    const sink = openSink({ path: `${path}.link` }, options);
    sink.write([bytes('new')]);
    assert.equal(readFileSync(path, 'utf8'), 'old');
    sink.commit();
    assert.equal(readFileSync(path, 'utf8'), 'new');
    assert.deepEqual(names().sort(), ['image', 'image.link']);
  });

  test(`${way}: leaving the block discards`, () => {
    const { path, names } = place();
    writeFileSync(path, 'old');
    {
      using sink = openSink({ path }, options);
      sink.write([bytes('new')]);
    }
    assert.equal(readFileSync(path, 'utf8'), 'old');
    assert.deepEqual(names(), ['image']);
  });
}

test('after SIGKILL nothing is left of a nameless file, and the next writer removes a named one', async () => {
  for (const options of ['{ linkFile }', '{}']) {
    const { path, names } = place();
    const program = `
      import { openSink } from '${import.meta.dirname}/sink.ts';
      import { linkFile } from '${import.meta.dirname}/linux/link-file.ts';
      openSink({ path: process.argv[1] }, ${options}).write([new Uint8Array(1 << 20)]);
      console.log('ready');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(names().length, options === '{}' ? 1 : 0);
    using _ = openSink({ path });
    assert.equal(names().length, 1, 'only the temporary file of the new writer');
  }
});

/** Starts `command`, which prints a number, with the descriptor as its standard input. */
function counting(command: string, stdin: number): () => Promise<number> {
  const child = spawn('sh', ['-c', command], { stdio: [stdin, 'pipe', 'inherit'] });
  const { stdout } = child;
  assert.ok(stdout !== null);
  return async () => {
    const [count] = (await once(stdout, 'data')) as [Buffer];
    return Number(count.toString());
  };
}

test('waits for a slow reader of a non-blocking pipe, without burning the processor', async () => {
  const [readEnd, writeEnd] = pipe(constants.O_NONBLOCK);
  const count = counting('sleep 0.5; wc -c', readEnd);
  closeSync(readEnd);
  const before = process.cpuUsage();
  const started = performance.now();
  openSink({ fd: writeEnd }).write([new Uint8Array(3_000_001), new Uint8Array(99)]);
  const { user, system } = process.cpuUsage(before);
  assert.ok(performance.now() - started > 400);
  assert.ok(user + system < 200_000, `took ${user + system} µs of processor time`);
  closeSync(writeEnd);
  assert.equal(await count(), 3_000_100);
});

test('waits for a slow reader of a non-blocking named pipe', async () => {
  const { path } = place();
  spawnSync('mkfifo', [path]);
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  // Opened again, because the open file that we made would not wait for us.
  const count = counting('sleep 0.3; exec < "/proc/self/fd/0"; wc -c', readEnd);
  closeSync(readEnd);
  openSink({ fd }).write([new Uint8Array(500_000)]);
  closeSync(fd);
  assert.equal(await count(), 500_000);
});

test('thousands of parts in one write', () => {
  const { path } = place();
  using sink = openSink({ path });
  sink.write(Array.from({ length: 5000 }, (_, index) => Uint8Array.of(index)));
  sink.commit();
  assert.deepEqual(
    [...readFileSync(path)],
    Array.from({ length: 5000 }, (_, index) => index & 255),
  );
});

test('what goes wrong is a StasisError that says what to do', () => {
  const [readEnd, writeEnd] = pipe();
  closeSync(readEnd);
  const cases: [() => unknown, RegExp, RegExp][] = [
    [() => openSink({ path: '/dev/full' }).write([bytes('x')]), /\/dev\/full.*ENOSPC/, /disk is full/],
    [() => openSink({ fd: writeEnd }).write([bytes('x')]), /EPIPE/, /reads the image/],
    [() => openSink({ fd: 999 }).write([bytes('x')]), /EBADF/, /not open/],
    [() => openSink({ path: '/nonexistent/image' }), /ENOENT/, /directory does not exist/],
    [() => openSink({ path: '/proc/image' }), /\/proc\/image/, /./],
    [() => openSink({ path: directory }), /EISDIR/, /directory/],
  ];
  for (const [action, message, hint] of cases) {
    assert.throws(action, (error) => {
      assert.ok(error instanceof StasisError, String(error));
      assert.match(error.message, message);
      assert.match(error.hint ?? '', hint);
      assert.equal(error.exitCode, 1);
      return true;
    });
  }
  closeSync(writeEnd);
});

function pipe(flags = 0): [number, number] {
  const memory = LocalMemory.allocate(4096);
  mustSyscall('pipe2', 'Cannot make a pipe', memory.address, flags | 0o2000000); // O_CLOEXEC
  return [memory.view.getInt32(0, true), memory.view.getInt32(4, true)];
}
