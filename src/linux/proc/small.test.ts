/** The parsers of one or a few lines each. */
import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { mapsAll, parseIdMap } from './id-maps.ts';
import { parseLimits, readLimits, unlimited } from './limits.ts';
import { parseNamespaceLink, parsePathLink, readCwd, readExe, readNamespaces, readRoot } from './links.ts';
import { parseAuxv, parseCmdline, parseEnviron, readAuxv, readCmdline, readEnviron } from './memory-texts.ts';
import { parseExecStart, readExecStart } from './sched.ts';
import { parseSyscall, readSyscall } from './syscall.ts';
import { parseChildren, readTasks } from './tasks.ts';
import { parseTimers, readTimers } from './timers.ts';
import { parseComm, parseCoredumpFilter, parseOomScoreAdj, parsePersonality, parseTimerSlack, parseWchan } from './values.ts';
import { readComm, readCoredumpFilter, readOomScoreAdj, readPersonality, readTimerSlack } from './values.ts';

const self = process.pid;

/** A line as proc_pid_limits formats it. */
const row = (words: string, soft: string, hard: string, unit: string): string =>
  `${words.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${unit.padEnd(10)}\n`;

test('limits', () => {
  const title = row('Limit', 'Soft Limit', 'Hard Limit', 'Units');
  const rows = [row('Max nice priority', '0', '20', ''), row('Max cpu time', 'unlimited', '18446744073709551614', 'seconds')];
  assert.deepEqual(parseLimits(title + rows.join('')), [
    { resource: 0, name: 'RLIMIT_CPU', soft: unlimited, hard: 2n ** 64n - 2n },
    { resource: 13, name: 'RLIMIT_NICE', soft: 0n, hard: 20n },
  ]);
  assert.throws(() => parseLimits(title + row('Max new thing', '1', '2', '')), /Cannot understand/);
  assert.throws(() => parseLimits(title + row('Max cpu time', 'many', '2', '')), /Cannot understand/);
  assert.deepEqual(
    readLimits(self).map(({ resource }) => resource),
    Array.from({ length: 16 }, (_, index) => index),
  );
});

test('links', () => {
  assert.deepEqual(parsePathLink('/bin/a b (deleted)'), { path: '/bin/a b', deleted: true });
  assert.deepEqual(parsePathLink('/'), { path: '/', deleted: false });
  assert.equal(parseNamespaceLink('time:[4026531834]'), 4026531834);
  assert.equal(parseNamespaceLink('/tmp'), undefined);
  assert.equal(readExe(self)?.path, readlinkSync('/proc/self/exe'));
  assert.equal(readCwd(self)?.path, process.cwd());
  assert.equal(readRoot(self)?.path, '/');
  assert.ok((readNamespaces(self).get('pid') ?? 0) > 0);
});

test('cmdline and environ', () => {
  assert.deepEqual(parseCmdline('a\0b c\0\0'), ['a', 'b c', '']);
  assert.deepEqual(parseCmdline('title without end'), ['title without end']);
  assert.deepEqual(parseCmdline(''), []);
  assert.deepEqual(parseCmdline('\0'), ['']);
  assert.deepEqual(parseEnviron('A=1\0B=two\nlines\0'), ['A=1', 'B=two\nlines']);
  assert.equal(readCmdline(self)[0], process.argv0);
  assert.ok(readEnviron(self).includes(`PATH=${process.env['PATH']}`));
});

test('auxv', () => {
  const words = new BigUint64Array([6n, 4096n, 33n, 0x7ffd_1234_5678_9000n, 0n, 0n, 9n, 9n]);
  assert.deepEqual(parseAuxv(new Uint8Array(words.buffer)), [
    [6n, 4096n],
    [33n, 0x7ffd_1234_5678_9000n],
  ]);
  assert.deepEqual(parseAuxv(new Uint8Array(new Uint32Array([6, 4096, 25, 0xffff_0000, 0, 0]).buffer), 4), [
    [6n, 4096n],
    [25n, 0xffff_0000n],
  ]);
  assert.deepEqual(parseAuxv(new Uint8Array(words.buffer, 0, 20)), [[6n, 4096n]]);
  assert.deepEqual(parseAuxv(new Uint8Array()), []);
  assert.equal(new Map(readAuxv(self)).get(6n), 4096n);
});

test('timers', () => {
  const text =
    'ID: 0\nsignal: 64/00007ffe5e0b1230\nnotify: signal/pid.2634\nClockID: 0\n' +
    'ID: 7\nsignal: 0/0000000000000000\nnotify: none/pid.2634\nClockID: -6\n' +
    'ID: 8\nsignal: 34/(null)\nnotify: thread/tid.2635\nClockID: 1\n';
  assert.deepEqual(parseTimers(text), [
    { id: 0, signal: 64, value: 0x7ffe5e0b1230n, notify: 'signal', target: 'pid', pid: 2634, clock: 0 },
    { id: 7, signal: 0, value: 0n, notify: 'none', target: 'pid', pid: 2634, clock: -6 },
    { id: 8, signal: 34, value: 0n, notify: 'thread', target: 'tid', pid: 2635, clock: 1 },
  ]);
  assert.throws(() => parseTimers('ID: 0\nsignal: 64\n'), /Cannot understand/);
  assert.deepEqual(readTimers(self) ?? [], []);
});

test('syscall', () => {
  assert.equal(parseSyscall('running\n'), 'running');
  assert.deepEqual(parseSyscall('-1 0x7ffc2bf8da08 0x7f76cac682ad\n'), {
    number: -1,
    args: [],
    sp: 0x7ffc2bf8da08n,
    pc: 0x7f76cac682adn,
  });
  assert.deepEqual(parseSyscall('17234 0x3 0xffffffffffffffff 0x0 0x1 0x2 0x4 0x7ffc2bf8da08 0x7f76cac682ad\n'), {
    number: 17234,
    args: [3n, 2n ** 64n - 1n, 0n, 1n, 2n, 4n],
    sp: 0x7ffc2bf8da08n,
    pc: 0x7f76cac682adn,
  });
  for (const text of ['', '0 0x1\n', '0 0x1 0x2 0x3\n', 'x 0x1 0x2\n', '-1 1 2\n']) {
    assert.throws(() => parseSyscall(text), /Cannot understand/);
  }
  assert.notEqual(readSyscall(self), undefined);
});

test('sched', () => {
  const text = 'cat (4247, #threads: 1)\n---\nse.exec_start                                :       1631608.588146\n';
  assert.equal(parseExecStart(text), 1631608.588146);
  assert.equal(parseExecStart('a se.exec_start : 1\n'), undefined);
  assert.equal(parseExecStart(''), undefined);
  assert.ok((readExecStart(self) ?? 1) > 0);
});

test('children and tasks', () => {
  assert.deepEqual(parseChildren('12 345 6 '), [12, 345, 6]);
  assert.deepEqual(parseChildren(''), []);
  assert.equal(readTasks(self)[0], self);
});

test('single values', () => {
  assert.equal(parsePersonality('00040000\n'), 0x40000);
  assert.equal(parsePersonality('ffffffff\n'), 0xffffffff);
  assert.equal(parseTimerSlack('18446744073709551615\n'), 2n ** 64n - 1n);
  assert.equal(parseOomScoreAdj('-1000\n'), -1000);
  assert.equal(parseCoredumpFilter('00000033\n'), 0x33);
  assert.equal(parseWchan('0'), undefined);
  assert.equal(parseWchan('do_sys_poll'), 'do_sys_poll');
  assert.deepEqual(parseComm(Buffer.from('a\nb\n')), Buffer.from('a\nb'));
  assert.deepEqual(parseComm(Buffer.from('\n')), Buffer.from(''));
  for (const parse of [parsePersonality, parseTimerSlack, parseOomScoreAdj, parseCoredumpFilter]) {
    assert.throws(() => parse('?\n'), /Cannot understand/);
  }
  assert.equal(typeof readPersonality(self), 'number');
  assert.equal(readTimerSlack(self), 50_000n);
  assert.ok(readOomScoreAdj(self) >= -1000);
  assert.equal(typeof readCoredumpFilter(self), 'number');
  assert.ok(readComm(self).length > 0);
});

test('id maps', () => {
  const text = '         0       1000          1\n      1000     100000      65536\n';
  assert.deepEqual(parseIdMap(text), [{ inside: 0, length: 1 }, { inside: 1000, length: 65536 }]); // prettier-ignore
  assert.equal(mapsAll(self, 'uid_map', [process.getuid?.() ?? 0]), true);
});
