/*
 * hostshare.c - what a function's processes have of the machine, all together
 *
 * sched(7), "The autogroup feature": each session has one share, among tasks
 * that are in no CPU group of their own; it needs no right.  proc(5),
 * oom_score_adj: whoever may not lower it may raise it.
 */
#include "vmm/host/hostshare.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/host/cgroup.h"

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
 * In a cgroup of version 1 that has a share of the processors, path:
 * "N:...,cpu,...:PATH" says so.
 */
static int in_cpu_group(char *path, size_t size)
{
	char line[512], *names, *at;
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
		*at = '\0';
		found = strstr(names, ":cpu,") || strstr(names, ",cpu,");
	}
	if (f)
		fclose(f);
	return found;
}

static int sessions_check(struct err *why)
{
	char on[16];

	if (read_text("/proc/sys/kernel/sched_autogroup_enabled", on,
		      sizeof(on)) <= 0)
		return err_set(why, 0, "this kernel has no autogroups "
			       "(CONFIG_SCHED_AUTOGROUP)");
	if (*on != '1')
		return err_set(why, 0, "autogroups are off; sudo sysctl "
			       "kernel.sched_autogroup_enabled=1");
	return err_set(why, 1, "each function has one, by its session "
		       "(autogroup)");
}

int hostshare_check(struct err *why)
{
	char group[PATH_MAX];
	struct err where;
	enum cgroup_place place = cgroup_find("", group, &where);

	if (place == CGROUP_OWN)
		return err_set(why, 1, "each function has one, by a cgroup "
			       "below '%s'", group);
	if (place == CGROUP_NONE && !in_cpu_group(group, sizeof(group)))
		return sessions_check(why);
	if (place == CGROUP_NONE)
		err_set(&where, 0, "the cgroup '%s' is of version 1", group);
	return err_set(why, 0, "%.600s; sessions do not count there, so each "
		       "process has a share, and a function that has more "
		       "clones has more; start the server alone in a cgroup "
		       "of version 2 that is delegated to it: in a unit of "
		       "systemd's Delegate=cpu", where.msg);
}
