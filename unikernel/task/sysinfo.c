/*
 * sysinfo.c - what the program is told of the machine, and of what it used
 */
#include "unikernel/mem/mem.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

#define UTS_LEN		(__NEW_UTS_LEN + 1)

long sys_uname(char *buf)
{
	static const char *const field[] = {
		UK_SYSNAME, UK_NODENAME, UK_RELEASE, UK_VERSION, "x86_64",
		"(none)",
	};
	size_t i;

	if (!user_ok(buf, ARRAY_LEN(field) * UTS_LEN, 1))
		return -EFAULT;
	memset(buf, 0, ARRAY_LEN(field) * UTS_LEN);
	for (i = 0; i < ARRAY_LEN(field); i++)
		memcpy(buf + i * UTS_LEN, field[i], strlen(field[i]));
	return 0;
}

long sys_sysinfo(void *info)
{
	struct k_sysinfo si = {
		.uptime = now_mono() / NSEC_PER_SEC,
		.totalram = uk_ctl->mem_limit,
		.freeram = mem_left(),
		.procs = thread_count,
		.mem_unit = 1,
	};

	if (!user_ok(info, sizeof(si), 1))
		return -EFAULT;
	memcpy(info, &si, sizeof(si));
	task_looks++;
	return 0;
}

long sys_getrusage(int who, void *usage)
{
	struct k_rusage ru = { .maxrss = mem_used() / 1024 };
	u64 us = now_cpu() / 1000;

	if (who < RUSAGE_CHILDREN || who > RUSAGE_THREAD)
		return -EINVAL;
	if (!user_ok(usage, sizeof(ru), 1))
		return -EFAULT;
	if (who == RUSAGE_CHILDREN)
		memset(&ru, 0, sizeof(ru));
	else
		ru.utime = (struct k_timeval){ us / 1000000, us % 1000000 };
	memcpy(usage, &ru, sizeof(ru));
	return 0;
}
