/* Netlink sockets: ports, groups, a filter, options; the kernel answers a request afterwards. */
#include "program.h"
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

static struct sockaddr_nl name_of(int fd) {
  struct sockaddr_nl name = {0};
  socklen_t length = sizeof name;
  need(getsockname(fd, (void *)&name, &length) == 0, "getsockname");
  return name;
}

int main(int argc, char **argv) {
  need(argc == 2, "usage: netlink GO");
  const int route = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
  const int unbound = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC), on = 1, group = RTNLGRP_MPLS_NETCONF; /* a quiet one */
  struct sockaddr_nl name = {.nl_family = AF_NETLINK};
  need(route >= 0 && events >= 0 && unbound >= 0, "socket");
  need(bind(route, (void *)&name, sizeof name) == 0 && bind(events, (void *)&name, sizeof name) == 0, "bind");
  need(setsockopt(route, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0, "join");
  need(setsockopt(route, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) == 0, "option");
  struct sock_filter nothing[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 0}};
  const struct sock_fprog program = {2, nothing};
  need(setsockopt(events, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0, "filter");
  const struct sockaddr_nl before = name_of(route), events_before = name_of(events);
  ready();
  wait_for(argv[1]);

  const struct sockaddr_nl after = name_of(route), events_after = name_of(events);
  check(after.nl_pid == before.nl_pid && events_after.nl_pid == events_before.nl_pid, "another port: %u, not %u", after.nl_pid, before.nl_pid);
  check(name_of(unbound).nl_pid == 0, "the one without a port has one");
  uint32_t groups[4] = {0};
  socklen_t length = sizeof groups;
  check(getsockopt(route, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, groups, &length) == 0 && (groups[(group - 1) / 32] >> ((group - 1) % 32) & 1) == 1, "not in the group");
  int found = 0;
  length = sizeof found;
  check(getsockopt(route, SOL_NETLINK, NETLINK_EXT_ACK, &found, &length) == 0 && found == 1, "NETLINK_EXT_ACK %d", found);
  struct sock_filter filter[2];
  length = 2; /* instructions */
  check(getsockopt(events, SOL_SOCKET, SO_GET_FILTER, filter, &length) == 0 && length == 2 && memcmp(filter, nothing, sizeof nothing) == 0, "another filter");
  check((fcntl(events, F_GETFL) & O_NONBLOCK) != 0, "O_NONBLOCK");
  struct { struct nlmsghdr head; struct rtgenmsg body; } request = {{sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0}, {AF_UNSPEC}};
  struct nlmsghdr answer[2048 / sizeof(struct nlmsghdr)];
  check(send(route, &request, sizeof request, 0) == sizeof request, "send: %m");
  check(recv(route, answer, sizeof answer, 0) > 0 && answer->nlmsg_type == RTM_NEWLINK && answer->nlmsg_pid == before.nl_pid, "no answer");
  return verdict();
}
