/*
 * usetldev.c - /dev/usetl: event, result, error, info, report (see dev.h)
 *
 * READY, which rings DB_READY, is where the reference is frozen: what follows
 * that call runs in every clone, and after every rollback, so nothing that the
 * host keeps (uk_ctl, the host table) is remembered across it.  The same goes
 * for DB_NEXT, which returns only when state is kept.
 */
#include "etlfs/format.h"
#include "unikernel/task/crash.h"
#include "unikernel/dev/devices.h"
#include "unikernel/dev/dev.h"
#include "unikernel/dev/draws.h"
#include "unikernel/dev/fetchdev.h"
#include "unikernel/mem/mem.h"
#include "unikernel/task/task.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/task/thread.h"
#include "unikernel/fs/vfs.h"

#define INFO_MAX	1024

/* NEVER: before READY; NONE: after it, and no event was asked for yet */
enum event_state { EVENT_NEVER, EVENT_NONE, EVENT_UNREAD, EVENT_READ };

static enum event_state event_state;
static u64 event_len;

/* the tender has what was logged so far, and a bad end is over or was none */
static void host_forget(void)
{
	if (uk_out->log_len)
		uk_out->log_len = 0;
	crash_forget();
	fetchdev_forget();
}

/* an event arrived: the host began a new invocation */
static void event_begin(u64 len)
{
	event_len = len;
	event_state = EVENT_UNREAD;
	fetchdev_allow(1);
}

/* the event where the tender says it is, checked against the window */
static int event_where(const u8 **event)
{
	u64 off = uk_ctl->event_off, size = uk_ctl->host_size;

	if (off > size || event_len > size - off)
		return -EIO;
	*event = (const u8 *)UK_HOST_BASE + off;
	return 0;
}

/*
 * A program can load selectors, and not every hypervisor's way to restore
 * registers covers them; loading one changes its base.
 */
static void selectors_reset(void)
{
	u64 fs, gs;

	__asm__ volatile("rdfsbase %0" : "=r"(fs));
	__asm__ volatile("rdgsbase %0" : "=r"(gs));
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; "
			 "mov %0, %%gs" : : "r"(0));
	__asm__ volatile("wrfsbase %0" : : "r"(fs));
	__asm__ volatile("wrgsbase %0" : : "r"(gs));
}

/*
 * 0, in a clone, as another process; or -errno.  gdb leaves here (cmd/gdb.py):
 * what it wrote into memory must not be in the snapshot.
 */
static __attribute__((noinline)) long event_ready(void)
{
	u64 from = now_mono();
	long rc;

	fork_hook = NULL;
	rc = doorbell(UK_LEVEL_FUNCTION, 0, 0, DB_READY);
	if (rc < 0)
		return rc;
	selectors_reset();
	/* however old the snapshot is */
	time_idle_ns += now_mono() - from;
	event_state = EVENT_NONE;
	host_forget();
	fetchdev_allow(0);
	draws_end();
	task_begin();
	return 0;
}

/*
 * An interpreter is up, or packages are imported.  What follows runs once for
 * each function that is placed in it, or once, if nobody shares it.
 */
static long level_ready(u64 level)
{
	u64 from = now_mono();
	long rc;

	if (event_state != EVENT_NEVER || level == UK_LEVEL_FUNCTION)
		return -EINVAL;
	if (thread_count > 1)
		return -EBUSY;
	rc = doorbell((long)level, 0, 0, DB_READY);
	if (rc < 0)
		return rc;
	selectors_reset();
	time_idle_ns += now_mono() - from;
	host_forget();
	rc = vfs_attach();
	if (rc < 0)
		log_printf("the image is damaged: a layer's index\n");
	return rc;
}

/* a clone's first event; it may be there already, or nobody has one yet */
static long event_wait(void)
{
	u64 from = now_mono();
	long rc;

	if (uk_ctl->event_here) {
		event_begin(uk_ctl->event_len);
		return 0;
	}
	rc = doorbell(0, 0, 0, DB_EVENT);
	if (rc < 0)
		return rc;
	time_idle_ns += now_mono() - from;
	uk_out->log_len = 0;
	event_begin((u64)rc);
	return 0;
}

/* the event first: all that a program does before it asks is the request's */
void usetldev_freeze(void)
{
	if (event_ready() < 0)
		panic("libOS: the tender does not freeze it");
	now_cpu_reset();
	if (event_wait() < 0)
		panic("libOS: the tender has no event");
}

static long event_read(struct file *f, void *buf, size_t len, u64 pos)
{
	const u8 *event;
	long rc = 0;

	if (event_state == EVENT_NEVER)
		rc = event_ready();
	if (rc == 0 && event_state == EVENT_NONE)
		rc = event_wait();
	if (rc < 0)
		return rc;
	/* one event is one read: the next comes with the next invocation */
	if (event_state == EVENT_READ)
		return 0;
	rc = event_where(&event);
	if (rc < 0)
		return rc;
	event_state = EVENT_READ;
	len = MIN(len, event_len);
	memcpy(buf, event, len);
	return (long)len;
}

static long event_tell_len(u64 arg)
{
	long len = (long)event_len;

	if (!user_ok((void *)arg, sizeof(len), 1))
		return -EFAULT;
	memcpy((void *)arg, &len, sizeof(len));
	return 0;
}

static long fork_arm(void)
{
	if (event_state != EVENT_NEVER)
		return -EINVAL;
	if (thread_count > 1)
		return -EBUSY;
	fork_hook = event_ready;
	return 0;
}

static long event_ioctl(struct file *f, unsigned cmd, u64 arg)
{
	switch (cmd) {
	case USETL_EVENT_LEN:
		return event_tell_len(arg);
	case USETL_FORK:
		return fork_arm();
	case USETL_LEVEL:
		return level_ready(arg);
	case USETL_LOOKS:
		return task_looks & 0x7fffffff;
	case USETL_READY:
		return event_state == EVENT_NEVER ? event_ready() : -EINVAL;
	default:
		return -ENOTTY;
	}
}

static long next_write(const void *buf, size_t len, int kind)
{
	long rc;

	/* an answer needs a question, and JSON text is never empty */
	if (event_state < EVENT_UNREAD || len == 0)
		return -EINVAL;
	rc = doorbell(kind, (long)buf, (long)len, DB_NEXT);
	if (rc < 0)
		return rc;
	host_forget();
	event_begin((u64)rc);
	return (long)len;
}

static long result_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	return next_write(buf, len, UK_RESULT_OK);
}

static long error_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	refused_tell();
	return next_write(buf, len, UK_RESULT_ERROR);
}

/* appends s to buf as the inside of a JSON string; bytes now in buf */
static int info_escape(char *buf, int at, const volatile char *s)
{
	for (; *s && at < INFO_MAX / 2; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20)
			at += k_snprintf(buf + at, 7, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			at += k_snprintf(buf + at, 3, "\\%c", c);
		else
			buf[at++] = (char)c;
	}
	return at;
}

/* value of an environment variable that the tender gave, or "" */
static const volatile char *info_env(const char *name)
{
	const volatile char *s = uk_ctl->strings;
	size_t max = UK_CTL + UK_CTL_PAGES * UK_PAGE - (u64)s;
	const volatile char *end = s + MIN(uk_ctl->strings_len, max);
	size_t len = strlen(name), i;

	while (s < end) {
		for (i = 0; i < len && s + i < end && s[i] == name[i]; i++)
			;
		if (i == len && s + i < end && s[i] == '=')
			return s + i + 1;
		while (s < end && *s)
			s++;
		s++;
	}
	return "";
}

static long info_read(struct file *f, void *buf, size_t len, u64 pos)
{
	char text[INFO_MAX];
	int n;

	task_looks++;
	n = k_snprintf(text, sizeof(text), "{\"name\": \"");
	n = info_escape(text, n, info_env("USETL_NAME"));
	n += k_snprintf(text + n, sizeof(text) - (size_t)n,
			"\", \"memory\": %lu, \"files\": %lu, "
			"\"timeout\": %u.%03u, \"cpus\": %u, \"abi\": %u, "
			"\"entropy\": %lu}\n", uk_ctl->mem_limit,
			uk_ctl->files_limit, uk_ctl->timeout_ms / 1000,
			uk_ctl->timeout_ms % 1000, uk_ctl->cpus,
			uk_ctl->version, uk_ctl->entropy_gen);
	if (pos >= (u64)n)
		return 0;
	len = MIN(len, (u64)n - pos);
	memcpy(buf, text + pos, len);
	return (long)len;
}

/* the strings behind the arguments, as the tender has them now */
static long place_read(struct file *f, void *buf, size_t len, u64 pos)
{
	size_t max = UK_CTL + UK_CTL_PAGES * UK_PAGE - (u64)uk_ctl->strings;
	size_t end = MIN(uk_ctl->strings_len, max), at = 0;
	u32 n = uk_ctl->argc;

	for (; n && at < end; at++)
		n -= !uk_ctl->strings[at];
	if (pos >= end - at)
		return 0;
	len = MIN(len, end - at - pos);
	memcpy(buf, (const char *)uk_ctl->strings + at + pos, len);
	return (long)len;
}

static long report_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	crash_write(buf, len);
	return (long)len;
}

static void usetldev_close(struct file *f)
{
}

static const struct file_ops event_ops = {
	.name = "event",
	.read = event_read,
	.ioctl = event_ioctl,
	.close = usetldev_close,
};

static const struct file_ops result_ops = {
	.name = "result",
	.write = result_write,
	.close = usetldev_close,
};

static const struct file_ops error_ops = {
	.name = "error",
	.write = error_write,
	.close = usetldev_close,
};

static const struct file_ops info_ops = {
	.name = "info",
	.read = info_read,
	.close = usetldev_close,
	.seekable = 1,
};

static const struct file_ops place_ops = {
	.name = "place",
	.read = place_read,
	.close = usetldev_close,
	.seekable = 1,
};

static const struct file_ops report_ops = {
	.name = "report",
	.write = report_write,
	.close = usetldev_close,
};

static int usetldev_open(struct inode *ip, struct file *f)
{
	f->ops = node_priv(ip);
	return 0;
}

static const struct node_ops usetldev_nodes = { .open = usetldev_open };
static const struct node_ops draws_nodes = { .open = draws_open };
static const struct node_ops fetch_nodes = { .open = fetchdev_open };

void usetldev_init(void)
{
	static const struct {
		const char *path;
		const struct node_ops *nodes;
		const struct file_ops *ops;
	} devices[] = {
		{ "/dev/usetl/event", &usetldev_nodes, &event_ops },
		{ "/dev/usetl/result", &usetldev_nodes, &result_ops },
		{ "/dev/usetl/error", &usetldev_nodes, &error_ops },
		{ "/dev/usetl/info", &usetldev_nodes, &info_ops },
		{ "/dev/usetl/fetch", &fetch_nodes, NULL },
		{ "/dev/usetl/report", &usetldev_nodes, &report_ops },
		{ "/dev/usetl/draws", &draws_nodes, NULL },
		{ "/dev/usetl/place", &usetldev_nodes, &place_ops },
	};
	size_t i;
	int rc;

	for (i = 0; i < ARRAY_LEN(devices); i++) {
		rc = vfs_add_node(devices[i].path, S_IFCHR | 0600,
				  KDEV(MISC_MAJOR, 240 + i), devices[i].nodes,
				  (void *)devices[i].ops);
		if (rc < 0)
			panic("libOS: usetldev_init: %s: error %d",
			      devices[i].path, -rc);
	}
	thread_poll_hook = fetchdev_poll;
}
