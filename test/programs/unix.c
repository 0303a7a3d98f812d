/*
 * Unix sockets of all types: pairs, connections that were accepted and that wait, names, data under way in both directions
 * with its borders and descriptors, closed and shut ends, options. `unix GO DIRECTORY`.
 */
#include "program.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

static int stream[2], datagram[2], packet[2], half[2], orphan, broken, server, client, accepted, waiting, hidden, abstract;
static int receiver, sender, gone_client, passing[2];
static struct sockaddr_un names[4];

static socklen_t name(struct sockaddr_un *place, const char *directory, const char *text) {
  place->sun_family = AF_UNIX;
  if (directory == NULL) return 2 + 1 + sprintf(place->sun_path + 1, "stasis-test-%s-%d", text, (int)getpid());
  return 2 + 1 + snprintf(place->sun_path, sizeof place->sun_path, "%s/%s", directory, text);
}

static int named(int type, struct sockaddr_un *place, socklen_t length, int backlog) {
  const int fd = socket(AF_UNIX, type, 0);
  need(fd >= 0 && bind(fd, (void *)place, length) == 0 && (backlog == 0 || listen(fd, backlog) == 0), place->sun_path);
  return fd;
}

static void send_with(int fd, const char *text, int passed) {
  struct iovec vector = {(void *)text, strlen(text)};
  union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(int))]; } control;
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  control.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(&control.head), &passed, sizeof passed);
  need(sendmsg(fd, &message, 0) == (ssize_t)strlen(text), "sendmsg");
}

/* Receives at most `room` bytes, which must be this text; the descriptor that came along, or -1. */
static int expect(int fd, size_t room, const char *text) {
  char bytes[256] = "";
  struct iovec vector = {bytes, room};
  union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(int))]; } control = {.space = ""};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  const ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
  check(got == (ssize_t)strlen(text) && memcmp(bytes, text, (size_t)got) == 0, "%zd bytes \"%s\" (%m), not \"%s\"", got, bytes, text);
  int passed = -1;
  if (got >= 0 && message.msg_controllen > 0 && control.head.cmsg_type == SCM_RIGHTS) memcpy(&passed, CMSG_DATA(&control.head), sizeof passed);
  return passed;
}

static void nothing_more(int fd, ssize_t wanted, int error) {
  char byte;
  errno = 0;
  const ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
  check(got == wanted && (wanted == 0 || errno == error), "recv at the end: %zd, %m", got);
}

static void carries(int a, int b, const char *what) {
  check(send(a, "x", 1, MSG_NOSIGNAL) == 1, "%s: send: %m", what);
  char byte = 0;
  check(recv(b, &byte, 1, MSG_DONTWAIT) == 1 && byte == 'x', "%s: recv: %m", what);
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: unix GO DIRECTORY");
  int file = open("/etc/passwd", O_RDONLY), ends[2], on = 1, size = 40000, number;
  need(file >= 0 && lseek(file, 3, SEEK_SET) == 3, "/etc/passwd");
  need(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram) == 0, "socketpair");
  need(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, half) == 0, "socketpair");
  need(write(stream[0], "abc", 3) == 3, "write");
  send_with(stream[0], "def", file);
  send_with(stream[0], "ghi", file);
  need(write(stream[0], "jkl", 3) == 3 && write(stream[1], "back", 4) == 4, "write");
  need(send(datagram[0], "one", 3, 0) == 3 && send(datagram[0], "", 0, 0) == 0 && send(datagram[0], "three", 5, 0) == 5, "send");
  need(send(packet[1], "p", 1, 0) == 1 && send(packet[1], "qq", 2, 0) == 2, "send");
  need(write(half[0], "last", 4) == 4 && shutdown(half[0], SHUT_WR) == 0, "shutdown");
  need(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && write(ends[1], "will", 4) == 4 && close(ends[1]) == 0, "orphan");
  orphan = ends[0];
  need(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && write(ends[0], "lost", 4) == 4 && close(ends[1]) == 0, "broken");
  broken = ends[0];
  need(socketpair(AF_UNIX, SOCK_STREAM, 0, passing) == 0 && write(passing[0], "inner", 5) == 5, "socketpair");
  send_with(packet[0], "end", passing[1]); /* under way in a queue, and nowhere else */
  need(close(passing[1]) == 0, "close");

  const socklen_t lengths[] = {name(&names[0], argv[2], "listening"), name(&names[1], NULL, "abstract"), name(&names[2], argv[2], "deleted"), name(&names[3], argv[2], "dgram")};
  server = named(SOCK_STREAM, &names[0], lengths[0], 5);
  need(chmod(names[0].sun_path, 0620) == 0, "chmod");
  abstract = named(SOCK_SEQPACKET, &names[1], lengths[1], 3);
  hidden = named(SOCK_STREAM, &names[2], lengths[2], 2);
  receiver = named(SOCK_DGRAM, &names[3], lengths[3], 0);
  client = socket(AF_UNIX, SOCK_STREAM, 0), waiting = socket(AF_UNIX, SOCK_SEQPACKET, 0), gone_client = socket(AF_UNIX, SOCK_STREAM, 0);
  need(connect(client, (void *)&names[0], lengths[0]) == 0 && (accepted = accept(server, NULL, NULL)) >= 0, "accept");
  need(connect(waiting, (void *)&names[1], lengths[1]) == 0, "connect to the abstract name");
  need(connect(gone_client, (void *)&names[2], lengths[2]) == 0 && unlink(names[2].sun_path) == 0, "connect to the deleted name");
  need(write(client, "to server", 9) == 9 && write(accepted, "to client", 9) == 9, "write");
  sender = socket(AF_UNIX, SOCK_DGRAM, 0);
  struct sockaddr_un own = {.sun_family = AF_UNIX};
  need(bind(sender, (void *)&own, 2) == 0, "autobind");
  need(connect(sender, (void *)&names[3], lengths[3]) == 0 && send(sender, "signed", 6, 0) == 6, "datagram");
  socklen_t own_length = sizeof own;
  getsockname(sender, (void *)&own, &own_length);

  need(setsockopt(stream[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0 && setsockopt(client, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0, "options");
  const struct timeval limit = {7, 250000};
  need(setsockopt(half[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 && fcntl(packet[0], F_SETFL, O_NONBLOCK) == 0, "options");
  ready();
  wait_for(argv[1]);

  check(expect(stream[1], 2, "ab") == -1, "a descriptor too early");
  int passed = expect(stream[1], 100, "cdef");
  check(passed >= 0 && lseek(passed, 0, SEEK_CUR) == 3 && lseek(passed, 9, SEEK_SET) == 9 && lseek(file, 0, SEEK_CUR) == 9, "the descriptor under way is not the same file");
  check(expect(stream[1], 100, "ghi") >= 0, "no second descriptor");
  check(expect(stream[1], 100, "jkl") == -1, "a descriptor too late");
  expect(stream[0], 100, "back");
  nothing_more(stream[1], -1, EAGAIN), carries(stream[0], stream[1], "stream"), carries(stream[1], stream[0], "stream");
  expect(datagram[1], 100, "one"), expect(datagram[1], 100, ""), expect(datagram[1], 100, "three"), nothing_more(datagram[1], -1, EAGAIN);
  carries(datagram[0], datagram[1], "datagram"), carries(datagram[1], datagram[0], "datagram");
  expect(packet[0], 100, "p"), expect(packet[0], 100, "qq"), nothing_more(packet[0], -1, EAGAIN);
  expect(half[1], 100, "last"), nothing_more(half[1], 0, 0), carries(half[1], half[0], "half");
  check(send(half[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "the shut half sends: %m");
  expect(orphan, 100, "will"), nothing_more(orphan, 0, 0);
  check(send(orphan, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "send to a closed end: %m");
  nothing_more(broken, -1, ECONNRESET);
  passed = expect(packet[1], 100, "end");
  check(passed >= 0, "no socket came along"), expect(passed, 100, "inner"), carries(passing[0], passed, "passed"), carries(passed, passing[0], "passed"), carries(packet[0], packet[1], "seqpacket");

  expect(accepted, 100, "to server");
  expect(client, 100, "to client");
  carries(client, accepted, "connection"), carries(accepted, client, "connection");
  struct sockaddr_un seen = {0};
  socklen_t length = sizeof seen;
  check(getpeername(client, (void *)&seen, &length) == 0 && strcmp(seen.sun_path, names[0].sun_path) == 0, "name of the server: %s", seen.sun_path);
  length = sizeof seen;
  check(getsockname(accepted, (void *)&seen, &length) == 0 && strcmp(seen.sun_path, names[0].sun_path) == 0, "name of the accepted end: %s", seen.sun_path);
  struct stat status;
  check(stat(names[0].sun_path, &status) == 0 && S_ISSOCK(status.st_mode) && (status.st_mode & 0777) == 0620, "the file of the socket: %o", status.st_mode);
  number = accept(abstract, NULL, NULL);
  check(number >= 0, "the waiting connection: %m"), carries(waiting, number, "waiting");
  number = accept(hidden, NULL, NULL);
  check(number >= 0, "the connection to the deleted name: %m"), carries(gone_client, number, "deleted name");
  check(access(names[2].sun_path, F_OK) == -1, "the deleted name is back");
  const int again = socket(AF_UNIX, SOCK_STREAM, 0);
  check(connect(again, (void *)&names[0], lengths[0]) == 0 && accept(server, NULL, NULL) >= 0, "a new connection: %m");

  char bytes[32];
  length = sizeof seen;
  check(recvfrom(receiver, bytes, sizeof bytes, MSG_DONTWAIT, (void *)&seen, &length) == 6 && length == own_length && memcmp(&seen, &own, length) == 0, "the signed datagram: %m");
  carries(sender, receiver, "to a name");
  struct ucred peer;
  length = sizeof peer;
  check(getsockopt(stream[0], SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid() && peer.gid == getegid(), "SO_PEERCRED %d %d", peer.uid, peer.gid);
  length = sizeof number;
  check(getsockopt(stream[0], SOL_SOCKET, SO_SNDBUF, &number, &length) == 0 && number == 2 * size, "SO_SNDBUF %d", number);
  check(getsockopt(client, SOL_SOCKET, SO_PASSCRED, &number, &length) == 0 && number == 1, "SO_PASSCRED %d", number);
  struct timeval time;
  length = sizeof time;
  check(getsockopt(half[1], SOL_SOCKET, SO_RCVTIMEO, &time, &length) == 0 && time.tv_sec == 7, "SO_RCVTIMEO %d", (int)time.tv_sec);
  check((fcntl(packet[0], F_GETFL) & O_NONBLOCK) != 0 && (fcntl(packet[1], F_GETFL) & O_NONBLOCK) == 0, "O_NONBLOCK");
  return verdict();
}
