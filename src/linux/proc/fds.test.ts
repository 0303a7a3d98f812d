import assert from 'node:assert/strict';
import { closeSync, constants, fstatSync, mkdtempSync, openSync, rmSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseFdInfo, readFdInfo } from './fdinfo.ts';
import { readFdEntries } from './fd-entries.ts';
import { major, makeDevice, minor, parseFdLink, readFdStat, readFds } from './fds.ts';

test('fdinfo of a file with locks', () => {
  const text =
    'pos:\t9223372036854775807\nflags:\t02100002\nmnt_id:\t24\nino:\t18446744073709551615\n' +
    'lock:\t1: POSIX  ADVISORY  WRITE 4242 00:19:7 0 EOF\nlock:\t2: FLOCK  ADVISORY  READ 4242 00:19:7 0 EOF\n';
  assert.deepEqual(parseFdInfo(text), {
    pos: 2n ** 63n - 1n,
    flags: 0o2100002,
    mnt_id: 24,
    ino: 2n ** 64n - 1n,
    locks: ['1: POSIX  ADVISORY  WRITE 4242 00:19:7 0 EOF', '2: FLOCK  ADVISORY  READ 4242 00:19:7 0 EOF'],
    scm_fds: undefined,
    lines: [],
  });
});

test('fdinfo of other kinds, and of older kernels', () => {
  const epoll = 'tfd:        5 events:       19 data:                5  pos:0 ino:61af sdev:7';
  const text = `pos:\t-1\nflags:\t02\nmnt_id:\t15\n${epoll}\nscm_fds: 2\neventfd-count:                7\n`;
  const info = parseFdInfo(text);
  assert.deepEqual([info.pos, info.ino, info.scm_fds], [-1n, undefined, 2]);
  assert.deepEqual(info.lines, [epoll, 'eventfd-count:                7']);
  for (const bad of ['', 'pos:\t0\nflags:\t09\nmnt_id:\t1\n', 'pos:\tx\nflags:\t0\nmnt_id:\t1\n', 'pos:\t0\nflags:\t0\n']) {
    assert.throws(() => parseFdInfo(bad), /Cannot understand/);
  }
});

test('what the links mean', () => {
  assert.deepEqual(parseFdLink('/tmp/a b'), { type: 'path', path: '/tmp/a b', deleted: false });
  assert.deepEqual(parseFdLink('/tmp/a (deleted)'), { type: 'path', path: '/tmp/a', deleted: true });
  assert.deepEqual(parseFdLink('/memfd:x (deleted)'), { type: 'path', path: '/memfd:x', deleted: true });
  assert.deepEqual(parseFdLink('pipe:[123]'), { type: 'pipe', ino: 123n });
  assert.deepEqual(parseFdLink('socket:[9007199254740993]'), { type: 'socket', ino: 9007199254740993n });
  assert.deepEqual(parseFdLink('anon_inode:[eventpoll]'), { type: 'anon_inode', name: 'eventpoll' });
  assert.deepEqual(parseFdLink('anon_inode:inotify'), { type: 'anon_inode', name: 'inotify' });
  assert.deepEqual(parseFdLink('net:[4026531840]'), { type: 'other', link: 'net:[4026531840]' });
});

test('device numbers', () => {
  assert.deepEqual([major(0x103), minor(0x103)], [1, 3]);
  assert.deepEqual([major(0x8801), minor(0x8801)], [136, 1]);
  assert.deepEqual([major(0xfff1_03ff), minor(0xfff1_03ff)], [259, 0xfffff]);
  const { rdev } = statSync('/dev/null');
  assert.deepEqual([major(rdev), minor(rdev)], [1, 3]);
});

test('an open file of this process', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'stasis-fds-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'a file');
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o640);
  t.after(() => closeSync(fd));
  writeSync(fd, 'hello');
  const fds = readFds(process.pid);
  assert.deepEqual(
    fds.find((entry) => entry.fd === fd),
    { fd, link: path },
  );
  assert.deepEqual(
    fds.map((entry) => entry.fd),
    fds.map((entry) => entry.fd).sort((a, b) => a - b),
  );
  const info = readFdInfo(process.pid, fd);
  assert.equal(info.pos, 5n);
  assert.equal(info.flags & 0o3, constants.O_RDWR);
  assert.ok(info.flags & constants.O_APPEND && info.flags & 0o2000000, 'append and close-on-exec');
  const own = fstatSync(fd, { bigint: true });
  assert.deepEqual(readFdStat(process.pid, fd), {
    dev: Number(own.dev),
    ino: own.ino,
    mode: Number(own.mode),
    nlink: 1,
    rdev: 0,
    size: 5n,
    uid: Number(own.uid),
    gid: Number(own.gid),
    mtimeNs: own.mtimeNs,
    birthtimeNs: own.birthtimeNs,
  });
  unlinkSync(path);
  const link = readFds(process.pid).find((entry) => entry.fd === fd)?.link ?? '';
  assert.deepEqual(parseFdLink(link), { type: 'path', path, deleted: true });
  assert.equal(readFdStat(process.pid, fd)?.nlink, 0);
  assert.equal(readFdStat(process.pid, 99_999), undefined);
});

test('all descriptors at once are what they are one by one', () => {
  const directory = mkdtempSync(join(tmpdir(), 'stasis-fds-'));
  const odd = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0x41])]);
  const fds = [openSync(odd, 'w'), openSync('/dev/null', 'r'), openSync(directory, 'r'), openSync('/proc/self/status', 'r')];
  try {
    const wanted = readFds(process.pid).filter(({ fd }) => fds.includes(fd));
    assert.equal(wanted.length, fds.length);
    const entries = readFdEntries(process.pid).filter(({ fd }) => fds.includes(fd));
    for (const [index, { stat, info, ...link }] of entries.entries()) {
      assert.deepEqual(
        { ...link, linkBytes: link.linkBytes && Buffer.from(link.linkBytes) },
        { linkBytes: undefined, ...wanted[index] },
      );
      assert.deepEqual(stat, readFdStat(process.pid, link.fd));
      assert.deepEqual(info, readFdInfo(process.pid, link.fd));
    }
  } finally {
    fds.forEach((fd) => closeSync(fd));
    rmSync(directory, { recursive: true });
  }
});

test('a device number is put together as stat does', () => {
  for (const path of ['/dev/null', '/dev/ptmx', '/']) {
    const { rdev, dev } = statSync(path);
    for (const number of [rdev, dev]) assert.equal(makeDevice(major(number), minor(number)), number);
  }
  assert.deepEqual([major(makeDevice(0x12345, 0x678ab)), minor(makeDevice(0x12345, 0x678ab))], [0x12345, 0x678ab]);
});
