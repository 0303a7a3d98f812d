/*
 * Has sockets of the Internet families, and checkpoints itself to its standard output: the source of test/golden/inet.image.
 * Build: gcc -static -Os -I include -o golden golden-inet.c. Run: true | stasis run -- ./golden > FILE.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include "stasis.h"

int main(void) {
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};
  const int server = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(server, (void *)&place, sizeof place) != 0 || listen(server, 3) != 0) return 1;
  if (bind(datagram, (void *)&place, sizeof place) != 0) return 1;
  return checkpoint(0, 1, 0) < 0;
}
