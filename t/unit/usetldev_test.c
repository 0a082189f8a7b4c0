/*
 * usetldev_test.c - /dev/usetl and the log, run natively
 *
 * The windows that the code knows by address are mapped at their own
 * addresses, and a jump at UK_STUB makes doorbells call bell() below, which
 * plays the tender.  What the code needs of the rest of the libOS is defined
 * here, as small as it can be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "t/unit/shadow.h"
#include "t/unit/tap.h"
#include "t/unit/nolibc.h"
#include "unikernel/dev/fetchdev.c"
#include "unikernel/dev/fetchhead.c"
#include "unikernel/dev/fetchtext.c"
#include "unikernel/lib/log.c"
#include "unikernel/dev/usetldev.c"

/* here they are the structures' names */
#undef uk_ctl
#undef uk_out

#define BODY_LEN	100

/* --- the tender */

static struct {
	struct uk_ctl *ctl;
	struct uk_out *out;
	struct etlfs_host *host;
} v;

static struct {
	long nr, a, b, c;
	int count[DB_COUNT];
	long answer;
	u32 log_len, ready_log_len;
} rung;

static long bell(long a, long b, long c, long nr)
{
	rung.nr = nr;
	rung.a = a;
	rung.b = b;
	rung.c = c;
	rung.count[nr]++;
	rung.log_len = v.out->log_len;
	if (nr == DB_READY)
		rung.ready_log_len = rung.log_len;
	return rung.answer;
}

static void *window(u64 addr, size_t len, int prot)
{
	void *p = mmap((void *)addr, len, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		       0);

	if (p != (void *)addr || shadow_map(addr, len) < 0) {
		printf("1..0 # SKIP 0x%lx is taken in this process\n",
		       (unsigned long)addr);
		exit(0);
	}
	return p;
}

static void windows(void)
{
	u8 *stub = window(UK_STUB, UK_PAGE,
			  PROT_READ | PROT_WRITE | PROT_EXEC);
	void *target = (void *)bell;

	/* movabs $bell, %rax; jmp *%rax */
	memcpy(stub, "\x48\xb8", 2);
	memcpy(stub + 2, &target, 8);
	memcpy(stub + 10, "\xff\xe0", 2);
	v.ctl = window(UK_CTL, UK_CTL_PAGES * UK_PAGE, PROT_READ | PROT_WRITE);
	v.out = window(UK_OUT, UK_PAGE, PROT_READ | PROT_WRITE);
	window(UK_LOG, UK_LOG_SIZE, PROT_READ | PROT_WRITE);
	v.host = window(UK_HOST_BASE, ETLFS_WINDOW0, PROT_READ | PROT_WRITE);
	v.ctl->host_size = ETLFS_WINDOW0;
	v.ctl->windows = 3;
	v.ctl->event_off = ETLFS_EVENT_OFF;
	v.ctl->mem_limit = 128 << 20;
	v.ctl->timeout_ms = 10250;
}

static void event_put(const char *text)
{
	rung.answer = (long)strlen(text);
	memcpy((u8 *)v.host + ETLFS_EVENT_OFF, text, strlen(text));
}

static void ticket_put(u32 ticket, u32 state, const char *head)
{
	struct etlfs_ticket *t = &v.host->ticket[ticket % ETLFS_TICKETS];
	static const char url[] = "http://x/final";

	t->status = 200;
	t->error = 111;
	t->head_off = 0x300000;
	t->head_len = (u32)strlen(head);
	memcpy((u8 *)v.host + t->head_off, head, t->head_len);
	t->url_off = 0x301000;
	t->url_len = sizeof(url) - 1;
	memcpy((u8 *)v.host + t->url_off, url, t->url_len);
	t->body_off = 0x310000;
	t->body_len = 77;
	t->gen = ticket / ETLFS_TICKETS;
	t->state = state;
}

/* --- the rest of the libOS */

struct thread *current;
int thread_count = 1;
u64 time_idle_ns;
u32 task_looks;
long (*fork_hook)(void);
static int begun, draws_over;
void (*file_unwatch)(struct file *f);

static struct file files[8];
static u32 released;
static int marks, extents_err, unmapped;
static void (*on_wait)(void);

static char reported[64];
static int reports;

void panic(const char *fmt, ...) { printf("Bail out! %s\n", fmt); exit(1); }
void crash_forget(void) { reports = 0; }
void task_begin(void) { begun++; }
void now_cpu_reset(void) { }
void draws_end(void) { draws_over++; }
int draws_open(struct inode *ip, struct file *f) { return 0; }
void (*thread_poll_hook)(void);
void refused_tell(void) { }
static int attached, attach_err;
int vfs_attach(void) { attached++; return attach_err; }

void crash_write(const void *buf, size_t len)
{
	memcpy(reported, buf, len);
	reports++;
}

void *kmalloc(size_t len) { return malloc(len); }
void *kzalloc(size_t len) { return calloc(1, len); }
void kfree(void *p) { free(p); }
u64 now_mono(void) { return 1000; }
int user_ok(const void *p, size_t len, int write) { return p != NULL; }
struct file *fd_get(int fd) { return fd == 5 ? &files[5] : NULL; }
void file_put(struct file *f) { f->refs--; }
u64 file_size(struct file *f) { return BODY_LEN; }
void hostfs_release(u32 ticket) { released = ticket; }
void epoll_mark(struct file *f) { marks++; }
int thread_wake(struct waitq *q, int n) { return 0; }
void map_unpin(u64 addr, u64 len) { unmapped++; }

u64 map_pin(struct file *f, u64 off, u64 len, int shared, int *err)
{
	return 0x500000000;
}

long file_extents(struct file *f, struct uk_extent *ext, size_t max, u64 *size)
{
	if (extents_err)
		return extents_err;
	ext[0] = (struct uk_extent){ 0x500000000, 60 };
	ext[1] = (struct uk_extent){ 0x500010000, BODY_LEN - 60 };
	*size = BODY_LEN;
	return 2;
}

int thread_wait(struct waitq *q, u64 deadline)
{
	if (!on_wait)
		return -EINTR;
	on_wait();
	return 0;
}

int vfs_add_node(const char *path, u32 mode, u64 rdev,
		 const struct node_ops *ops, void *priv)
{
	return 0;
}

void *node_priv(struct inode *ip) { return NULL; }

int k_vsnprintf(char *buf, size_t len, const char *fmt, va_list ap)
{
	return vsnprintf(buf, len, fmt, ap);
}

int k_snprintf(char *buf, size_t len, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, len, fmt, ap);
	va_end(ap);
	return n;
}

/* --- tests */

static int parse(struct fetch_head *h, const char *text)
{
	return fetchhead_parse(h, text, strlen(text));
}

static void test_head(void)
{
	static const char *const bad[] = {
		"", "GET", "GET http://x 0 -1", "get http://x 0 -1\n",
		"GET  http://x 0 -1\n", "GET http://x  0 -1\n",
		"GET http://x 0 -1 \n", "GET http://x 00 -1\n",
		"GET http://x +1 -1\n", "GET http://x 0 -2\n",
		"GET http://x 0 --1\n", "GET http://x 0 2147483648\n",
		"GET http://x 99999999999999999999 -1\n",
		"GET http://x\t 0 -1\n", "GET \x7f 0 -1\n",
		"BREW http://x 0 -1\n", " GET http://x 0 -1\n",
		"GET http://x 0 -1\nno colon\n", "GET http://x 0 -1\nA: b",
		"GET http://x 0 -1\n: empty name\n",
		"GET http://x 0 -1\nA b: c\n", "GET http://x 0 -1\nA: b\r\n",
		"GET http://x 0 -1\n\n", "GET http://x 0 -1\r\n",
	};
	static char lng[UK_URL_MAX + UK_HEADERS_MAX + 64];
	struct fetch_head h;
	size_t i;

	ok(parse(&h, "PUT http://h/a?b 1500 12\nA: b\nX-Y:\n") == 0 &&
	   h.method == UK_PUT && h.url_len == 12 && h.body_fd == 12 &&
	   h.timeout_ns == 1500000000 && h.headers_len == 10, "a full head");
	ok(parse(&h, "GET u 0 -1\n") == 0 && h.body_fd == -1 &&
	   h.headers_len == 0 && h.timeout_ns == 0, "the least head");
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (parse(&h, bad[i]) != -EINVAL)
			break;
	ok(i == ARRAY_LEN(bad), "what is malformed is refused");
	if (i < ARRAY_LEN(bad))
		printf("# accepted: %s\n", bad[i]);
	ok(fetchhead_parse(&h, "GET u 0 -1\nA: \0\n", 16) == -EINVAL,
	   "a NUL in a header");
	sprintf(lng, "GET %0*d 0 -1\n", UK_URL_MAX + 1, 0);
	ok(parse(&h, lng) == -ENAMETOOLONG, "a long URL");
	sprintf(lng, "GET u 0 -1\nA: %0*d\n", UK_HEADERS_MAX, 0);
	ok(parse(&h, lng) == -EMSGSIZE, "long headers");
}

/* each of these begins as before READY */
static void again(void)
{
	event_state = EVENT_NEVER;
	fetchdev_allow(1);
	memset(&rung, 0, sizeof(rung));
	begun = draws_over = 0;
}

static struct file *fetch_new(void);
static long put(struct file *f, const char *text);

static void test_ready(void)
{
	struct file *f = &files[0];
	char buf[64];

	again();
	ok(event_ioctl(f, USETL_READY, 0) == 0 && rung.count[DB_READY] == 1 &&
	   begun == 1 && draws_over == 1 && !rung.count[DB_EVENT],
	   "READY alone");
	ok(result_write(f, "[1]", 3, 0) == -EINVAL && !rung.count[DB_NEXT],
	   "no answer before there is a question");
	ok(put(fetch_new(), "GET http://x 0 -1\n") == -ENETDOWN &&
	   !rung.count[DB_FETCH], "no fetch before there is a question");
	v.out->log_len = 7;
	event_put("{}");
	v.ctl->event_here = 1;
	v.ctl->event_len = 2;
	ok(event_read(f, buf, sizeof(buf), 0) == 2 && !rung.count[DB_EVENT],
	   "an event that is there need not be asked for");
	ok(v.out->log_len == 7, "what was logged before an event stays");
	rung.answer = 64;
	ok(put(fetch_new(), "GET http://x 0 -1\n") > 0 &&
	   rung.count[DB_FETCH] == 1, "with an event a program may fetch");
	v.ctl->event_here = 0;
	v.out->log_len = 0;

	again();
	thread_count = 2;
	ok(event_ioctl(f, USETL_FORK, 0) == -EBUSY && !fork_hook,
	   "no fork where other threads live");
	thread_count = 1;
	ok(event_ioctl(f, USETL_FORK, 0) == 0 && fork_hook &&
	   !rung.count[DB_READY], "a fork that will be READY");
	ok(fork_hook() == 0 && rung.count[DB_READY] == 1 && begun == 1 &&
	   !fork_hook, "a fork that will be READY is, once");

	again();
	event_ioctl(f, USETL_FORK, 0);
	rung.answer = -EIO;
	ok(fork_hook() == -EIO && !begun, "a fork that the tender refuses");
	again();
	pending = NULL;
	marks = 0;
}

static void strings_put(u32 argc, const char *text, size_t len)
{
	v.ctl->argc = argc;
	v.ctl->strings_len = (u32)len;
	memcpy((char *)v.ctl->strings, text, len);
}

static void test_level(void)
{
	static const char text[] = "python\0-I\0A=1\0B=";
	struct file *f = &files[0];
	char buf[64];

	again();
	rung.answer = UK_PLACED;
	v.out->log_len = 7;
	ok(event_ioctl(f, USETL_LEVEL, UK_LEVEL_RUNTIME) == 0 && rung.nr == DB_READY &&
	   rung.a == UK_LEVEL_RUNTIME && attached == 1 && !v.out->log_len &&
	   !begun && !draws_over, "a runtime is up: layers come, and no child "
	   "begins");
	rung.answer = UK_CHILD;
	ok(event_ioctl(f, USETL_READY, 0) == 0 && rung.count[DB_READY] == 2 &&
	   rung.a == UK_LEVEL_FUNCTION, "then the function is ready");
	ok(event_ioctl(f, USETL_LEVEL, UK_LEVEL_RUNTIME) == -EINVAL &&
	   rung.count[DB_READY] == 2, "no runtime is up after that");
	again();
	thread_count = 2;
	ok(event_ioctl(f, USETL_LEVEL, UK_LEVEL_RUNTIME) == -EBUSY && !rung.count[DB_READY],
	   "none is while other threads live");
	thread_count = 1;
	attach_err = -EINVAL;
	ok(event_ioctl(f, USETL_LEVEL, UK_LEVEL_RUNTIME) == -EINVAL &&
	   rung.count[DB_READY] == 1, "a layer that is damaged is told");
	attach_err = 0;
	strings_put(2, text, sizeof(text));
	ok(place_read(f, buf, sizeof(buf), 0) == 7 &&
	   !memcmp(buf, "A=1\0B=", 7), "place has the environment alone");
	ok(place_read(f, buf, 3, 4) == 3 && !memcmp(buf, "B=", 3) &&
	   place_read(f, buf, 3, 7) == 0, "place can be read in parts");
	strings_put(2, "a\0b", 3);
	ok(place_read(f, buf, sizeof(buf), 0) == 0 &&
	   place_read(f, buf, sizeof(buf), 1 << 20) == 0,
	   "arguments that do not end: nothing is read past them");
	strings_put(0, "", 0);
	again();
	pending = NULL;
	marks = 0;
}

static void test_event(void)
{
	struct file *f = &files[0];
	char buf[64];
	long len = 0;

	ok(next_write("{}", 2, 0) == -EINVAL, "no result before an event");
	event_put("{\"a\": 1}");
	v.out->log_len = 5;
	ok(event_read(f, buf, sizeof(buf), 0) == 8 &&
	   !memcmp(buf, "{\"a\": 1}", 8), "the first read has the event");
	ok(rung.count[DB_READY] == 1 && rung.ready_log_len == 5 && begun == 1,
	   "the first read rang READY, the log left to the tender");
	ok(rung.count[DB_EVENT] == 1 && rung.log_len == 0 &&
	   v.out->log_len == 0, "the first read rang EVENT");
	ok(event_ioctl(f, USETL_FORK, 0) == -EINVAL &&
	   event_ioctl(f, USETL_READY, 0) == -EINVAL && !fork_hook,
	   "READY is rung once");
	ok(event_ioctl(f, USETL_EVENT_LEN, (u64)&len) == 0 && len == 8,
	   "USETL_EVENT_LEN");
	ok(event_ioctl(f, 1, (u64)&len) == -ENOTTY, "no other ioctl");
	ok(event_read(f, buf, sizeof(buf), 0) == 0, "an event is read once");
	ok(report_write(f, "where", 5, 0) == 5 && reports == 1 &&
	   !memcmp(reported, "where", 5), "a report is kept");
	event_put("second");
	ok(result_write(f, "[1]", 3, 0) == 3 && !reports,
	   "a report is kept until the answer");
	event_read(f, buf, sizeof(buf), 0);
	event_put("second");
	ok(result_write(f, "[1]", 3, 0) == 3 && rung.nr == DB_NEXT &&
	   rung.a == UK_RESULT_OK && rung.c == 3 &&
	   !memcmp((void *)rung.b, "[1]", 3), "a result rings NEXT");
	ok(event_read(f, buf, 3, 0) == 3 && !memcmp(buf, "sec", 3),
	   "the next event, cut off");
	ok(event_read(f, buf, 3, 0) == 0,
	   "the rest of an event that was cut off is lost");
	rung.answer = -EFBIG;
	ok(error_write(f, "{}", 2, 0) == -EFBIG && rung.a == UK_RESULT_ERROR,
	   "a refused result");
	ok(result_write(f, "", 0, 0) == -EINVAL, "an empty result");
	rung.answer = 100;
	v.ctl->event_off = ETLFS_WINDOW0 - 99;
	ok(error_write(f, "{}", 2, 0) == 2 &&
	   event_read(f, buf, 9, 0) == -EIO, "an event outside the window");
	v.ctl->event_off = ETLFS_EVENT_OFF;
}

static struct file *fetch_new(void)
{
	static struct file f;

	memset(&f, 0, sizeof(f));
	return fetchdev_open(NULL, &f) == 0 ? &f : NULL;
}

static long put(struct file *f, const char *text)
{
	return f->ops->write(f, text, strlen(text), 0);
}

static char answer[4096];

static const char *get(struct file *f)
{
	long n = f->ops->read(f, answer, sizeof(answer) - 1, 0);

	if (n < 0)
		return "";
	answer[n] = 0;
	return answer;
}

static u32 waited;

static void end_done(void)
{
	/* an earlier use of the slot is not ours */
	ticket_put(waited++ < 2 ? 64 + 3 : 128 + 3, ETLFS_DONE, "A: b\n");
	fetchdev_poll();
}

static void test_fetch(void)
{
	struct file *f = fetch_new();
	struct uk_fetch *out = &v.out->fetch;

	ok(f->ops->read(f, answer, 1, 0) == -EINVAL, "no read before a write");
	ok(f->ops->poll(f) == 0, "poll: nothing");
	ok(put(f, "nonsense\n") == -EINVAL && rung.count[DB_FETCH] == 0,
	   "nonsense rings nothing");
	rung.answer = -EMFILE;
	ok(put(f, "GET http://x/ 5 -1\n") == -EMFILE, "no ticket left");
	rung.answer = 128 + 3;
	ok(put(f, "GET http://x/ 5 -1\nA: b\n") == 24 &&
	   rung.nr == DB_FETCH, "submitted");
	ok(out->method == UK_GET && out->n_ext == 0 && out->url_len == 9 &&
	   out->headers_len == 5 && out->timeout_ns == 5000000 &&
	   out->body_len == 0, "the descriptor");
	ok(put(f, "GET http://x/ 5 -1\n") == -EALREADY, "once");
	f->flags |= O_NONBLOCK;
	ok(f->ops->read(f, answer, 1, 0) == -EAGAIN, "EAGAIN");
	f->flags = 0;
	on_wait = NULL;
	ok(f->ops->read(f, answer, 1, 0) == -EINTR, "EINTR");
	on_wait = end_done;
	ok(!strcmp(get(f), "200 77 /usetl/in/131 http://x/final\nA: b\n"),
	   "the answer");
	ok(waited == 3, "waits out a stale ticket");
	ok(f->ops->poll(f) == POLLIN && marks == 1, "poll: in");
	ok(f->ops->read(f, answer, 9, 0) == 0,
	   "after an answer its end is read");
	f->ops->close(f);
	ok(released == 131, "the close gives the ticket back");
}

static void test_fetch_failed(void)
{
	struct file *f = fetch_new();

	rung.answer = 64 + 1;
	put(f, "GET http://x/ 0 -1\n");
	ticket_put(64 + 1, ETLFS_FAILED, "GET http://x/: refused");
	ok(!strcmp(get(f), "ERROR 111\nGET http://x/: refused"), "failed");
	f->ops->close(f);
	f = fetch_new();
	rung.answer = 64 + 2;
	put(f, "GET http://x/ 0 -1\n");
	ticket_put(64 + 2, ETLFS_DONE, "A: b\n");
	v.host->ticket[2].head_off = ETLFS_WINDOW0 - 1;
	ok(!strncmp(get(f), "ERROR 5\n", 8), "a head outside the window");
	f->ops->close(f);
	f = fetch_new();
	rung.answer = 64 + 4;
	put(f, "GET http://x/ 0 -1\n");
	ticket_put(64 + 4, ETLFS_DONE, "A: b\n");
	v.host->ticket[4].body_off = ETLFS_WINDOW_STRIDE;
	rung.count[DB_WAIT] = 0;
	ok(!strncmp(get(f), "200 77 ", 7) && rung.count[DB_WAIT] == 1,
	   "a window of its own: the tender is let attach it");
	f->ops->close(f);
	f = fetch_new();
	rung.answer = 64 + 6;
	put(f, "GET http://x/ 0 -1\n");
	ticket_put(64 + 6, ETLFS_DONE, "A: b\n");
	v.host->ticket[6].body_off = 2 * ETLFS_WINDOW_STRIDE;
	ok(!strncmp(get(f), "ERROR 12\n", 9),
	   "a window that the tender could not attach: ENOMEM");
	f->ops->close(f);
	f = fetch_new();
	rung.answer = 64 + 5;
	put(f, "GET http://x/ 0 -1\n");
	released = 0;
	event_put("next");
	result_write(f, "1", 1, 0);
	ok(!strncmp(get(f), "ERROR 125\n", 10),
	   "a fetch whose invocation is over");
	f->ops->close(f);
	ok(released == 0, "an invocation that is over gives no ticket back");
}

static void test_fetch_body(void)
{
	struct file *f = fetch_new();
	struct uk_fetch *out = &v.out->fetch;
	const struct uk_extent *ext;

	rung.answer = 64 + 6;
	ok(put(f, "POST http://x/ 0 9\n") == -EBADF, "bad body descriptor");
	ok(put(f, "POST http://x/ 0 5\n") == 19 && out->n_ext == 2 &&
	   out->body_len == BODY_LEN, "a body");
	ext = (const void *)out->ext;
	ok(ext[0].len + ext[1].len == BODY_LEN, "a body's extents");
	ok(files[5].refs == 1, "a body is held while it is sent");
	f->ops->close(f);
	ok(files[5].refs == 0, "a body is held until the close");
	f = fetch_new();
	extents_err = -E2BIG;
	ok(put(f, "POST http://x/ 0 5\n") == 19 && out->n_ext == 1 &&
	   out->body_len == BODY_LEN, "too many pieces become one");
	f->ops->close(f);
	ok(unmapped == 1 && files[5].refs == 0,
	   "the piece of a body is unpinned");
	f = fetch_new();
	extents_err = -EINVAL;
	ok(put(f, "POST http://x/ 0 5\n") == -EINVAL,
	   "a body that is not a regular file: EINVAL");
	f->ops->close(f);
}

static void test_log(void)
{
	static char big[UK_LOG_SIZE + 10];

	memset(big, 'x', sizeof(big));
	rung.answer = 0;
	v.out->log_len = 0;
	log_printf("%s %d\n", "line", 7);
	ok(v.out->log_len == 7 && !memcmp((void *)UK_LOG, "line 7\n", 7),
	   "a line");
	log_write(big, sizeof(big));
	ok(rung.count[DB_LOG] == 1 && rung.log_len == UK_LOG_SIZE &&
	   rung.a == UK_LOG_SIZE && v.out->log_len == 17,
	   "a full buffer rings LOG");
	v.out->log_len = UK_LOG_SIZE - 6;
	log_write("one\ntwo\n", 8);
	ok(rung.count[DB_LOG] == 2 && rung.log_len == UK_LOG_SIZE - 2 &&
	   v.out->log_len == 4 && !memcmp((void *)UK_LOG, "two\n", 4),
	   "a line is not cut");
	v.out->log_len = 0xfffffff0;
	log_write("ab", 2);
	ok(v.out->log_len == 2 && !memcmp((void *)UK_LOG, "ab", 2),
	   "a wild length is not used");
}

static void test_info(void)
{
	static const char strings[] = "python\0A=b\0USETL_NAME=a\"b\\\1c";
	char buf[512];
	long n, m;

	memcpy(v.ctl->strings, strings, sizeof(strings));
	v.ctl->strings_len = sizeof(strings);
	n = info_read(&files[0], buf, sizeof(buf) - 1, 0);
	buf[n > 0 ? n : 0] = 0;
	ok(strstr(buf, "{\"name\": \"a\\\"b\\\\\\u0001c\", "
		  "\"memory\": 134217728, ") == buf, "name and memory");
	ok(strstr(buf, "\"timeout\": 10.250, ") != NULL, "timeout");
	m = info_read(&files[0], buf, 5, (u64)n - 3);
	ok(m == 3 && info_read(&files[0], buf, 5, (u64)n) == 0,
	   "the description in pieces, and its end");
}

int main(void)
{
	windows();
	test_head();
	test_level();
	test_ready();
	test_event();
	test_fetch();
	test_fetch_failed();
	test_fetch_body();
	test_log();
	test_info();
	return plan();
}
