/*
 * wire.c - what has come by a socket
 */
#include "etlfs/fetch/wire.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int wire_has_come(int socket)
{
	struct pollfd f = { .fd = socket, .events = POLLIN };

	return socket >= 0 && poll(&f, 1, 0) > 0;
}

int wire_bytes(int socket, uint64_t *bytes)
{
	struct tcp_info info = { .tcpi_bytes_received = 0 };
	socklen_t len = sizeof(info);
	int unread = 0;

	/* what comes between the two calls is not read either */
	if (socket < 0 ||
	    getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	    ioctl(socket, FIONREAD, &unread) < 0)
		return -1;
	*bytes = info.tcpi_bytes_received - (unsigned)unread;
	return (int64_t)*bytes < 0 ? -1 : 0;
}
