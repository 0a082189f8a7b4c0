/* nofork.c - a reference hands on to its clones only what they use */
#include "vmm/guest/nofork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* what a clone calls; a sanitizer that reports walks through all libraries */
static const char *const kept[] = {
#ifdef USETL_SANITIZE
	".so",
#endif
	"/libc.", "/ld-linux",
};

static int is_kept(const char *path)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strstr(path, kept[i]))
			return 1;
	return 0;
}

int nofork_libraries(int proc)
{
	int fd = openat(proc, "self/maps", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	unsigned long from, to;
	char line[4352], path[4097];

	if (!f) {
		int rc = -errno;

		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %4096s", &from, &to,
			   path) != 3)
			continue;
		if (strstr(path, ".so") && !is_kept(path))
			madvise((void *)from, to - from, MADV_DONTFORK);
	}
	fclose(f);
	return 0;
}
