/*
 * hostsaved_test.c - a host region from a file, in another one
 */
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "etlfs/region/host.h"
#include "etlfs/region/hostsaved.h"
#include "t/unit/tap.h"

#define MB	((uint64_t)1 << 20)
#define PAGE	4096u
#define W2	(2 * ETLFS_WINDOW_STRIDE)	/* of window 2 */

static struct ev_loop *loop;
static struct fetch_engine *engine;
static struct window_pool *pool;
static const uint8_t *view[ETLFS_WINDOWS];
static uint64_t view_size[ETLFS_WINDOWS];
static int kicks;

static int on_attach(void *arg, unsigned window, int fd, uint64_t size)
{
	view[window] = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	view_size[window] = size;
	return view[window] == MAP_FAILED ? -errno : 0;
}

static void on_kick(void *arg)
{
	kicks++;
}

static ssize_t on_read(void *arg, const struct body_part *part, size_t n,
		       uint64_t off, void *buf, size_t len)
{
	return -EIO;
}

static const struct host_ops ops = { on_attach, on_kick, on_read };

/*
 * Two pages of table with a page of event, and a page of a body in window 2:
 * slot 0 has that, slot 1 was under way, slot 2 is free.
 */
static struct hostsaved sample(struct etlfs_host *table)
{
	struct hostsaved h = {
		.magic = HOSTSAVED_MAGIC, .runs = 2, .event_len = 5,
		.left_ns = 77,
		.run = {
			{ 0, ETLFS_EVENT_OFF + PAGE, HOSTSAVED_HEAD },
			{ W2 + 3 * PAGE, PAGE,
			  HOSTSAVED_HEAD + ETLFS_EVENT_OFF + PAGE },
		},
	};

	memset(table, 0, sizeof(*table));
	table->ticket[0] = (struct etlfs_ticket){
		.state = ETLFS_DONE, .gen = 9, .status = 200,
		.body_off = W2 + 3 * PAGE, .body_len = 4,
	};
	table->ticket[1] = (struct etlfs_ticket){
		.state = ETLFS_PENDING, .gen = 3,
	};
	return h;
}

static int file(const struct hostsaved *h, const struct etlfs_host *table)
{
	int fd = memfd_create("host", MFD_CLOEXEC);
	off_t at = HOSTSAVED_HEAD;

	if (pwrite(fd, h, sizeof(*h), 0) < 0 ||
	    pwrite(fd, table, sizeof(*table), at) < 0 ||
	    pwrite(fd, "event", 5, at + ETLFS_EVENT_OFF) < 0 ||
	    pwrite(fd, "body", 4, at + ETLFS_EVENT_OFF + PAGE) < 0 ||
	    ftruncate(fd, at + ETLFS_EVENT_OFF + 2 * PAGE) < 0)
		return -1;
	return fd;
}

static void test_restore(void)
{
	struct etlfs_host table;
	struct hostsaved h = sample(&table);
	const struct etlfs_host *seen;
	struct host *host = NULL;
	uint64_t left = 0, off;
	int fd = file(&h, &table), rc;

	ok(!host_create(&host, engine, pool, 64 * MB, 1, &ops, NULL),
	   "a host region");
	view[0] = mmap(NULL, ETLFS_WINDOW0, PROT_READ, MAP_SHARED,
		       host_window0(host)->fd, 0);
	seen = (const void *)view[0];
	rc = host_restore(host, fd, &left);
	ok(rc == 0 && left == 77, "is restored, with the time that is left");
	ok(!memcmp(view[0] + ETLFS_EVENT_OFF, "event", 5), "the event is there");
	ok(view[2] && view_size[2] > 4 * PAGE &&
	   !memcmp(view[2] + 3 * PAGE, "body", 4) && !view[1],
	   "and the body, where it was");
	ok(seen->ticket[0].state == ETLFS_DONE && seen->ticket[0].gen == 9,
	   "whose fetch has ended");
	ok(seen->ticket[1].state == ETLFS_FAILED && seen->ticket[1].gen == 3 &&
	   seen->ticket[1].error == ECONNABORTED && kicks == 1 &&
	   seen->ticket[1].head_off >= ETLFS_EVENT_OFF + PAGE &&
	   memmem(view[0] + seen->ticket[1].head_off, seen->ticket[1].head_len,
		  "did not come along", 18),
	   "one that was under way has failed, and says why");
	ok(seen->ticket[2].state == ETLFS_FREE && !seen->empty &&
	   seen->magic == ETLFS_HOST_MAGIC, "others are free");
	ok(host_event(host, "{}", 2, &off) == -EBUSY,
	   "they are this host's tickets");
	host_cancel(host, 9 << 6 | 0);
	host_cancel(host, 3 << 6 | 1);
	ok(seen->ticket[0].state == ETLFS_FREE &&
	   seen->ticket[1].state == ETLFS_FREE, "and can be cancelled");
	ok(host_reset(host) == 1, "its window leaves with the request");
	ok(view[2] && host_event(host, "{}", 2, &off) == 0,
	   "and another one begins");
	munmap((void *)view[2], view_size[2]);
	host_released(host);
	host_destroy(host);
	close(fd);
}

static void refused(struct hostsaved h, const char *what)
{
	struct etlfs_host table = { 0 };
	int fd = file(&h, &table);
	struct hostsaved out;

	ok(hostsaved_read(fd, &out) == -EINVAL, "%s is refused", what);
	close(fd);
}

static void test_hostile(void)
{
	struct etlfs_host table;
	const struct hostsaved good = sample(&table);
	struct hostsaved h = good;

#define BAD(what, ...) do { h = good; __VA_ARGS__; refused(h, what); } while (0)
	BAD("another kind of file", h.magic++);
	BAD("nothing", h.runs = 0);
	BAD("more runs than there are", h.runs = HOSTSAVED_RUNS + 1);
	BAD("an event that is too long", h.event_len = ETLFS_EVENT_MAX);
	BAD("a region without its table", h.run[0] = h.run[1]);
	BAD("a table that is cut short", h.run[0].len = PAGE);
	BAD("an odd place", h.run[1].off++);
	BAD("an odd length", h.run[1].len++);
	BAD("an odd offset", h.run[1].at++);
	BAD("no length", h.run[1].len = 0);
	BAD("what is beyond window 0", h.run[1].off = ETLFS_WINDOW0);
	BAD("what crosses its end", h.run[1].off = ETLFS_WINDOW0 - PAGE;
	    h.run[1].len = 2 * PAGE; h.run[1].at = HOSTSAVED_HEAD);
	BAD("what crosses a window's end", h.run[1].off = W2 - PAGE;
	    h.run[1].len = 2 * PAGE; h.run[1].at = HOSTSAVED_HEAD);
	BAD("a window that there is not",
	    h.run[1].off = ETLFS_WINDOWS * ETLFS_WINDOW_STRIDE);
	BAD("an offset past all", h.run[1].off = ~(uint64_t)(PAGE - 1));
	BAD("what is in the head", h.run[1].at = 0);
	BAD("what is behind the end", h.run[1].at += PAGE);
	BAD("what ends behind it", h.run[1].len += PAGE);
	BAD("a length past all", h.run[1].len = ~(uint64_t)(PAGE - 1));
}

int main(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	if (fetch_engine_create(&engine, loop) ||
	    window_pool_create(&pool, 1, 2 * MB))
		return 1;
	window_pool_limit(pool, 256 * MB);
	test_restore();
	test_hostile();
	window_pool_destroy(pool);
	fetch_engine_destroy(engine);
	ev_loop_destroy(loop);
	return plan();
}
