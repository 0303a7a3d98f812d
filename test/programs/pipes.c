/* Pipes and FIFOs: `pipes GO DIRECTORY`. Bytes under way, capacity, packets, closed ends, several openings of one end. */
#include "program.h"
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static char content[1 << 20], got[1 << 20];

static int ready_for(int fd) {
  struct pollfd about = {fd, POLLIN | POLLOUT, 0};
  return poll(&about, 1, 0) >= 0 ? about.revents : -1;
}

static int waiting(int fd) {
  int bytes = -1;
  ioctl(fd, FIONREAD, &bytes);
  return bytes;
}

static void reads(int fd, const char *wanted, size_t size, const char *what) {
  const ssize_t is = read(fd, got, sizeof got);
  check(is == (ssize_t)size && memcmp(got, wanted, size) == 0, "%s: read gave %zd, must be %zu", what, is, size);
}

static int again(int fd, int flags) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const int opened = open(path, flags);
  need(opened >= 0, path);
  return opened;
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: pipes GO DIRECTORY");
  signal(SIGPIPE, SIG_IGN);
  fill(content, sizeof content, 7);
  int empty[2], plain[2], full[2], large[2], packets[2], deaf[2], done[2];
  need(pipe(empty) == 0 && pipe2(plain, O_NONBLOCK) == 0 && pipe2(full, O_NONBLOCK | O_CLOEXEC) == 0 && pipe(large) == 0, "pipe");
  need(pipe2(packets, O_DIRECT) == 0 && pipe(deaf) == 0 && pipe(done) == 0, "pipe");
  need(write(plain[1], "some bytes", 10) == 10, "write");
  need(write(full[1], content, sizeof content) == 65536, "a full pipe");
  need(fcntl(large[1], F_SETPIPE_SZ, sizeof content) == sizeof content && write(large[1], content, 700000) == 700000, "a large pipe");
  need(write(packets[1], "one", 3) == 3 && write(packets[1], content, 3000) == 3000 && write(packets[1], "3", 1) == 1, "packets");
  need(close(deaf[0]) == 0 && write(done[1], "the last", 8) == 8 && close(done[1]) == 0, "closed ends");
  const int twin = dup(plain[0]), other = again(plain[0], O_RDONLY), both = again(empty[0], O_RDWR | O_NONBLOCK);

  char path[4096];
  snprintf(path, sizeof path, "%s/fifo", argv[2]);
  need(mkfifo(path, 0600) == 0, path);
  const int fifo = open(path, O_RDWR | O_NONBLOCK), fifo_write = open(path, O_WRONLY | O_APPEND);
  need(fifo >= 0 && fifo_write >= 0 && write(fifo_write, "by path", 7) == 7, "a FIFO");

  int flags[64], descriptor[64];
  for (int fd = 0; fd < 64; fd++) flags[fd] = fcntl(fd, F_GETFL), descriptor[fd] = fcntl(fd, F_GETFD);
  ready();
  wait_for(argv[1]);

  for (int fd = 0; fd < 64; fd++) {
    check(fcntl(fd, F_GETFL) == flags[fd], "flags of fd %d: %o, must be %o", fd, fcntl(fd, F_GETFL), flags[fd]);
    check(fcntl(fd, F_GETFD) == descriptor[fd], "close-on-exec of fd %d", fd);
  }
  check(ready_for(empty[0]) == 0 && ready_for(empty[1]) == POLLOUT, "the empty pipe");
  check(write(empty[1], "x", 1) == 1, "write to the empty pipe"), reads(both, "x", 1, "the other opening of the empty pipe");
  check(waiting(twin) == 10, "bytes in the plain pipe: %d", waiting(twin)), reads(other, "some bytes", 10, "the plain pipe");
  check(read(plain[0], got, 1) == -1 && errno == EAGAIN, "the plain pipe is empty then");
  check(fcntl(twin, F_SETFL, 0) == 0 && !(fcntl(plain[0], F_GETFL) & O_NONBLOCK), "duplicates do not share their flags");
  check(fcntl(other, F_SETFL, O_NONBLOCK) == 0 && !(fcntl(plain[0], F_GETFL) & O_NONBLOCK), "openings share their flags");
  check(write(full[1], "x", 1) == -1 && errno == EAGAIN, "the full pipe is full"), reads(full[0], content, 65536, "the full pipe");
  check(fcntl(large[0], F_GETPIPE_SZ) == sizeof content, "capacity: %d", fcntl(large[0], F_GETPIPE_SZ));
  reads(large[0], content, 700000, "the large pipe");
  reads(packets[0], "one", 3, "first packet"), reads(packets[0], content, 3000, "second packet"), reads(packets[0], "3", 1, "third packet");
  check(write(packets[1], "a", 1) == 1 && write(packets[1], "b", 1) == 1, "more packets"), reads(packets[0], "a", 1, "packets go on");
  check(ready_for(deaf[1]) & POLLERR && write(deaf[1], "x", 1) == -1 && errno == EPIPE, "the pipe that nobody reads");
  check(ready_for(done[0]) == (POLLIN | POLLHUP), "the pipe that nobody writes"), reads(done[0], "the last", 8, "its rest");
  check(read(done[0], got, 1) == 0, "its end");
  reads(fifo, "by path", 7, "the FIFO");
  check(read(fifo, got, 1) == -1 && errno == EAGAIN, "the FIFO is empty then");
  const int late = open(path, O_WRONLY | O_NONBLOCK);
  check(late >= 0 && write(late, "new", 3) == 3, "the FIFO by its path"), reads(fifo, "new", 3, "the FIFO by its path");
  return verdict();
}
