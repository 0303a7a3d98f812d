/*
 * TCP over loopback, `tcp GO 4|6 [full]`: listening, a connection with data under way in both directions, one that waits to be
 * accepted, half closed ones, one whose other end is closed, one that was reset, one that is full in one direction; options.
 */
#include "program.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

static int family;
static socklen_t size;
typedef union { struct sockaddr any; struct sockaddr_in four; struct sockaddr_in6 six; } address;

static int listening(address *place, int backlog) {
  const int fd = socket(family, SOCK_STREAM, 0);
  memset(place, 0, sizeof *place);
  place->any.sa_family = (sa_family_t)family;
  if (family == AF_INET) place->four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else place->six.sin6_addr = in6addr_loopback;
  need(fd >= 0 && bind(fd, &place->any, size) == 0 && listen(fd, backlog) == 0, "listen");
  socklen_t length = sizeof *place;
  need(getsockname(fd, &place->any, &length) == 0, "getsockname");
  return fd;
}

static int connected(const address *place) {
  const int fd = socket(family, SOCK_STREAM, 0);
  need(fd >= 0 && connect(fd, &place->any, size) == 0, "connect");
  return fd;
}

/* Reads until `length` bytes are there, or the end; data over loopback may need a moment. */
static ssize_t take(int fd, char *bytes, size_t length) {
  size_t got = 0;
  while (got < length) {
    struct pollfd wait = {fd, POLLIN, 0};
    if (poll(&wait, 1, 3000) != 1) return -2;
    const ssize_t part = recv(fd, bytes + got, length - got, 0);
    if (part < 0) return -1;
    if (part == 0) break;
    got += (size_t)part;
  }
  return (ssize_t)got;
}

static void expect(int fd, const char *text) {
  char bytes[64] = "";
  const ssize_t got = take(fd, bytes, strlen(text));
  check(got == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0, "%zd bytes \"%s\", not \"%s\"", got, bytes, text);
}

static void carries(int a, int b, const char *what) {
  check(send(a, "x", 1, MSG_NOSIGNAL) == 1, "%s: send: %m", what);
  char byte = 0;
  check(take(b, &byte, 1) == 1 && byte == 'x', "%s: recv: %m", what);
}

static void ends(int fd, ssize_t wanted, int error, const char *what) {
  char byte;
  errno = 0;
  const ssize_t got = take(fd, &byte, 1);
  check(got == wanted && (wanted == 0 || errno == error), "%s ends with %zd, %m", what, got);
}

static void same_name(int fd, int (*call)(int, struct sockaddr *, socklen_t *), const address *wanted, const char *what) {
  address found = {0};
  socklen_t length = sizeof found;
  check(call(fd, &found.any, &length) == 0 && length == size && memcmp(&found, wanted, size) == 0, "%s has another address: %m", what);
}

static void options(int fd, int number, int level, int option) {
  int found = -1;
  socklen_t length = sizeof found;
  check(getsockopt(fd, level, option, &found, &length) == 0 && found == number, "option %d.%d is %d, not %d", level, option, found, number);
}

int main(int argc, char **argv) {
  need(argc >= 3, "usage: tcp GO 4|6 [full]");
  family = argv[2][0] == '6' ? AF_INET6 : AF_INET;
  size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  address place, other_place, own;
  const int server = listening(&place, 7), passing = listening(&other_place, 1);
  const int client = connected(&place), accepted = accept(server, NULL, NULL);
  const int waiting = connected(&place);
  const int half = connected(&other_place), half_accepted = accept(passing, NULL, NULL);
  const int orphan = connected(&other_place), closing = accept(passing, NULL, NULL);
  const int reset = connected(&other_place), resetting = accept(passing, NULL, NULL);
  const int full = connected(&other_place), full_accepted = accept(passing, NULL, NULL);
  need(accepted >= 0 && half_accepted >= 0 && closing >= 0 && resetting >= 0 && full_accepted >= 0 && close(passing) == 0, "accept");
  need(write(client, "to server", 9) == 9 && write(accepted, "to client", 9) == 9, "write");
  need(write(half, "last", 4) == 4 && shutdown(half, SHUT_WR) == 0, "shutdown");
  need(write(closing, "bye", 3) == 3 && close(closing) == 0, "close");
  need(setsockopt(resetting, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)) == 0 && close(resetting) == 0, "reset");
  static char block[65536];
  uint64_t seed = 1, under_way = 0;
  need(fcntl(full, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
  while (argc > 3) {
    fill(block, sizeof block, seed);
    const ssize_t sent = write(full, block, sizeof block);
    if (sent > 0) under_way += (uint64_t)sent;
    if (sent != sizeof block) break;
    seed++;
  }
  need(argc == 3 || under_way > sizeof block, "fill a connection");
  int on = 1, number = 120, limit = 3;
  need(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 && setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0, "options");
  need(setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &number, sizeof number) == 0 && setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0, "options");
  need(setsockopt(accepted, IPPROTO_TCP, TCP_KEEPCNT, &limit, sizeof limit) == 0, "options");
  const int fresh = socket(family, SOCK_STREAM, 0);
  address mine;
  socklen_t length = sizeof mine, own_length = sizeof own;
  need(getsockname(client, &mine.any, &length) == 0 && getsockname(half, &own.any, &own_length) == 0, "getsockname");
  ready();
  wait_for(argv[1]);

  same_name(server, getsockname, &place, "the server"), same_name(client, getpeername, &place, "the server, seen by the client");
  same_name(client, getsockname, &mine, "the client"), same_name(accepted, getpeername, &mine, "the client, seen by the server");
  same_name(half, getsockname, &own, "the half closed one"), same_name(half_accepted, getsockname, &other_place, "its other end");
  expect(accepted, "to server"), expect(client, "to client"), carries(client, accepted, "connection"), carries(accepted, client, "connection");
  const int late = accept(server, NULL, NULL);
  check(late >= 0, "accept: %m"), carries(waiting, late, "the waiting connection"), carries(late, waiting, "the waiting connection");
  expect(half_accepted, "last"), ends(half_accepted, 0, 0, "the half closed connection"), carries(half_accepted, half, "half closed");
  check(send(half, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "the shut half sends: %m");
  expect(orphan, "bye"), ends(orphan, 0, 0, "the orphan");
  ends(reset, -1, ECONNRESET, "the reset connection"), ends(reset, 0, 0, "the reset connection, again");
  for (uint64_t got = 0, at = 1; got < under_way; got += sizeof block, at++) {
    const size_t part = under_way - got < sizeof block ? under_way - got : sizeof block;
    const ssize_t found = take(full_accepted, block, part);
    check(found == (ssize_t)part && wrong(block, part & ~7ul, at) == 0, "block %d of the full connection: %zd of %zu bytes", (int)at, found, part);
    if (found != (ssize_t)part) break;
  }
  carries(full, full_accepted, "the full connection");
  const int again = connected(&place);
  check(accept(server, NULL, NULL) >= 0, "a new connection: %m"), close(again);
  options(client, 1, IPPROTO_TCP, TCP_NODELAY), options(client, 1, SOL_SOCKET, SO_KEEPALIVE), options(client, number, IPPROTO_TCP, TCP_KEEPIDLE);
  options(server, 1, SOL_SOCKET, SO_REUSEADDR), options(accepted, limit, IPPROTO_TCP, TCP_KEEPCNT), options(accepted, 0, IPPROTO_TCP, TCP_NODELAY);
  options(half, 0, SOL_SOCKET, SO_REUSEADDR);
  check((fcntl(full, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(client, F_GETFL) & O_NONBLOCK) == 0, "O_NONBLOCK");
  struct tcp_info info;
  length = sizeof info;
  check(getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_sacked == 7, "backlog %u", info.tcpi_sacked);
  check(connect(fresh, &place.any, size) == 0, "the fresh socket connects: %m");
  return verdict();
}
