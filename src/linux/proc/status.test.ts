import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStatus, readStatus } from './status.ts';

const required = `Name:\tcat
State:\tt (tracing stop)
Tgid:\t42
Pid:\t43
PPid:\t7
TracerPid:\t9
Uid:\t1000\t1001\t1002\t1003
Gid:\t100\t101\t102\t103
Groups:\t4 24 1000 
SigQ:\t3/96365
SigPnd:\t0000000000000001
ShdPnd:\t8000000000000000
SigBlk:\t0000000000010000
SigIgn:\t0000000000001000
SigCgt:\tfffffffe7ffbfeff
CapInh:\t0000000000000000
CapPrm:\t000001fffeffffff
CapEff:\t000001fffeffffff
CapBnd:\t000001fffeffffff
`;
const optional = `Umask:\t0027
FDSize:\t256
NStgid:\t42\t1
NSpid:\t43\t2
NSpgid:\t42\t1
NSsid:\t0\t0
VmSize:\t    3060 kB
RssAnon:\t     100 kB
VmSwap:\t      20 kB
CoreDumping:\t1
THP_enabled:\t0
untag_mask:\t0xffffffffffffffff
Threads:\t5
CapAmb:\t0000000000000400
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t3
Speculation_Store_Bypass:\tthread vulnerable
SpeculationIndirectBranch:\tconditional enabled
x86_Thread_features:\tshstk wrss 
x86_Thread_features_locked:\t
Something_new:\t1
`;

test('all lines', () => {
  assert.deepEqual(parseStatus(required + optional), {
    name: 'cat',
    umask: 0o27,
    state: 't',
    tgid: 42,
    pid: 43,
    ppid: 7,
    tracerPid: 9,
    uid: { real: 1000, effective: 1001, saved: 1002, filesystem: 1003 },
    gid: { real: 100, effective: 101, saved: 102, filesystem: 103 },
    fdSize: 256,
    groups: [4, 24, 1000],
    nsTgid: [42, 1],
    nsPid: [43, 2],
    nsPgid: [42, 1],
    nsSid: [0, 0],
    threads: 5,
    sigQ: { queued: 3, limit: 96365 },
    sigPnd: 1n,
    shdPnd: 1n << 63n,
    sigBlk: 0x10000n,
    sigIgn: 0x1000n,
    sigCgt: 0xfffffffe7ffbfeffn,
    capInh: 0n,
    capPrm: 0x1fffeffffffn,
    capEff: 0x1fffeffffffn,
    capBnd: 0x1fffeffffffn,
    capAmb: 0x400n,
    noNewPrivs: true,
    seccomp: 2,
    seccompFilters: 3,
    speculationStoreBypass: 'thread vulnerable',
    speculationIndirectBranch: 'conditional enabled',
    thpEnabled: false,
    untagMask: 2n ** 64n - 1n,
    x86ThreadFeatures: ['shstk', 'wrss'],
    coreDumping: true,
    anonymousKb: 120,
    hasMemory: true,
  });
});

test('without the optional lines', () => {
  const status = parseStatus(required);
  assert.equal(status.umask, undefined);
  assert.equal(status.seccomp, undefined);
  assert.equal(status.untagMask, undefined);
  assert.equal(status.thpEnabled, undefined);
  assert.equal(status.speculationStoreBypass, undefined);
  assert.deepEqual([status.noNewPrivs, status.coreDumping, status.hasMemory], [false, false, false]);
  assert.deepEqual([status.threads, status.capAmb, status.nsPid, status.x86ThreadFeatures], [1, 0n, [], []]);
});

test('odd names, no groups', () => {
  const named = (escaped: string): string => parseStatus(required.replace('cat', () => escaped)).name;
  assert.equal(named('a: b'), 'a: b');
  assert.equal(named(' blank '), ' blank ');
  assert.equal(named('two\\nlines'), 'two\nlines');
  assert.equal(named('back\\\\nslash'), 'back\\nslash');
  assert.equal(named(''), '');
  assert.deepEqual(parseStatus(required.replace(/Groups:.*/, 'Groups:\t ')).groups, []);
});

test('a required line that is missing or damaged is named', () => {
  assert.throws(() => parseStatus(required.replace(/SigCgt.*\n/, '')), /SigCgt/);
  assert.throws(() => parseStatus(required.replace('1003', '')), /Cannot understand/);
});

test('this process', () => {
  const status = readStatus(process.pid);
  assert.deepEqual([status.pid, status.ppid, status.uid.real], [process.pid, process.ppid, process.getuid?.()]);
  assert.equal(status.umask, process.umask());
  assert.equal(status.nsPid.at(-1), process.pid);
  assert.ok(status.threads > 1 && status.hasMemory);
});
