import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStat, readStat } from './stat.ts';

/** Fields 3 to 52, each its own number where it may be, so that none can be taken for another. */
const tail = ['S', ...Array.from({ length: 49 }, (_, index) => String(1000 + index + 4))].join(' ');

test('each field has the number of the man page', () => {
  const stat = parseStat(`77 (cat) ${tail}\n`);
  assert.deepEqual(stat, {
    pid: 77,
    comm: 'cat',
    state: 'S',
    ppid: 1004,
    pgrp: 1005,
    sid: 1006,
    tty_nr: 1007,
    tpgid: 1008,
    flags: 1009,
    minflt: 1010,
    cminflt: 1011,
    majflt: 1012,
    cmajflt: 1013,
    utime: 1014,
    stime: 1015,
    cutime: 1016,
    cstime: 1017,
    priority: 1018,
    nice: 1019,
    num_threads: 1020,
    itrealvalue: 1021,
    starttime: 1022,
    vsize: 1023n,
    rss: 1024,
    rsslim: 1025n,
    startCode: 1026n,
    endCode: 1027n,
    startStack: 1028n,
    kstkesp: 1029n,
    kstkeip: 1030n,
    signal: 1031n,
    blocked: 1032n,
    sigignore: 1033n,
    sigcatch: 1034n,
    wchan: 1035n,
    nswap: 1036,
    cnswap: 1037,
    exit_signal: 1038,
    processor: 1039,
    rt_priority: 1040,
    policy: 1041,
    delayacct_blkio_ticks: 1042,
    guest_time: 1043,
    cguest_time: 1044,
    startData: 1045n,
    endData: 1046n,
    startBrk: 1047n,
    argStart: 1048n,
    argEnd: 1049n,
    envStart: 1050n,
    envEnd: 1051n,
    exit_code: 1052,
  });
  assert.equal(Object.keys(stat).length, 52);
});

test('names that look like the rest of the line', () => {
  for (const comm of ['a) S 1 (b', ') (', '((', ')', '', 'two\nlines', 'x) R 1 2 3', ' blank ']) {
    const stat = parseStat(`5 (${comm}) ${tail}\n`);
    assert.deepEqual([stat.pid, stat.comm, stat.state, stat.ppid], [5, comm, 'S', 1004]);
  }
});

test('64-bit values are exact, negative ones kept, later fields passed over', () => {
  const words = tail.split(' ');
  words[25 - 3] = '18446744073709551615';
  words[8 - 3] = '-1';
  words[19 - 3] = '-20';
  const stat = parseStat(`1 (x) ${words.join(' ')} 53 54\n`);
  assert.deepEqual([stat.rsslim, stat.tpgid, stat.nice, stat.exit_code], [2n ** 64n - 1n, -1, -20, 1052]);
});

test('a line of another form is refused', () => {
  for (const text of ['', '1 x S 1', `1 (x) ${tail.slice(0, -6)}`, `1 (x) ${tail.replace('1010', 'abc')}`]) {
    assert.throws(() => parseStat(text), /Cannot understand/);
  }
});

test('this process', () => {
  const stat = readStat(process.pid);
  assert.deepEqual([stat.pid, stat.ppid], [process.pid, process.ppid]);
  assert.ok(stat.startStack > stat.startBrk && stat.envEnd >= stat.argStart && stat.starttime > 0);
});
