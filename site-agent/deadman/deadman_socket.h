/* STATE_DIR/deadman.sock, however long the path of the state directory is. */
#ifndef DEADMAN_SOCKET_H
#define DEADMAN_SOCKET_H
#include "rt/err.h"
#include "rt/field.h"
#include <sys/un.h>

#define DEADMAN_SOCKET_NAME "deadman.sock"

/* Through /proc/self/fd, because sun_path holds 107 bytes only. `dir_fd` must stay open until bind or connect. */
void deadman_socket_address(int dir_fd, struct sockaddr_un *address);
/* One packet from a table; false when it does not fit or the socket does not take it now (errno). */
bool deadman_socket_send(int fd, const struct fields *table, const void *message);
/* One packet into `out`. 1: a message, 0: nothing there now, -1: the other side is gone or talks nonsense (err). */
int deadman_socket_receive(int fd, const struct fields *table, void *out, struct err *err);
#endif
