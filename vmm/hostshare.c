/*
 * hostshare.c - what a function's processes have of the machine, all together
 *
 * sched(7), "The autogroup feature": each session has one share, among tasks
 * that are in no CPU group of their own; it needs no right.  proc(5),
 * oom_score_adj: whoever may not lower it may raise it.
 */
#include "vmm/hostshare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST	"1000"			/* of all */

int hostshare_memory(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, FIRST, sizeof(FIRST) - 1) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

void hostshare_cpu(void)
{
	/* who leads a group already has been given one for itself */
	setsid();
}

static ssize_t read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

/*
 * In a group of the processor's, a cgroup, of its own?  Of version 1 the line
 * "N:...,cpu,...:PATH" says so; of version 2 "0::PATH", where that has weights.
 */
static int in_cpu_group(char *path, size_t size)
{
	char line[512], file[640], *names, *at;
	FILE *f = fopen("/proc/self/cgroup", "re");
	int found = 0;

	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		names = strchr(line, ':');
		at = names ? strchr(names + 1, ':') : NULL;
		if (!at || !strcmp(at + 1, "/"))
			continue;
		*at++ = ',';
		snprintf(path, size, "%s", at);
		if (!strncmp(names, ":,", 2)) {
			snprintf(file, sizeof(file),
				 "/sys/fs/cgroup%s/cpu.weight", at);
			found = access(file, F_OK) == 0;
		} else {
			*at = '\0';
			found = strstr(names, ":cpu,") || strstr(names, ",cpu,");
		}
	}
	if (f)
		fclose(f);
	return found;
}

int hostshare_check(char *why, size_t size)
{
	char on[16], group[256];

	if (read_text("/proc/sys/kernel/sched_autogroup_enabled", on,
		      sizeof(on)) <= 0) {
		snprintf(why, size, "this kernel has no autogroups "
			 "(CONFIG_SCHED_AUTOGROUP)");
		return 0;
	}
	if (*on != '1') {
		snprintf(why, size, "autogroups are off; sudo sysctl "
			 "kernel.sched_autogroup_enabled=1");
		return 0;
	}
	if (in_cpu_group(group, sizeof(group))) {
		snprintf(why, size, "in the cgroup %s sessions do not count, "
			 "so each process has a share, and a function that has "
			 "more clones has more", group);
		return 0;
	}
	snprintf(why, size, "each function has one, by its session (autogroup)");
	return 1;
}
