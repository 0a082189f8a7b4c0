/*
 * procself.c - what /proc/self says
 *
 * maps is made from the arenas' own books: which pages are the program's,
 * and of which kind.  The libOS remembers no file for a mapping, so only the
 * program, the break, the stack and the vDSO have names.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/dev/procfs.h"
#include "unikernel/dev/proctext.h"
#include "unikernel/task/task.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

#define DEV_LINE	"00:00 0"

/* strings of argv (env: of the environment), as exec laid them out */
static void strings_text(struct proctext *t, int env)
{
	const char *s = (const char *)uk_ctl->strings;
	const char *end = s + MIN((u64)uk_ctl->strings_len,
				  UK_CTL + UK_CTL_PAGES * UK_PAGE - (u64)s);
	u32 skip = env ? uk_ctl->argc : 0;
	u32 n = env ? uk_ctl->envc : uk_ctl->argc;
	size_t len;

	for (; s < end && skip + n > 0; s += len) {
		len = MIN(strnlen(s, (size_t)(end - s)) + 1,
			  (size_t)(end - s));
		if (skip > 0) {
			skip--;
			continue;
		}
		proctext_write(t, s, len);
		n--;
	}
}

static void cmdline_text(struct proctext *t)
{
	strings_text(t, 0);
}

static void environ_text(struct proctext *t)
{
	strings_text(t, 1);
}

static const char *comm(void)
{
	static char name[sizeof(current->name)];
	const char *base = strrchr(task_program, '/');

	if (current->name[0])
		return current->name;
	/* as exec names a thread: the program's file, cut off */
	k_snprintf(name, sizeof(name), "%s", base ? base + 1 :
		   task_program);
	return name;
}

static void comm_text(struct proctext *t)
{
	proctext_printf(t, "%s\n", comm());
}

static void map_line(struct proctext *t, u64 start, u64 end, const char *rights,
		     const char *name)
{
	if (start == end)
		return;
	proctext_printf(t, "%08lx-%08lx %s 00000000 " DEV_LINE, start, end,
			rights);
	if (name)
		proctext_printf(t, "%26s%s", "", name);
	proctext_printf(t, "\n");
}

/* the program's pages from base to the arena's span, run by run */
static void maps_arena(struct proctext *t, int arena, u64 base,
		       const char *rights)
{
	u64 at = base, end = base + arena_span(arena), n;
	enum page_kind kind;

	for (; at < end; at += n * UK_PAGE) {
		kind = mem_page_kind(at);
		n = pages_run(at, (end - at) / UK_PAGE);
		if (n == 0)
			break;
		if (kind != PAGE_FREE && kind != PAGE_LIBOS)
			map_line(t, at, at + n * UK_PAGE, rights, NULL);
	}
}

static void maps_text(struct proctext *t)
{
	u64 start, brk = heap_range(&start);
	int i;

	maps_arena(t, UK_ARENA_EXEC, UK_EXEC_BASE, "rwxp");
	map_line(t, UK_VDSO, UK_VDSO + 2 * UK_PAGE, "r-xp", "[vdso]");
	map_line(t, UK_STACK_BASE, UK_STACK_END, "rw-p", "[stack]");
	map_line(t, start, ROUND_UP(brk, UK_PAGE), "rw-p", "[heap]");
	maps_arena(t, UK_ARENA_DATA, UK_DATA_BASE, "rw-p");
	for (i = 0; i < UK_LAYERS; i++)
		if (uk_ctl->layer[i].size)
			map_line(t, uk_ctl->layer[i].addr,
				 uk_ctl->layer[i].addr +
				 uk_ctl->layer[i].size, "r--s", NULL);
}

static void statm_text(struct proctext *t)
{
	u64 size = (uk_ctl->mem_limit + UK_STACK_END - UK_STACK_BASE) /
		   UK_PAGE;

	task_looks++;
	proctext_printf(t, "%lu %lu 0 0 0 %lu 0\n", size, mem_used() / UK_PAGE,
			mem_used() / UK_PAGE);
}

/* fields of proc_pid_stat(5), in groups as numbered there */
static void stat_text(struct proctext *t)
{
	task_looks++;
	/* 1-13: one process, no terminal, no faults counted */
	proctext_printf(t, "%d (%s) R %d %d %d 0 -1 0 0 0 0 0 ",
			task_ids.pid, comm(), task_ids.ppid,
			task_ids.pgid, task_ids.sid);
	/* 14-22: times, priority, threads, start */
	proctext_printf(t, "%lu 0 0 0 20 0 %d 0 0 ", now_cpu() / TICK_NS,
			thread_count);
	/* 23-30: memory; bounds of code are not told */
	proctext_printf(t, "%lu %lu 18446744073709551615 0 0 %lu 0 0 ",
			uk_ctl->mem_limit, mem_used() / UK_PAGE,
			(u64)UK_STACK_END);
	/* 31-52 */
	proctext_printf(t, "%lu %lu 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
			signal_pending_set(current), current->sig.blocked);
}

static int fd_count(void)
{
	int fd, n = 0;

	for (fd = fd_next(0); fd >= 0; fd = fd_next(fd + 1))
		n++;
	return n;
}

static void status_text(struct proctext *t)
{
	u64 used = mem_used() / 1024;

	task_looks++;
	proctext_printf(t, "Name:\t%s\nUmask:\t0022\nState:\tR (running)\n"
			"Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n"
			"TracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n",
			comm(), task_ids.pid, task_ids.pid,
			task_ids.ppid);
	proctext_printf(t, "FDSize:\t%d\nGroups:\t \nVmPeak:\t%8lu kB\n"
			"VmSize:\t%8lu kB\nVmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n",
			fd_count(), uk_ctl->mem_limit / 1024,
			uk_ctl->mem_limit / 1024, used, used);
	proctext_printf(t, "Threads:\t%d\nSigPnd:\t%016lx\nSigBlk:\t%016lx\n"
			"Seccomp:\t0\nCpus_allowed:\t1\n"
			"Cpus_allowed_list:\t0\nMems_allowed:\t1\n"
			"Mems_allowed_list:\t0\n", thread_count,
			signal_pending_set(current), current->sig.blocked);
}

static void mounts_text(struct proctext *t)
{
	proctext_printf(t, "etlfs / etlfs rw,relatime 0 0\n"
			"proc /proc proc rw,relatime 0 0\n"
			"sysfs /sys sysfs ro,relatime 0 0\n"
			"devtmpfs /dev devtmpfs rw,relatime 0 0\n");
}

static void mountinfo_text(struct proctext *t)
{
	proctext_printf(t, "1 0 0:1 / / rw,relatime - etlfs etlfs rw\n"
			"2 1 0:2 / /proc rw,relatime - proc proc rw\n"
			"3 1 0:3 / /sys ro,relatime - sysfs sysfs ro\n"
			"4 1 0:4 / /dev rw,relatime - devtmpfs devtmpfs rw\n");
}

static void cgroup_text(struct proctext *t)
{
	proctext_printf(t, "0::/\n");
}

static void limits_text(struct proctext *t)
{
	task_looks++;
	proctext_printf(t, "%-26s%-21s%-21sUnits     \n", "Limit", "Soft Limit",
			"Hard Limit");
	proctext_printf(t, "Max address space         %-21lu%-21lubytes     \n",
			uk_ctl->mem_limit, uk_ctl->mem_limit);
	proctext_printf(t, "Max processes             %-21u%-21uprocesses \n",
			THREADS_MAX, THREADS_MAX);
	proctext_printf(t, "Max open files            %-21u%-21ufiles     \n",
			FD_MAX, FD_MAX);
}

const struct procfs_file procself_files[] = {
	{ SELF "/cmdline", cmdline_text },
	{ SELF "/environ", environ_text },
	{ SELF "/comm", comm_text },
	{ SELF "/maps", maps_text },
	{ SELF "/stat", stat_text },
	{ SELF "/statm", statm_text },
	{ SELF "/status", status_text },
	{ SELF "/mounts", mounts_text },
	{ SELF "/mountinfo", mountinfo_text },
	{ SELF "/cgroup", cgroup_text },
	{ SELF "/limits", limits_text },
	{ NULL, NULL }
};
