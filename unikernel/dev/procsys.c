/*
 * procsys.c - what /proc and /sys say of the machine
 */
#include "unikernel/mem/mem.h"
#include "unikernel/dev/procfs.h"
#include "unikernel/dev/proctext.h"
#include "unikernel/task/task.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

#define UUID_LEN	16

static void meminfo_text(struct proctext *t)
{
	u64 total = uk_ctl->mem_limit / 1024, left = mem_left() / 1024;

	task_looks++;
	proctext_printf(t,
			"MemTotal:       %8lu kB\nMemFree:        %8lu kB\n"
			"MemAvailable:   %8lu kB\nBuffers:        %8u kB\n"
			"Cached:         %8u kB\nSwapTotal:      %8u kB\n"
			"SwapFree:       %8u kB\nHugePages_Total:%8u\n"
			"Hugepagesize:   %8u kB\n",
			total, left, left, 0, 0, 0, 0, 0, UK_BIG / 1024);
}

static void stat_text(struct proctext *t)
{
	u64 busy = now_cpu() / TICK_NS, up = now_mono() / TICK_NS;
	u64 idle = up > busy ? up - busy : 0;

	proctext_printf(t, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n"
			"cpu0 %lu 0 0 %lu 0 0 0 0 0 0\n"
			"intr 0\nctxt 0\nbtime %lu\nprocesses 1\n"
			"procs_running 1\nprocs_blocked 0\n", busy, idle, busy,
			idle, (now_real() - now_mono()) / NSEC_PER_SEC);
}

static void uptime_text(struct proctext *t)
{
	u64 up = now_mono(), busy = now_cpu();
	u64 idle = up > busy ? up - busy : 0;

	proctext_printf(t, "%lu.%02lu %lu.%02lu\n", up / NSEC_PER_SEC,
			up % NSEC_PER_SEC / TICK_NS, idle / NSEC_PER_SEC,
			idle % NSEC_PER_SEC / TICK_NS);
}

static void loadavg_text(struct proctext *t)
{
	proctext_printf(t, "0.00 0.00 0.00 1/%d %d\n", thread_count,
			task_ids.pid);
}

static void version_text(struct proctext *t)
{
	proctext_printf(t, "%s version %s (usetl) %s\n", UK_SYSNAME, UK_RELEASE,
			UK_VERSION);
}

static void filesystems_text(struct proctext *t)
{
	proctext_printf(t, "nodev\tsysfs\nnodev\tproc\nnodev\tdevtmpfs\n"
			"nodev\tetlfs\n");
}

static void osrelease_text(struct proctext *t)
{
	proctext_printf(t, "%s\n", UK_RELEASE);
}

static void ostype_text(struct proctext *t)
{
	proctext_printf(t, "%s\n", UK_SYSNAME);
}

static void osversion_text(struct proctext *t)
{
	proctext_printf(t, "%s\n", UK_VERSION);
}

static void hostname_text(struct proctext *t)
{
	proctext_printf(t, "%s\n", UK_NODENAME);
}

/* RFC 9562, version 4 */
static void uuid_make(u8 *u)
{
	random_bytes(u, UUID_LEN);
	u[6] = (u8)((u[6] & 0x0f) | 0x40);
	u[8] = (u8)((u[8] & 0x3f) | 0x80);
}

static void uuid_print(struct proctext *t, const u8 *u)
{
	int i;

	for (i = 0; i < UUID_LEN; i++)
		proctext_printf(t, i == 4 || i == 6 || i == 8 || i == 10 ?
				"-%02x" : "%02x", u[i]);
	proctext_printf(t, "\n");
}

static void uuid_text(struct proctext *t)
{
	u8 u[UUID_LEN];

	uuid_make(u);
	uuid_print(t, u);
}

/* one for each clone and rollback, as each is a machine of its own */
static void boot_id_text(struct proctext *t)
{
	static u8 id[UUID_LEN];
	static u64 gen;
	static int made;

	if (!made || gen != uk_ctl->entropy_gen) {
		gen = uk_ctl->entropy_gen;
		uuid_make(id);
		made = 1;
	}
	uuid_print(t, id);
}

static void entropy_text(struct proctext *t)
{
	proctext_printf(t, "256\n");
}

static void pid_max_text(struct proctext *t)
{
	proctext_printf(t, "%d\n", UK_PID_LAST + 1);
}

static void threads_max_text(struct proctext *t)
{
	proctext_printf(t, "%d\n", THREADS_MAX);
}

static void ngroups_text(struct proctext *t)
{
	proctext_printf(t, "65536\n");
}

static void cap_last_text(struct proctext *t)
{
	proctext_printf(t, "40\n");
}

/* 2: what does not fit in the function's memory is refused at once */
static void overcommit_text(struct proctext *t)
{
	proctext_printf(t, "2\n");
}

static void max_map_count_text(struct proctext *t)
{
	proctext_printf(t, "65530\n");
}

static void file_max_text(struct proctext *t)
{
	proctext_printf(t, "%d\n", FD_MAX);
}

static void cpus_text(struct proctext *t)
{
	if (uk_ctl->cpus > 1)
		proctext_printf(t, "0-%u\n", uk_ctl->cpus - 1);
	else
		proctext_printf(t, "0\n");
}

#define SYS_CPU		"/sys/devices/system/cpu/"
#define SYS_KERNEL	"/proc/sys/kernel/"

const struct procfs_file procsys_files[] = {
	{ "/proc/cpuinfo", cpuinfo_text },
	{ "/proc/meminfo", meminfo_text },
	{ "/proc/stat", stat_text },
	{ "/proc/uptime", uptime_text },
	{ "/proc/loadavg", loadavg_text },
	{ "/proc/version", version_text },
	{ "/proc/filesystems", filesystems_text },
	{ SYS_KERNEL "osrelease", osrelease_text },
	{ SYS_KERNEL "ostype", ostype_text },
	{ SYS_KERNEL "version", osversion_text },
	{ SYS_KERNEL "hostname", hostname_text },
	{ SYS_KERNEL "random/uuid", uuid_text },
	{ SYS_KERNEL "random/boot_id", boot_id_text },
	{ SYS_KERNEL "random/entropy_avail", entropy_text },
	{ SYS_KERNEL "pid_max", pid_max_text },
	{ SYS_KERNEL "threads-max", threads_max_text },
	{ SYS_KERNEL "ngroups_max", ngroups_text },
	{ SYS_KERNEL "cap_last_cap", cap_last_text },
	{ "/proc/sys/vm/overcommit_memory", overcommit_text },
	{ "/proc/sys/vm/max_map_count", max_map_count_text },
	{ "/proc/sys/fs/file-max", file_max_text },
	{ SYS_CPU "online", cpus_text },
	{ SYS_CPU "possible", cpus_text },
	{ SYS_CPU "present", cpus_text },
	{ NULL, NULL }
};
