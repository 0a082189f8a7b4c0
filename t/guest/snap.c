/*
 * snap.c - linked to a guest program, lets it run after a snapshot
 *
 * Before main the program reads its first event, which is where a reference
 * is frozen (unikernel/dev/dev.h): main then runs in a clone.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor))
static void snap(void)
{
	char event[64];
	int fd = open("/dev/usetl/event", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, event, sizeof(event)) < 0)
		abort();
	close(fd);
}
