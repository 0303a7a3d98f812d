/** Servers from Debian, as a new user would: load before, during and after the checkpoint, and what the client saw is compared. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { until, type Program } from './program.ts';

/** A port that nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** One request on a connection of its own; undefined when nobody answers. */
async function ask(port: number, request: string, answer: RegExp): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (data) => (text += data.toString('latin1')));
  socket.on('error', () => {});
  socket.write(request);
  try {
    await until('an answer', () => answer.test(text) || socket.destroyed);
    return answer.test(text) ? text : undefined;
  } finally {
    socket.destroy();
  }
}

async function answers(port: number, request: string, answer: RegExp): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if ((await ask(port, request, answer)) !== undefined) return;
    await sleep(50); // it is still starting
  }
  throw new Error(`Nobody answers on port ${port}`);
}

interface Server {
  readonly name: string;
  readonly skip: string | false;
  readonly command: (port: number) => string[];
  readonly request: string;
  readonly answer: RegExp;
}

const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
const servers: readonly Server[] = [
  {
    name: 'python3 -m http.server',
    skip: lacks('python3'),
    command: (port) => ['/usr/bin/python3', '-m', 'http.server', String(port), '--bind', '127.0.0.1'],
    request: 'GET / HTTP/1.0\r\n\r\n',
    answer: /^HTTP\/1.0 200 OK/,
  },
  {
    name: 'memcached',
    skip: lacks('memcached'),
    command: (port) => ['/usr/bin/memcached', ...user, '-l', '127.0.0.1', '-p', String(port)],
    request: 'incr counter 1\r\n',
    answer: /^(NOT_FOUND|\d+)\r\n/,
  },
];

for (const { name, skip, command, request, answer } of servers) {
  test(`${name} goes on after kill and restart`, { skip }, async () => {
    using room = new Room();
    const port = await freePort();
    const program = await room.start(command(port));
    await answers(port, request, answer);
    await room.checkpoint(program, room.path('image'), '--kill', '--tcp-close');
    await program.gone();
    await room.restart(room.path('image'), program);
    await answers(port, request, answer);
  });
}

/** Increments one counter over one connection, and checks each answer. */
class Writer {
  readonly socket: Socket;
  acknowledged = 0;
  failure: string | undefined;
  #text = '';
  #isDone = false;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setNoDelay(true);
    this.socket.on('error', (error) => (this.failure ??= error.message));
    this.socket.on('close', () => (this.failure ??= this.#isDone ? undefined : 'closed'));
    this.socket.on('data', (data) => this.#receive(data.toString('latin1')));
    this.#write();
  }

  end(): void {
    this.#isDone = true;
    this.socket.destroy();
  }

  #write(): void {
    if (!this.#isDone) this.socket.write('INCR counter\r\n');
  }

  #receive(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\r\n'); end >= 0; end = this.#text.indexOf('\r\n')) {
      const answer = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      if (answer !== `:${this.acknowledged + 1}`) this.failure ??= `${answer} after ${this.acknowledged}`;
      this.acknowledged++;
      this.#write();
    }
  }
}

test('nginx goes on with its workers', { skip: lacks('nginx-light') }, async () => {
  using room = new Room();
  const port = await freePort();
  const logs = `error_log ${room.path('error.log')}; pid ${room.path('nginx.pid')};`;
  const http = `http { access_log off; server { listen 127.0.0.1:${port}; location / { return 200 here; } } }`;
  fs.writeFileSync(room.path('nginx.conf'), `daemon off; worker_processes 2; ${logs} events {} ${http}\n`);
  const [request, answer] = ['GET / HTTP/1.0\r\n\r\n', /here$/];
  let program = await room.start(['/usr/sbin/nginx', '-c', room.path('nginx.conf'), '-p', room.directory]);
  try {
    await answers(port, request, answer);
    await room.checkpoint(program, room.path('image'), '--kill', '--tcp-close');
    await program.gone();
    program = await room.restart(room.path('image'), program);
    await answers(port, request, answer);
  } finally {
    program.signal('SIGTERM'); // the workers end with their master
    await program.gone();
  }
});

/** Two processes with a pair of sockets, a pair for datagrams and a TCP connection between them, all with something under way. */
const family = `
import os, socket, sys, time
a, b = socket.socketpair()
first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
listening = socket.create_server(('127.0.0.1', 0))
if os.fork() == 0:
    a.close()
    connection = socket.create_connection(listening.getsockname())
    while data := b.recv(100):
        connection.sendall(data + b' by tcp')
        second.send(data + b' as datagram')
    os._exit(0)
b.close(); second.close()
connection = listening.accept()[0]
a.send(b'early')
connection.recv(1, socket.MSG_PEEK)
print('ready', flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
found = [connection.recv(100), first.recv(100)]
a.send(b'late')
found += [connection.recv(100), first.recv(100)]
a.close()
os.wait()
wanted = [b'early by tcp', b'early as datagram', b'late by tcp', b'late as datagram']
print('PASS' if found == wanted else 'FAIL %r' % found, flush=True)
`;

test('parent and child keep the sockets between them', { skip: lacks('python3') }, async () => {
  using room = new Room();
  fs.writeFileSync(room.path('family.py'), family);
  const program = await room.start(['/usr/bin/python3', room.path('family.py'), room.path('go')]);
  await program.line(/^ready\n/);
  await room.checkpoint(program, room.path('image'), '--kill');
  await program.gone();
  const again = await room.restart(room.path('image'), program);
  room.go();
  await again.passes();
});

const isRoot = process.getuid?.() === 0;

test(
  'redis keeps its client, and no acknowledged write is lost',
  { skip: lacks('redis-server') || (!isRoot && 'needs root') },
  async () => {
    using room = new Room();
    const port = await freePort();
    const start = ['/usr/bin/redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', room.directory];
    let program: Program = await room.start(start);
    await answers(port, 'PING\r\n', /^\+PONG/);
    const writer = new Writer(port);
    try {
      for (let generation = 0; generation < 2; generation++) {
        const before = writer.acknowledged;
        const describe = (): string => writer.failure ?? `${writer.acknowledged} after ${before}`;
        await until('writes', () => writer.acknowledged > before + 200 || writer.failure !== undefined, { describe });
        assert.equal(writer.failure, undefined);
        const image = room.path(`image.${generation}`);
        await room.checkpoint(program, image, '--kill', '--tcp-established');
        await program.gone();
        program = await room.restart(image, program);
      }
      const before = writer.acknowledged;
      await until('writes after the last restart', () => writer.acknowledged > before + 200 || writer.failure !== undefined);
      assert.equal(writer.failure, undefined);
    } finally {
      writer.end();
    }
  },
);
