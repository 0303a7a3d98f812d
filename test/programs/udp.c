/*
 * UDP over loopback, `udp GO 4|6 [raw]`: bound and connected sockets, datagrams that wait, from a socket that lives and one that
 * is closed, multicast with sources, options; as root also raw sockets.
 */
#include "program.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <netinet/udp.h>
#define ICMP_FILTER 1 /* linux/icmp.h does not go together with net/if.h */
#include <net/if.h>
#include <sys/socket.h>
#include <poll.h>

static int family, level;
static socklen_t size;
typedef union { struct sockaddr any; struct sockaddr_in four; struct sockaddr_in6 six; struct sockaddr_storage space; } address;

static int bound(address *place, int everywhere) {
  const int fd = socket(family, SOCK_DGRAM, 0);
  memset(place, 0, sizeof *place);
  place->any.sa_family = (sa_family_t)family;
  if (family == AF_INET) place->four.sin_addr.s_addr = htonl(everywhere ? INADDR_ANY : INADDR_LOOPBACK);
  else place->six.sin6_addr = everywhere ? in6addr_any : in6addr_loopback;
  socklen_t length = size;
  need(fd >= 0 && bind(fd, &place->any, size) == 0 && getsockname(fd, &place->any, &length) == 0, "bind");
  return fd;
}

static void expect(int fd, const char *text, const address *from) {
  char bytes[64] = "";
  address found = {0};
  socklen_t length = sizeof found;
  struct pollfd wait = {fd, POLLIN, 0};
  poll(&wait, 1, 3000);
  const ssize_t got = recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT, &found.any, &length);
  check(got == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0, "%zd bytes \"%s\" (%m), not \"%s\"", got, bytes, text);
  if (got >= 0) check(length == size && memcmp(&found, from, size) == 0, "\"%s\" has another sender", text);
}

static void option(int fd, int number, int where, int which) {
  int found = -1;
  socklen_t length = sizeof found;
  check(getsockopt(fd, where, which, &found, &length) == 0 && found == number, "option %d.%d is %d, not %d: %m", where, which, found, number);
}

/* The group is one of the machine alone (RFC 5771, RFC 4291). */
static void group(address *place, const char *four, const char *six) {
  memset(place, 0, sizeof *place);
  place->any.sa_family = (sa_family_t)family;
  if (family == AF_INET) inet_pton(AF_INET, four, &place->four.sin_addr);
  else inet_pton(AF_INET6, six, &place->six.sin6_addr);
}

int main(int argc, char **argv) {
  need(argc >= 3, "usage: udp GO 4|6 [raw]");
  family = argv[2][0] == '6' ? AF_INET6 : AF_INET;
  level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  const int loopback = (int)if_nametoindex("lo"), on = 1, ttl = 9, many = 100000;
  address place, sender_place, gone_place, wide_place;
  const int receiver = bound(&place, 0), sender = bound(&sender_place, 0), gone = bound(&gone_place, 0), wide = bound(&wide_place, 1);
  need(connect(sender, &place.any, size) == 0, "connect");
  need(send(sender, "one", 3, 0) == 3 && send(sender, "", 0, 0) == 0 && send(sender, "three", 5, 0) == 5, "send");
  const int is_root = geteuid() == 0; /* a sender that is gone is imitated by a raw socket */
  need(!is_root || sendto(gone, "farewell", 8, 0, &place.any, size) == 8, "sendto");
  need(close(gone) == 0, "close");
  need(setsockopt(receiver, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) == 0 && setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &many, sizeof many) == 0, "options");
  need(setsockopt(sender, level, family == AF_INET6 ? IPV6_UNICAST_HOPS : IP_TTL, &ttl, sizeof ttl) == 0, "options");
  need(setsockopt(wide, level, family == AF_INET6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on) == 0 && setsockopt(wide, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0, "options");
  struct group_req request = {.gr_interface = (uint32_t)loopback};
  struct group_source_req source = {.gsr_interface = (uint32_t)loopback};
  group((address *)&request.gr_group, "239.255.77.1", "ff11::77:1"), group((address *)&source.gsr_group, "232.1.77.2", "ff31::77:2");
  group((address *)&source.gsr_source, "127.0.0.1", "::1");
  need(setsockopt(wide, level, MCAST_JOIN_GROUP, &request, sizeof request) == 0, "join a group");
  need(setsockopt(wide, level, MCAST_JOIN_SOURCE_GROUP, &source, sizeof source) == 0, "join a group from a source");
  int raw = -1;
  const uint32_t filter = 0xfffffffe;
  if (argc > 3) {
    raw = socket(family, SOCK_RAW, family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    need(raw >= 0, "raw socket");
    if (family == AF_INET) need(setsockopt(raw, SOL_RAW, ICMP_FILTER, &filter, sizeof filter) == 0, "filter");
  }
  ready();
  wait_for(argv[1]);

  expect(receiver, "one", &sender_place), expect(receiver, "", &sender_place), expect(receiver, "three", &sender_place);
  if (is_root) expect(receiver, "farewell", &gone_place);
  char byte;
  check(recv(receiver, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN, "one more datagram: %m");
  check(send(sender, "new", 3, 0) == 3, "send: %m"), expect(receiver, "new", &sender_place);
  check(sendto(receiver, "back", 4, 0, &sender_place.any, size) == 4, "sendto: %m"), expect(sender, "back", &place);
  address found = {0};
  socklen_t length = sizeof found;
  check(getpeername(sender, &found.any, &length) == 0 && memcmp(&found, &place, size) == 0, "the sender is connected to another");
  length = sizeof found;
  check(getsockname(wide, &found.any, &length) == 0 && memcmp(&found, &wide_place, size) == 0, "another address for everywhere");
  option(receiver, 1, SOL_SOCKET, SO_BROADCAST), option(receiver, 2 * many, SOL_SOCKET, SO_RCVBUF);
  option(sender, ttl, level, family == AF_INET6 ? IPV6_UNICAST_HOPS : IP_TTL), option(wide, 1, SOL_SOCKET, SO_REUSEPORT);
  option(wide, 1, level, family == AF_INET6 ? IPV6_RECVPKTINFO : IP_PKTINFO);
  check(setsockopt(wide, level, MCAST_LEAVE_SOURCE_GROUP, &source, sizeof source) == 0, "not a member from a source: %m");
  check(setsockopt(wide, level, MCAST_LEAVE_GROUP, &request, sizeof request) == 0, "not a member: %m");
  if (raw >= 0 && family == AF_INET) option(raw, (int)filter, SOL_RAW, ICMP_FILTER);
  if (raw >= 0) option(raw, family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, SOL_SOCKET, SO_PROTOCOL);
  return verdict();
}
