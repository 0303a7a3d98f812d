/**
 * The Debian packages that tests use: real programs to be checkpointed, and the C compiler for our own. The runner
 * installs what is missing when it runs as root; a test whose package is absent says so and is skipped.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Package and the file that shows it is there. The Debian program is meant, not another of that name in PATH. */
export const needs = {
  gcc: '/usr/bin/gcc',
  'libc6-dev': '/usr/include/stdio.h',
  'gcc-multilib': '/usr/include/asm',
  'libc6-dev-i386': '/usr/include/gnu/stubs-32.h',
  'guile-3.0': '/usr/bin/guile-3.0',
  mawk: '/usr/bin/mawk',
  perl: '/usr/bin/perl',
  bash: '/usr/bin/bash',
  bc: '/usr/bin/bc',
  sqlite3: '/usr/bin/sqlite3',
  less: '/usr/bin/less',
  vim: '/usr/bin/vim.basic',
  'php-cli': '/usr/bin/php',
  python3: '/usr/bin/python3',
  'redis-server': '/usr/bin/redis-server',
  memcached: '/usr/bin/memcached',
  'nginx-light': '/usr/sbin/nginx',
  tmux: '/usr/bin/tmux',
  'util-linux': '/usr/bin/setpriv',
  bsdutils: '/usr/bin/script',
  'liblz4-1': '/usr/lib/x86_64-linux-gnu/liblz4.so.1',
  libzstd1: '/usr/lib/x86_64-linux-gnu/libzstd.so.1',
} as const;

export type Need = keyof typeof needs;

/** For the `skip` option of a test: false when all packages are there, else the reason. */
export function lacks(...packages: Need[]): string | false {
  const absent = packages.filter((name) => !existsSync(needs[name]));
  return absent.length > 0 && `needs the Debian package ${absent.join(', ')}`;
}

/** Installs the packages that are missing. Quiet when there is nothing to do; never fails, the tests will tell. */
export function installNeeds(): void {
  const missing = Object.entries(needs).flatMap(([name, file]) => (existsSync(file) ? [] : [name]));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    console.error(`Not root, so not installing ${missing.join(' ')}: the tests that need them are skipped`);
    return;
  }
  console.error(`Installing ${missing.join(' ')}`);
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...missing]]) {
    const { status, error } = spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], {
      stdio: ['ignore', 2, 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (status !== 0) console.error(`apt-get ${args[0]} failed: ${error?.message ?? `exit code ${status}`}`);
  }
}
