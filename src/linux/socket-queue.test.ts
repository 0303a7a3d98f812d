/** What waits in sockets of our own, looked at without being taken. */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { x86_64 } from '../arch/x86_64.ts';
import { sameDescription } from './descriptors.ts';
import { Guard } from './guard.ts';
import { peekDatagrams, peekStream } from './socket-queue.ts';
import { readUnixSockets, state } from './sock-diag.ts';
import { getInt, openSocketPair, receiveMessage, sendMessage, setOption, SOCK, type Message } from './sockets.ts';
import { fstatSync } from 'node:fs';

const text = (messages: readonly Message[]): string[] => messages.map(({ data }) => Buffer.from(data).toString());
const SOL_SOCKET = 1;
const SO_PEEK_OFF = 42;

function withPair(type: number, work: (a: number, b: number, guard: () => Guard) => void): void {
  const [a, b] = openSocketPair(type);
  using guard = new Guard(x86_64.code.spawn);
  work(a, b, () => guard);
  for (const fd of [a, b]) closeSync(fd);
}

test('a stream is one piece, and stays where it is', () => {
  withPair(SOCK.STREAM, (a, b, guard) => {
    assert.deepEqual(peekStream(b, guard), []);
    for (const part of ['one', 'two']) sendMessage(a, { data: Buffer.from(part) });
    for (let round = 0; round < 2; round++) assert.deepEqual(text(peekStream(b, guard)), ['onetwo']);
    const received = receiveMessage(b, 0, 100);
    assert.ok(typeof received !== 'number');
    assert.deepEqual(text([received]), ['onetwo']);
  });
});

test('borders in a stream stand where descriptors come along', () => {
  withPair(SOCK.STREAM, (a, b, guard) => {
    const file = openSync('/dev/null', 'r');
    sendMessage(a, { data: Buffer.from('abc') });
    sendMessage(a, { data: Buffer.from('defg'), fds: [file, a] });
    sendMessage(a, { data: Buffer.from('h'), fds: [file] });
    sendMessage(a, { data: Buffer.from('ij') });
    setOption(b, SOL_SOCKET, SO_PEEK_OFF, 5); // its own, which comes back
    const messages = peekStream(b, guard);
    assert.deepEqual(text(messages), ['abc', 'defg', 'h', 'ij']);
    assert.deepEqual(
      messages.map(({ fds }) => fds.length),
      [0, 2, 1, 0],
    );
    const [, found = -1] = messages[1]?.fds ?? [];
    assert.ok(sameDescription(process.pid, found, process.pid, a));
    assert.equal(getInt(b, SOL_SOCKET, SO_PEEK_OFF), 5);
    for (const fd of [file, ...messages.flatMap(({ fds }) => fds)]) closeSync(fd);
  });
});

for (const [name, type] of [
  ['datagrams', SOCK.DGRAM],
  ['packets of a connection', SOCK.SEQPACKET],
] as const) {
  test(`${name} keep their borders, also empty ones`, () => {
    withPair(type, (a, b, guard) => {
      assert.deepEqual(peekDatagrams(b, guard), []);
      const sent = ['', 'one', '', 'x'.repeat(100_000), 'last'];
      for (const part of sent) assert.equal(sendMessage(a, { data: Buffer.from(part) }), part.length);
      assert.deepEqual(text(peekDatagrams(b, guard)), sent);
      assert.equal(getInt(b, SOL_SOCKET, SO_PEEK_OFF), -1);
      for (const part of sent) {
        const received = receiveMessage(b, 0, 1 << 18);
        assert.ok(typeof received !== 'number' && text([received])[0] === part);
      }
    });
  });
}

test('a closed seqpacket connection has an end', () => {
  withPair(SOCK.SEQPACKET, (a, b, guard) => {
    const [c, d] = openSocketPair(SOCK.SEQPACKET);
    sendMessage(c, { data: Buffer.from('last') });
    closeSync(c);
    assert.deepEqual(text(peekDatagrams(d, guard)), ['last']);
    closeSync(d);
    assert.notEqual(a, b);
  });
});

test('sock_diag tells who is connected with whom', () => {
  withPair(SOCK.STREAM, (a, b) => {
    const [first, second] = [fstatSync(a).ino, fstatSync(b).ino];
    const found = readUnixSockets();
    assert.equal(found.get(first)?.peer, second);
    assert.equal(found.get(second)?.state, state.ESTABLISHED);
  });
});
