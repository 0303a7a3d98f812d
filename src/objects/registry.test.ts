/** What every registered kind must have: a tag of its own, a test program, a record in a golden image, a row in the documentation. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { inspect, verify, type ImageNode } from '../inspect.ts';
import { registry } from './registry.ts';

const root = new URL('../../', import.meta.url);
/** Images of revision 1. Kinds that one program cannot hold together, or that were made apart, have an image of their own. */
const folder = new URL('test/golden/', root);
const golden = readdirSync(folder)
  .filter((name) => name.endsWith('.image'))
  .map((name) => new URL(name, folder).pathname);

/** The program in test/programs that has an object of the kind and verifies it after a restart. */
const programs: Readonly<Record<string, string>> = {
  task: 'identity',
  tree: 'tree',
  file: 'mappings',
  executable: 'identity',
  mm: 'identity',
  'vma-anonymous': 'mappings',
  'vma-private-file': 'mappings',
  'vma-shared-file': 'mappings',
  'shared-memory': 'shared',
  'vma-shared-memory': 'shared',
  'shared-segment': 'segments',
  'vma-shared-segment': 'segments',
  pages: 'memory',
  'pages-kept': 'memory',
  'cpu-x86_64': 'avx',
  'cpu-i386': 'avx32',
  tls: 'tls',
  ldt: 'tls',
  signals: 'signals',
  fs: 'identity',
  limits: 'identity',
  settings: 'settings',
  scheduling: 'settings',
  membarrier: 'settings',
  'posix-timers': 'posix-timers',
  'pending-signals': 'pending',
  'thread-pending-signals': 'pending',
  'interval-timers': 'itimers',
  'thread-settings': 'settings',
  clocks: 'uptime',
  'syscall-dispatch': 'dispatch',
  'seccomp-filter': 'seccomp',
  seccomp: 'seccomp',
  credentials: 'settings',
  thread: 'threads',
  files: 'files',
  'open-regular': 'files',
  'open-directory': 'files',
  'open-device': 'files',
  'open-stream': 'blocked',
  'open-image': 'rfc/ckpt',
  'unix-socket': 'unix',
  'socket-queue': 'unix',
  pipe: 'pipes',
  'open-pipe': 'pipes',
  fifo: 'pipes',
  'open-fifo': 'pipes',
  eventfd: 'events',
  epoll: 'events',
  'epoll-item': 'events',
  timerfd: 'events',
  signalfd: 'events',
  'tcp-socket': 'tcp',
  'inet-datagram-socket': 'udp',
  pidfd: 'watches',
  'open-skipped': 'skipped',
  'file-owner': 'owners',
  inotify: 'watches',
  'message-queue': 'watches',
  'netlink-socket': 'netlink',
  fd: 'files',
  'carried-file': 'reader',
  'open-nameless': 'nameless',
  pty: 'terminals',
  'open-pty': 'terminals',
  'controlling-terminal': 'terminals',
  'open-path': 'paths',
  'file-lock': 'locks',
};

function namesIn(nodes: readonly ImageNode[]): string[] {
  return nodes.flatMap((entry) => [entry.kind, ...namesIn(entry.records ?? [])]);
}

test('tags and names are unique', () => {
  assert.equal(new Set(registry.map(({ record }) => record.tag)).size, registry.length);
  assert.equal(new Set(registry.map(({ record }) => record.name)).size, registry.length);
});

for (const path of golden) {
  test(`${basename(path)} is still read, whole`, async () => {
    const { records } = await verify({ path });
    assert.ok(records > 10);
  });
}

const inGolden = Promise.all(golden.map((path) => inspect({ path }))).then(
  (trees) => new Set(trees.flatMap(({ records }) => namesIn(records))),
);

for (const { record, title, carried } of registry) {
  test(`kind ${record.name}`, async () => {
    assert.notEqual(title, '');
    assert.notEqual(carried, '');
    const program = programs[record.name];
    assert.ok(program !== undefined && existsSync(new URL(`test/programs/${program}.c`, root)), 'has a test program');
    assert.ok((await inGolden).has(record.name), 'has a golden record');
    assert.ok(
      readFileSync(new URL('docs/supported.md', root), 'utf8').includes(`| \`${record.name}\` | ${record.tag} |`),
      'has a row in docs/supported.md',
    );
  });
}
