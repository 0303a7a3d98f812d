/** What readers say about processes that are gone, that may not be read, and files that a kernel lacks. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { StasisError } from '../../errors.ts';
import { readFdInfo } from './fdinfo.ts';
import { readFdStat, readFds } from './fds.ts';
import { readLimits } from './limits.ts';
import { readCwd, readExe, readNamespaces } from './links.ts';
import { readMaps } from './maps.ts';
import { readAuxv, readCmdline, readEnviron } from './memory-texts.ts';
import { readProcText, readProcTextIfPresent } from './read.ts';
import { readExecStart } from './sched.ts';
import { readSmaps } from './smaps.ts';
import { readStat } from './stat.ts';
import { readStatus } from './status.ts';
import { readSyscall } from './syscall.ts';
import { readChildren, readTasks } from './tasks.ts';
import { readTimers } from './timers.ts';
import { readComm, readCoredumpFilter, readOomScoreAdj, readPersonality, readTimerSlack, readWchan } from './values.ts';

const readers: Readonly<Record<string, (pid: number) => unknown>> = {
  maps: readMaps,
  smaps: readSmaps,
  stat: readStat,
  status: readStatus,
  fds: readFds,
  fdinfo: (pid) => readFdInfo(pid, 0),
  fdStat: (pid) => readFdStat(pid, 0),
  limits: readLimits,
  exe: readExe,
  cwd: readCwd,
  namespaces: readNamespaces,
  cmdline: readCmdline,
  environ: readEnviron,
  auxv: readAuxv,
  timers: readTimers,
  syscall: readSyscall,
  sched: readExecStart,
  children: readChildren,
  tasks: readTasks,
  personality: readPersonality,
  timerSlack: readTimerSlack,
  oomScoreAdj: readOomScoreAdj,
  coredumpFilter: readCoredumpFilter,
  wchan: readWchan,
  comm: readComm,
};

test('a process that is gone: VANISHED, from every reader', async () => {
  const child = spawn('true', { stdio: 'ignore' });
  await once(child, 'exit');
  const pid = child.pid ?? 0;
  for (const [name, read] of Object.entries(readers)) {
    assert.throws(
      () => read(pid),
      (error) =>
        error instanceof StasisError && error.code === 'VANISHED' && error.pid === pid && error.message.includes(`/proc/${pid}`),
      name,
    );
  }
});

test('a file that this kernel lacks: undefined, or PRIVILEGE with a hint', () => {
  assert.equal(readProcTextIfPresent(process.pid, 'no_such_file'), undefined);
  assert.throws(
    () => readProcText(process.pid, 'no_such_file'),
    (error) => error instanceof StasisError && error.code === 'PRIVILEGE' && error.hint !== undefined,
  );
});

test('another user: PRIVILEGE with a hint', { skip: process.getuid?.() !== 0 && 'must be root to become nobody' }, () => {
  const script = `
    process.setgroups([]); process.setgid(65534); process.setuid(65534);
    const { readMaps } = await import(${JSON.stringify(new URL('./maps.ts', import.meta.url).href)});
    const { readExe } = await import(${JSON.stringify(new URL('./links.ts', import.meta.url).href)});
    const { readFds } = await import(${JSON.stringify(new URL('./fds.ts', import.meta.url).href)});
    for (const read of [readMaps, readExe, readFds]) {
      try { read(${process.pid}); console.log('readable'); }
      catch (error) { console.log(error.code, error.hint.includes('CAP_SYS_PTRACE')); }
    }`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  assert.equal(stdout, 'PRIVILEGE true\n'.repeat(3), stderr);
});

test('a zombie has a stat, and neither memory nor files', async () => {
  // The shell's child has exited, and `exec sleep` never waits for it.
  const shell = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 100'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const [output] = (await once(shell.stdout, 'data')) as [Buffer];
    const zombie = Number(output.toString());
    while (readStat(zombie).state !== 'Z') await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual([readStatus(zombie).state, readStatus(zombie).hasMemory], ['Z', false]);
    assert.deepEqual([readExe(zombie), readCwd(zombie)], [undefined, undefined]);
    assert.deepEqual(readCmdline(zombie), []);
    assert.deepEqual(readChildren(shell.pid ?? 0), [zombie]);
  } finally {
    shell.kill('SIGKILL');
  }
});
