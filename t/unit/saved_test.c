/*
 * saved_test.c - a snapshot in a file by itself: written, read, refused
 *
 * Its parts are any bytes here; what they are is snapshot_read()'s to judge.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "unikernel/abi.h"
#include "vmm/guest/saved.h"

static char dir[] = "/tmp/usetl-saved.XXXXXX";
static char path[64];

static int part(uint64_t pages, int byte)
{
	int fd = memfd_create("part", MFD_CLOEXEC);
	uint8_t page[UK_PAGE];

	memset(page, byte, sizeof(page));
	for (uint64_t i = 0; i < pages; i++)
		if (write(fd, page, sizeof(page)) != sizeof(page))
			return -1;
	return fd;
}

/* a file with two parts and h's head */
static int make(struct saved_head *h, struct err *err)
{
	int from[2] = { part(3, 'a'), part(2, 'b') };
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc;

	h->parts = 2;
	h->part[0].kind = SAVED_BASE;
	h->part[1].kind = SAVED_DELTA;
	h->part[0].len = 3 * UK_PAGE;
	h->part[1].len = 2 * UK_PAGE;
	rc = saved_write(fd, h, from, err);
	close(from[0]);
	close(from[1]);
	close(fd);
	return rc;
}

static struct saved_head here(void)
{
	struct saved_head h;

	saved_here(&h, TENDER_PROCESS);
	strcpy(h.image, "/image");
	strcpy(h.digest, "d");
	strcpy(h.name, "f");
	h.memory = 5;
	return h;
}

static void test_whole(void)
{
	struct saved_head h = here();
	struct err err = { "" };
	struct saved *s = NULL;
	char byte[2];

	ok(make(&h, &err) == 0, "it is written: %s", err.msg);
	ok(saved_open(&s, path, &err) == 0, "and read: %s", err.msg);
	if (!s)
		return;
	ok(s->head.parts == 2 && s->head.memory == 5 &&
	   !strcmp(s->head.image, "/image"), "with what it is of");
	ok(pread(s->fd[0], byte, 1, 3 * UK_PAGE - 1) == 1 && *byte == 'a' &&
	   pread(s->fd[1], byte, 2, 2 * UK_PAGE - 1) == 1 && *byte == 'b',
	   "and its parts, each by itself");
	ok(fcntl(s->fd[0], F_GET_SEALS) & F_SEAL_WRITE && s->fd[2] < 0,
	   "which nobody can change");
	ok(saved_fits(s, TENDER_PROCESS, path, &err) == 0,
	   "it fits where it was made");
	ok(saved_fits(s, TENDER_KVM, path, &err) < 0 &&
	   strstr(err.msg, "another tender"), "but not another tender");
	saved_close(s);
	saved_close(NULL);
}

static void elsewhere(struct saved_head h, const char *what)
{
	struct err err = { "" };
	struct saved *s = NULL;

	ok(make(&h, &err) == 0 && saved_open(&s, path, &err) == 0 &&
	   saved_fits(s, TENDER_PROCESS, path, &err) < 0 &&
	   strstr(err.msg, what), "it is of %s", what);
	saved_close(s);
}

static void test_elsewhere(void)
{
	struct saved_head h = here();

	h.build[0] ^= 1;
	elsewhere(h, "another build");
	h = here();
	h.kernel[0] ^= 1;
	elsewhere(h, "another kernel");
	h = here();
	h.processor ^= 1;
	elsewhere(h, "another processor");
}

/* with a sum that is right: its maker was wrong */
static void refused(struct saved_head h, const char *what)
{
	struct err err = { "" };
	struct saved *s = NULL;

	ok(make(&h, &err) == 0 && saved_open(&s, path, &err) < 0 && !s,
	   "%s is refused: %s", what, err.msg);
	saved_close(s);
}

static void test_forged(void)
{
	struct saved_head h = here();

	memset(h.image, 'x', sizeof(h.image));
	refused(h, "a path without an end");
	h = here();
	memset(h.kernel, 'x', sizeof(h.kernel));
	refused(h, "a kernel without an end");
	h = here();
	h.magic++;
	refused(h, "another version");
}

static void flip(off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t b = 0;

	if (pread(fd, &b, 1, at) == 1) {
		b ^= 0x10;
		if (pwrite(fd, &b, 1, at) != 1)
			b = 0;
	}
	close(fd);
}

/* whichever byte, and wherever it ends */
static void test_damaged(void)
{
	const off_t size = SAVED_HEAD + 5 * UK_PAGE;
	struct saved_head h = here();
	unsigned taken = 0, whole = 0;
	struct err err = { "" };
	struct saved *s;

	make(&h, &err);
	for (off_t at = 0; at < size; at += at < 0x2000 ? 1 : 61) {
		flip(at);
		s = NULL;
		taken += saved_open(&s, path, &err) == 0;
		saved_close(s);
		flip(at);
	}
	ok(!taken, "no bit may be another");
	s = NULL;
	whole = saved_open(&s, path, &err) == 0;
	saved_close(s);
	for (off_t len = size - 1; len >= 0; len -= 977) {
		s = NULL;
		taken += truncate(path, len) < 0 ||
			 saved_open(&s, path, &err) == 0;
		saved_close(s);
	}
	ok(whole && !taken, "nor may it end anywhere else");
}

static void test_whose(void)
{
	struct saved_head h = here();
	struct err err = { "" };
	struct saved *s = NULL;

	make(&h, &err);
	chmod(path, 0620);
	ok(saved_open(&s, path, &err) < 0 && strstr(err.msg, "others may"),
	   "others may not write it");
	ok(saved_open(&s, dir, &err) < 0 && strstr(err.msg, "no file"),
	   "it is a file");
	ok(saved_replaceable(path) && !saved_replaceable(dir) &&
	   saved_replaceable("/tmp/no/such"), "another one takes its place");
	if (truncate(path, 0) < 0)
		return;
	ok(saved_replaceable(path), "and that of an empty file");
	flip(0);
	ok(truncate(path, 8) == 0 && !saved_replaceable(path),
	   "but of no other");
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	test_whole();
	test_elsewhere();
	test_forged();
	test_damaged();
	test_whose();
	unlink(path);
	rmdir(dir);
	return plan();
}
