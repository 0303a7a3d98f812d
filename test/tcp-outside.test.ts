/** TCP connections whose other end is a process outside the tree: this one. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { until, type Program } from './program.ts';

/** Answers the number of bytes that it has received so far; with `full` it writes until the connection takes no more, first. */
const server = `
import os, socket, sys
family, host = (socket.AF_INET6, '::1') if sys.argv[1] == '6' else (socket.AF_INET, '127.0.0.1')
listening = socket.socket(family)
listening.bind((host, 0))
listening.listen(5)
print('port', listening.getsockname()[1], flush=True)
connection = listening.accept()[0]
total = written = 0
if sys.argv[2] == 'full':
    connection.setblocking(False)
    try:
        while True: written += connection.send(b'x' * 65536)
    except BlockingIOError: pass
    connection.setblocking(True)
print('ready', written, flush=True)
try:
    while True:
        data = connection.recv(65536)
        if not data: break
        total += len(data)
        connection.sendall(b'%d\\n' % total)
    print('end', total, flush=True)
except OSError as error:
    print('error', error.errno, flush=True)
`;

class Client {
  readonly socket: Socket;
  text = '';
  ended: string | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data) => (this.text += data.toString('latin1')));
    socket.on('end', () => (this.ended ??= 'end'));
    socket.on('error', (error: NodeJS.ErrnoException) => (this.ended ??= error.code ?? 'error'));
  }

  says(ending: string): Promise<true> {
    const describe = (): string =>
      `It said ${this.text.length} bytes, the last ${JSON.stringify(this.text.slice(-40))}, ${this.ended ?? 'open'}`;
    return until(`the answer ${ending}`, () => this.text.endsWith(`${ending}\n`), { timeoutMs: 30_000, describe });
  }
}

async function begin(room: Room, family: '4' | '6', mode: 'echo' | 'full'): Promise<{ program: Program; client: Client }> {
  fs.writeFileSync(room.path('server.py'), server);
  const program = await room.start(['/usr/bin/python3', room.path('server.py'), family, mode]);
  const [, port] = await program.line(/^port (\d+)\n/);
  const socket = connect({ port: Number(port), host: family === '6' ? '::1' : '127.0.0.1', noDelay: true });
  const client = new Client(socket);
  await once(socket, 'connect');
  if (mode === 'full') socket.pause();
  await program.line(/^ready \d+\n/m);
  return { program, client };
}

const isRoot = process.getuid?.() === 0;

suite('connections to outside the tree', { skip: lacks('python3') || (!isRoot && 'needs root, to take connections') }, () => {
  for (const family of ['4', '6'] as const) {
    test(`IPv${family}: the other end finds it alive after kill and restart`, async () => {
      using room = new Room();
      const { program, client } = await begin(room, family, 'echo');
      client.socket.write('x'.repeat(1000));
      await client.says('1000');
      await room.checkpoint(program, room.path('image'), '--kill', '--tcp-established');
      await program.gone();
      client.socket.write('x'.repeat(500)); // while nobody is there: no reset may come
      await sleep(300);
      assert.equal(client.ended, undefined);
      await room.restart(room.path('image'), program);
      await client.says('1500');
      client.socket.end('x'.repeat(10));
      await client.says('1510');
      await program.line(/^end 1510\n/m);
    });
  }

  test('what was written and has not arrived comes after the restart', async () => {
    using room = new Room();
    const { program, client } = await begin(room, '4', 'full');
    const written = Number((await program.line(/^ready (\d+)\n/m))[1]);
    assert.ok(written > 100_000);
    await room.checkpoint(program, room.path('image'), '--kill', '--tcp-established');
    await program.gone();
    await room.restart(room.path('image'), program);
    client.socket.resume();
    await until('all that was written', () => client.text.length >= written, {
      describe: () => `${client.text.length} of ${written}`,
    });
    assert.equal(client.text, 'x'.repeat(written));
    client.socket.end('last');
    await client.says('4');
  });

  test('goes on undisturbed after a checkpoint', async () => {
    using room = new Room();
    const { program, client } = await begin(room, '4', 'echo');
    await room.checkpoint(program, room.path('image'), '--tcp-established');
    client.socket.end('x'.repeat(7));
    await client.says('7');
    await program.line(/^end 7\n/m);
  });

  test('--tcp-close: comes back as if the other end had reset it', async () => {
    using room = new Room();
    const { program, client } = await begin(room, '4', 'echo');
    await room.checkpoint(program, room.path('image'), '--kill', '--tcp-close');
    await until('the end, for the other end', () => client.ended);
    await program.gone();
    await room.restart(room.path('image'), program);
    const ECONNRESET = 104;
    await program.line(new RegExp(`^error ${ECONNRESET}\\n`, 'm'));
  });

  test('without an option it is refused, and unharmed', async () => {
    using room = new Room();
    const { program, client } = await begin(room, '4', 'echo');
    const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image'), '--kill']);
    assert.equal(result.code, 10);
    assert.match(result.stderr, /outside the tree .*--tcp-established.*--tcp-close/);
    client.socket.end('xx');
    await client.says('2');
    await program.line(/^end 2\n/m);
  });

  test('a checkpoint that is killed leaves it alive, and no filter behind', async () => {
    using room = new Room();
    const { program, client } = await begin(room, '4', 'echo');
    // a pipe that nobody reads: the checkpoint stands still after it has taken everything, with the packets held off
    const fifo = room.path('image.fifo');
    const { spawnSync } = await import('node:child_process');
    spawnSync('mkfifo', [fifo]);
    const reader = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    const result = await room.stasis(['checkpoint', String(program.pid), '--kill', '--tcp-established'], {
      stdout: fifo,
      meanwhile: async (child) => {
        await until(
          'a full pipe',
          () => fs.readFileSync(`/proc/${child.pid}/syscall`, 'utf8').startsWith('1 ') || pipeIsFull(reader),
        );
        await sleep(100);
        child.kill('SIGKILL');
      },
    });
    fs.closeSync(reader);
    assert.equal(result.signal, 'SIGKILL');
    client.socket.end('xyz');
    await client.says('3');
    await program.line(/^end 3\n/m);
  });
});

/** 64 KiB are in it, by default. */
function pipeIsFull(fd: number): boolean {
  try {
    return fs.writeSync(fd, Buffer.alloc(1)) !== 1;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EAGAIN';
  }
}
