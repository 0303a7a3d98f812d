/** All object kinds, one line each. The order of mappings and of open files is the order in which they are asked. */
import type { Architecture } from '../arch/architecture.ts';
import { KindTable } from '../image/kind-table.ts';
import { carriedFile } from './carried-file.ts';
import { controllingTerminal } from './controlling-terminal.ts';
import { cpuI386 } from './cpu-i386.ts';
import { cpuX86_64 } from './cpu-x86_64.ts';
import { clocks } from './clocks.ts';
import { credentials } from './credentials.ts';
import { epoll, epollItem } from './epoll.ts';
import { eventFd } from './eventfd.ts';
import { fifo, openFifo } from './fifo.ts';
import { file } from './file.ts';
import { fileOwner } from './file-owner.ts';
import { inotify } from './inotify.ts';
import { fileLock } from './file-lock.ts';
import { descriptor, files } from './files.ts';
import { fs } from './fs.ts';
import { inetDatagramSocket } from './inet-datagram-socket.ts';
import { ldt } from './ldt.ts';
import { limits } from './limits.ts';
import { intervalTimers } from './interval-timers.ts';
import { membarrier } from './membarrier.ts';
import { messageQueue } from './message-queue.ts';
import { mm } from './mm.ts';
import { netlinkSocket } from './netlink-socket.ts';
import type { ObjectKind } from './object.ts';
import { openDevice } from './open-device.ts';
import { openDirectory } from './open-directory.ts';
import type { OpenFileKind } from './open-file.ts';
import { openNameless } from './open-nameless.ts';
import { openPty } from './open-pty.ts';
import { openPath } from './open-path.ts';
import { openImage } from './open-image.ts';
import { openSkipped } from './open-skipped.ts';
import { openRegular } from './open-regular.ts';
import { openStream } from './open-stream.ts';
import { pages } from './pages.ts';
import { pagesKept } from './pages-kept.ts';
import { pendingSignals, threadPendingSignals } from './pending-signals.ts';
import { pty } from './pty.ts';
import { posixTimers } from './posix-timers.ts';
import { pidFd } from './pidfd.ts';
import { openPipe, pipe } from './pipe.ts';
import { scheduling } from './scheduling.ts';
import { seccomp } from './seccomp.ts';
import { seccompFilter } from './seccomp-filter.ts';
import { settings } from './settings.ts';
import { signals } from './signals.ts';
import { signalFd } from './signalfd.ts';
import { syscallDispatch } from './syscall-dispatch.ts';
import { executable, task } from './task.ts';
import { threadSettings } from './thread-settings.ts';
import { socketQueue } from './socket-queue.ts';
import { thread } from './thread.ts';
import { tcpSocket } from './tcp-socket.ts';
import { unixSocket } from './unix-socket.ts';
import { tree } from './tree.ts';
import { timerFd } from './timerfd.ts';
import { tls } from './tls.ts';
import { vmaAnonymous } from './vma-anonymous.ts';
import { vmaPrivateFile } from './vma-private-file.ts';
import { sharedSegment } from './shared-segment.ts';
import { vmaSharedSegment } from './vma-shared-segment.ts';
import { sharedMemory } from './shared-memory.ts';
import { vmaSharedMemory } from './vma-shared-memory.ts';
import { vmaSharedFile } from './vma-shared-file.ts';
import type { VmaKind } from './vma.ts';

/** How a record is met again at restart, whatever its type. */
export type AnyKind = ObjectKind<any>;

const vmas: readonly (AnyKind & VmaKind)[] = [
  vmaAnonymous,
  vmaSharedMemory,
  vmaSharedSegment,
  vmaPrivateFile,
  vmaSharedFile,
]; // prettier-ignore

const openFiles: readonly (AnyKind & OpenFileKind)[] = [
  openSkipped,
  openImage,
  messageQueue,
  openPath,
  openPty,
  openNameless,
  openRegular,
  openDirectory,
  openDevice,
  unixSocket,
  openPipe,
  openFifo,
  eventFd,
  epoll,
  timerFd,
  signalFd,
  tcpSocket,
  inetDatagramSocket,
  pidFd,
  inotify,
  netlinkSocket,
  openStream,
]; // prettier-ignore

const cpus = { x86_64: cpuX86_64, i386: cpuI386 } as const;

export const registry: readonly AnyKind[] = [
  tree,
  task,
  carriedFile,
  file,
  executable,
  mm,
  sharedMemory,
  sharedSegment,
  ...vmas,
  pages,
  pagesKept,
  clocks,
  signals,
  fs,
  limits,
  settings,
  membarrier,
  posixTimers,
  pendingSignals,
  intervalTimers,
  files,
  pipe,
  fifo,
  pty,
  ...openFiles,
  fileOwner,
  socketQueue,
  descriptor,
  epollItem,
  fileLock,
  controllingTerminal,
  thread,
  ...Object.values(cpus),
  ldt,
  tls,
  scheduling,
  threadSettings,
  seccompFilter,
  seccomp,
  credentials,
  threadPendingSignals,
  syscallDispatch,
]; // prettier-ignore

export const vmaKinds: readonly VmaKind[] = vmas;
export const cpuKinds: Readonly<Record<Architecture['name'], AnyKind>> = cpus;
export const openFileKinds: readonly OpenFileKind[] = openFiles;

/** For readers of images. */
export const kinds: KindTable = new KindTable(registry.map((kind) => kind.record));

const byTag = new Map(registry.map((kind) => [kind.record.tag, kind]));

export function kindOf(tag: number): AnyKind | undefined {
  return byTag.get(tag);
}
