/* Address and packets of the conversation between agent and dead-man. */
#include "deadman_socket.h"
#include "deadman.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

void deadman_socket_address(int dir_fd, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/" DEADMAN_SOCKET_NAME, dir_fd);
}

bool deadman_socket_send(int fd, const struct fields *table, const void *message) {
    STRBUF text = {0};
    field_to_text(table, message, &text);
    if (text.len > DEADMAN_PACKET_MAX) {
        errno = EMSGSIZE;
        return false;
    }
    return send(fd, text.at, text.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)text.len;
}

int deadman_socket_receive(int fd, const struct fields *table, void *out, struct err *err) {
    char packet[DEADMAN_PACKET_MAX];
    ssize_t n = recv(fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return err_sys(err, errno, "receive") - 1;
    if (n == 0)
        return err_set(err, ERR_UNREACHABLE, "closed by the other side") - 1;
    if ((size_t)n > sizeof packet)
        return err_set(err, ERR_LIMIT, "packet of %zd bytes", n) - 1;
    return field_from_json(table, "packet", (struct bytes){packet, (size_t)n}, out, err) ? 1 : -1;
}
