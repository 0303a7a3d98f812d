/** The checks of `stasis doctor` as a table. */
import type { ProbeName } from './linux/probes.ts';

/** What the checks look at. */
export interface Host {
  readonly platform: string;
  readonly architecture: string;
  readonly nodeVersion: string;
  readonly uid: number;
  /** The content of a file, undefined when it is not there or not readable. */
  readonly readText: (path: string) => string | undefined;
  /** Tries a system call: '' when it works, else the name of the errno. Throws when no system call can be made. */
  readonly probe: (name: ProbeName) => string;
}

export interface Finding {
  readonly ok: boolean;
  readonly detail: string;
}

export interface CheckSpec {
  readonly name: string;
  readonly title: string;
  readonly required: boolean;
  readonly remedy: string;
  readonly find: (host: Host) => Finding;
}

const containerRemedy =
  'A container may forbid it: start it with --security-opt seccomp=unconfined (docker, podman), or allow this call in its seccomp profile.';
const capabilityRemedy = (name: string): string => `Run as root, or give the container the capability: --cap-add ${name}.`;

/** include/uapi/linux/capability.h */
const capabilityNumbers = { SYS_PTRACE: 19, SYS_ADMIN: 21, SYS_RESOURCE: 24, CHECKPOINT_RESTORE: 40 } as const;
type Capability = keyof typeof capabilityNumbers;

export const checks: readonly CheckSpec[] = [
  {
    name: 'platform',
    title: 'Linux on x86-64',
    required: true,
    remedy: 'Other architectures are read by inspect and verify, but not yet checkpointed.',
    find: ({ platform, architecture }) => ({
      ok: platform === 'linux' && architecture === 'x64',
      detail: `${platform} ${architecture}`,
    }),
  },
  {
    name: 'node',
    title: 'Node.js 20.19 or newer',
    required: true,
    remedy: 'Install a newer Node.js, such as that of Debian 13 or of nodejs.org.',
    find: ({ nodeVersion }) => ({ ok: atLeast(nodeVersion, 20, 19), detail: nodeVersion }),
  },
  probed('ffi', 'FFI library', true, 'Run "npm ci" in the installation of stasis.', 'ffi'),
  {
    name: 'proc',
    title: '/proc is mounted and shows all processes',
    required: true,
    remedy: 'Mount it without restrictions: mount -o remount,hidepid=0,subset= /proc, or run as root.',
    find: procMount,
  },
  {
    name: 'ptrace',
    title: 'ptrace of own processes',
    required: true,
    remedy: `sysctl kernel.yama.ptrace_scope=0, or ${capabilityRemedy('SYS_PTRACE')} Level 3 ends only with a reboot. ${containerRemedy}`,
    find: ptrace,
  },
  probed('process-vm', 'memory of other processes (process_vm_readv)', true, containerRemedy, 'processVm'),
  probed(
    'pidfd',
    "duplicates of another process's descriptors (pidfd_getfd)",
    true,
    `Linux 5.6 has it. ${containerRemedy}`,
    'pidfdGetfd',
  ),
  {
    name: 'memory-map',
    title: 'boundaries of a restarted address space (PR_SET_MM_MAP)',
    required: true,
    remedy: 'The kernel must be built with CONFIG_CHECKPOINT_RESTORE, as those of the distributions are.',
    find: ({ probe }) => outcome(probe('memoryMap')),
  },
  {
    name: 'vdso',
    title: 'vdso',
    required: true,
    remedy: 'Boot without vdso=0: calls in a stopped process are made by the instruction in its vdso.',
    find: (host) => {
      const mapping = vdsoOf(host);
      return { ok: mapping !== undefined, detail: mapping === undefined ? 'none is mapped' : 'mapped' };
    },
  },
  {
    name: 'unsealed-mappings',
    title: 'vdso can be moved',
    required: true,
    remedy: 'The kernel seals it (CONFIG_MSEAL_SYSTEM_MAPPINGS). Use a kernel built without that.',
    find: (host) => {
      const sealed = /^VmFlags:.*\bsl\b/m.test(vdsoOf(host) ?? '');
      return { ok: !sealed, detail: sealed ? 'sealed by the kernel' : 'not sealed' };
    },
  },
  probed(
    'seccomp-notification',
    'the two system calls under "stasis run" (seccomp user notification)',
    false,
    `Without it "stasis run" cannot serve them; checkpoint and restart work. Linux 5.0 has it. ${containerRemedy}`,
    'seccompNotification',
  ),
  probed(
    'pagemap-scan',
    'quick search for used pages (PAGEMAP_SCAN)',
    false,
    'Linux 6.7 has it. Without it large reservations take longer.',
    'pagemapScan',
  ),
  probed(
    'kcmp',
    'comparison of open files (kcmp)',
    false,
    'The kernel must be built with CONFIG_KCMP. Sharing is then found by other means.',
    'kcmp',
  ),
  probed(
    'userfaultfd',
    'memory that comes late, tracking of written pages (userfaultfd)',
    false,
    'Without it "restart --lazy" does not work, which takes CAP_SYS_PTRACE besides. sysctl vm.unprivileged_userfaultfd=1 allows it to everyone.',
    'userfaultfd',
  ),
  probed(
    'lz4',
    'compression with lz4 (liblz4.so.1)',
    false,
    'Without it images cannot be compressed with lz4, nor such ones restarted. Debian: apt-get install liblz4-1.',
    'lz4',
  ),
  probed(
    'zstd',
    'compression with zstd (libzstd.so.1, or Node.js 22.15)',
    false,
    'Without it images cannot be compressed with zstd, nor such ones restarted. Debian: apt-get install libzstd1.',
    'zstd',
  ),
  capability('SYS_PTRACE', 'Only processes of the same user can be checkpointed.'),
  capability('CHECKPOINT_RESTORE', 'A restart cannot choose process ids; it gets new ones.'),
  capability('SYS_ADMIN', 'Namespaces and processes in containers cannot be entered.'),
  capability('SYS_RESOURCE', 'A restart cannot raise hard resource limits above those of its caller.'),
  {
    name: 'user-namespaces',
    title: 'user namespaces for ordinary users',
    required: false,
    remedy:
      'Not needed yet. sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0 allow them.',
    find: userNamespaces,
  },
];

/** A check that is a probe and nothing else. */
function probed(name: string, title: string, required: boolean, remedy: string, probe: ProbeName): CheckSpec {
  return { name, title, required, remedy, find: (host) => outcome(host.probe(probe)) };
}

function outcome(errno: string): Finding {
  return errno === '' ? { ok: true, detail: 'works' } : { ok: false, detail: `the kernel answers ${errno}` };
}

function capability(name: Capability, consequence: string): CheckSpec {
  return {
    name: `capability-${name.toLowerCase().replaceAll('_', '-')}`,
    title: `CAP_${name}`,
    required: false,
    remedy: `${consequence} ${capabilityRemedy(name)}`,
    find: (host) => {
      const held = holds(host, name);
      return { ok: held, detail: held ? 'held' : 'not held' };
    },
  };
}

function holds({ readText }: Host, name: Capability): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status') ?? '')?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(capabilityNumbers[name])) & 1n) === 1n;
}

function atLeast(version: string, major: number, minor: number): boolean {
  const [actualMajor = 0, actualMinor = 0] = version.split('.').map(Number);
  return actualMajor > major || (actualMajor === major && actualMinor >= minor);
}

/** man 5 proc: hidepid hides the processes of others, subset=pid everything that is no process. */
function procMount(host: Host): Finding {
  const mounts = (host.readText('/proc/self/mounts') ?? '').split('\n').map((line) => line.split(' '));
  const options = mounts.findLast(([, place, type]) => place === '/proc' && type === 'proc')?.[3]?.split(',');
  if (options === undefined) return { ok: false, detail: 'not mounted' };
  const restricting = options.find((option) => option === 'subset=pid' || /^hidepid=(?!0|off)/.test(option));
  if (restricting === undefined) return { ok: true, detail: 'yes' };
  // hidepid spares processes that one may trace, so a user's own are seen.
  const harmless = restricting.startsWith('hidepid');
  return { ok: harmless, detail: `mounted with ${restricting}${harmless ? ', which spares your own processes' : ''}` };
}

/** Documentation/admin-guide/LSM/Yama.rst. No file: no Yama. */
function ptrace(host: Host): Finding {
  const errno = host.probe('ptrace');
  if (errno !== '' && errno !== 'ESRCH') return outcome(errno);
  const scope = Number(host.readText('/proc/sys/kernel/yama/ptrace_scope') ?? '0');
  const privileged = holds(host, 'SYS_PTRACE');
  const ok = scope === 0 || (scope < 3 && privileged);
  const meaning = ['all own processes', 'only descendants', 'only with CAP_SYS_PTRACE', 'forbidden'][scope] ?? 'unknown';
  return { ok, detail: `Yama ptrace_scope ${scope}: ${meaning}${ok && scope > 0 ? ', which is held' : ''}` };
}

/** The lines of /proc/self/smaps about the vdso. */
function vdsoOf({ readText }: Host): string | undefined {
  const lines = (readText('/proc/self/smaps') ?? '').split('\n');
  const first = lines.findIndex((line) => line.endsWith('[vdso]'));
  if (first < 0) return undefined;
  const end = lines.findIndex((line, index) => index > first && /^[0-9a-f]+-[0-9a-f]+ /.test(line));
  return lines.slice(first, end < 0 ? undefined : end).join('\n');
}

function userNamespaces({ readText }: Host): Finding {
  const forbidding = [
    ['user/max_user_namespaces', '0'],
    ['kernel/unprivileged_userns_clone', '0'],
    ['kernel/apparmor_restrict_unprivileged_userns', '1'],
  ].find(([name, value]) => readText(`/proc/sys/${name}`)?.trim() === value);
  if (forbidding !== undefined) return { ok: false, detail: forbidding.join(' is ') };
  const known = readText('/proc/sys/user/max_user_namespaces') !== undefined;
  return { ok: known, detail: known ? 'allowed' : 'the kernel has none' };
}
