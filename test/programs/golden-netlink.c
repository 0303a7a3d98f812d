/*
 * Has a netlink socket, and checkpoints itself to its standard output: the source of test/golden/netlink.image. Build:
 * gcc -static -Os -I include -o golden golden-netlink.c. Run: true | stasis run -- ./golden > FILE.
 */
#include <linux/netlink.h>
#include <sys/socket.h>
#include "stasis.h"

int main(void) {
  struct sockaddr_nl name = {.nl_family = AF_NETLINK};
  const int route = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (bind(route, (void *)&name, sizeof name) != 0) return 1;
  return checkpoint(0, 1, 0) < 0;
}
