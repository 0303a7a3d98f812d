import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doctor, thisHost, type Check } from './doctor.ts';
import { checks, type Host } from './doctor-checks.ts';

const files: Readonly<Record<string, string>> = {
  '/proc/self/status': 'CapEff:\t000001ffffffffff\n',
  '/proc/self/mounts': 'proc /proc proc rw,nosuid 0 0\n',
  '/proc/self/smaps': '7f00-7f01 r-xp 0 00:00 0 [vdso]\nVmFlags: rd ex mr mw me de\n8f00-8f01 rw-p 0 00:00 0\nVmFlags: rd sl\n',
  '/proc/sys/user/max_user_namespaces': '100\n',
};

/** A host on which all is well, but for what is given. */
function host(change: Partial<Host> = {}, changedFiles: Readonly<Record<string, string | undefined>> = {}): Host {
  const all: Readonly<Record<string, string | undefined>> = { ...files, ...changedFiles };
  return {
    platform: 'linux',
    architecture: 'x64',
    nodeVersion: '20.19.0',
    uid: 0,
    readText: (path) => all[path],
    probe: (name) => (name === 'ptrace' ? 'ESRCH' : ''),
    ...change,
  };
}

async function failing(on: Host): Promise<readonly Check[]> {
  const { checks: results } = await doctor(on);
  return results.filter(({ ok }) => !ok);
}

async function names(on: Host): Promise<string[]> {
  return (await failing(on)).map(({ name }) => name);
}

test('names are unique, every check has a remedy', () => {
  assert.equal(new Set(checks.map(({ name }) => name)).size, checks.length);
  for (const { remedy } of checks) assert.match(remedy, /\.$/);
});

test('a host that has everything', async () => {
  const { ok, checks: results } = await doctor(host());
  assert.ok(ok);
  for (const check of results) assert.ok(check.ok && check.remedy === '', check.name);
});

test('each thing that is missing is named', async () => {
  assert.deepEqual(await names(host({ architecture: 'arm64' })), ['platform']);
  assert.deepEqual(await names(host({ nodeVersion: '20.18.3' })), ['node']);
  assert.deepEqual(await names(host({ nodeVersion: '18.20.0' })), ['node']);
  assert.deepEqual(await names(host({}, { '/proc/self/mounts': '' })), ['proc']);
  assert.deepEqual(await names(host({}, { '/proc/self/mounts': 'proc /proc proc rw,subset=pid 0 0' })), ['proc']);
  assert.deepEqual(await names(host({}, { '/proc/self/mounts': 'proc /proc proc rw,hidepid=invisible 0 0' })), []);
  assert.deepEqual(await names(host({}, { '/proc/self/smaps': '' })), ['vdso']);
  assert.deepEqual(await names(host({}, { '/proc/self/smaps': '7f00-7f01 r-xp 0 [vdso]\nVmFlags: rd sl\n' })), [
    'unsealed-mappings',
  ]);
  assert.deepEqual(await names(host({}, { '/proc/sys/user/max_user_namespaces': '0' })), ['user-namespaces']);
});

test('a call that the kernel refuses is told with its errno', async () => {
  const [check] = await failing(host({ probe: (name) => (name === 'kcmp' ? 'ENOSYS' : name === 'ptrace' ? 'ESRCH' : '') }));
  assert.equal(check?.name, 'kcmp');
  assert.match(check.detail, /ENOSYS/);
  assert.equal(check.required, false);
});

test('without FFI nothing can be probed, and that is no exception', async () => {
  const report = await doctor(
    host({
      probe: () => {
        throw new Error('no library');
      },
    }),
  );
  assert.ok(!report.ok);
  assert.match(report.checks.find(({ name }) => name === 'ffi')?.detail ?? '', /no library/);
});

test('Yama and capabilities decide together', async () => {
  const scope = '/proc/sys/kernel/yama/ptrace_scope';
  const without = { '/proc/self/status': 'CapEff:\t0000000000000000\n' };
  for (const [level, privileged, ok] of [
    ['0', false, true],
    ['1', false, false],
    ['1', true, true],
    ['2', false, false],
    ['2', true, true],
    ['3', true, false],
  ] as const) {
    const found = await names(host({}, { ...(privileged ? {} : without), [scope]: `${level}\n` }));
    assert.equal(!found.includes('ptrace'), ok, `level ${level}, ${privileged}`);
  }
  assert.ok((await names(host({}, without))).includes('capability-sys-ptrace'));
});

test('this host can be asked', { skip: process.platform !== 'linux' && 'needs Linux' }, async () => {
  const { checks: results } = await doctor(thisHost());
  assert.equal(results.find(({ name }) => name === 'ffi')?.ok, true);
  for (const { name, detail } of results) assert.doesNotMatch(detail, /could not be tried/, name);
});
