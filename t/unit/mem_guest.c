/*
 * mem_guest.c - see mem_guest.h: memory at guest addresses, a doorbell that
 * checks what it is asked, and three files
 */
#undef _GNU_SOURCE		/* kabi.h has the same names */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "t/unit/mem_guest.h"
#include "t/unit/shadow.h"
#include "t/unit/nolibc.h"
#include "unikernel/map/mman.h"
#include "unikernel/fs/vfs.h"

/* not kabi.h: libc has the same names */
#define MODE_FILE	0100644
#define MODE_DIR	0040755
#define MODE_AT		24		/* st_mode in struct k_stat */

int file_maps, file_unmaps, file_refs;
static uint64_t total_limit;
static const uint64_t bases[] = {
	UK_EXEC_BASE, UK_HEAP_BASE, UK_DATA_BASE, UK_USF_BASE,
};
static uint64_t spans[UK_ARENAS];

static long ring(long arena, long span, long c, long nr)
{
	uint64_t more = span - spans[arena];

	if (nr != DB_GROW || arena < 0 || arena >= UK_ARENAS ||
	    span % UK_BIG || (uint64_t)span <= spans[arena])
		abort();
	if (mprotect((void *)(bases[arena] + spans[arena]), more,
		     PROT_READ | PROT_WRITE) < 0)
		return -ENOMEM;
	spans[arena] = span;
	if (spans[0] + spans[1] + spans[2] > total_limit)
		abort();
	return 0;
}

static int map(uint64_t addr, uint64_t len, int prot)
{
	void *p = mmap((void *)addr, len, prot, MAP_PRIVATE | MAP_ANONYMOUS |
		       MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	return p == (void *)addr ? shadow_map(addr, len) : -1;
}

#undef uk_ctl
void guest_limit(uint64_t limit)
{
	struct uk_ctl *ctl = (void *)UK_CTL;

	total_limit = limit;
	ctl->mem_limit = limit;
}

int guest_setup(uint64_t limit)
{
	struct uk_ctl *ctl = (void *)UK_CTL;
	uint8_t *stub = (void *)UK_STUB;
	uint64_t target = (uint64_t)ring;
	int i;

	if (map(UK_STUB, UK_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) < 0 ||
	    map(UK_CTL, 2 * UK_PAGE, PROT_READ | PROT_WRITE) < 0 ||
	    map(UK_HOST_BASE, 0x40000, PROT_READ) < 0)
		return -1;
	memcpy(stub, "\x48\xb8", 2);		/* mov $target, %rax */
	memcpy(stub + 2, &target, 8);
	memcpy(stub + 10, "\xff\xe0", 2);	/* jmp *%rax */
	guest_limit(limit);
	ctl->files_limit = limit;
	for (i = 0; i < UK_ARENAS; i++) {
		if (map(bases[i], i == UK_ARENA_DATA ? DATA_ROOM : limit,
			PROT_NONE) < 0)
			return -1;
		ctl->span[i] = spans[i] = UK_BIG;
		mprotect((void *)bases[i], UK_BIG, PROT_READ | PROT_WRITE);
	}
	return 0;
}

void random_bytes(void *buf, size_t len)
{
	memset(buf, 0x55, len);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("Bail out! ");
	vprintf(fmt, ap);
	printf("\n");
	exit(1);
}

void log_printf(const char *fmt, ...)
{
}

static const struct file_ops ops = { .name = "file" };
static struct file files[3] = {
	{ .ops = &ops, .mode = MODE_FILE },
	{ .ops = &ops, .mode = MODE_FILE },
	{ .ops = &ops, .mode = MODE_DIR, .flags = 2 },
};

struct file *fd_get(int fd)
{
	if (fd < FD_COPIED || fd > FD_DIR)
		return NULL;
	file_refs = 0;
	files[fd - FD_COPIED].refs = 0;
	return &files[fd - FD_COPIED];
}

void file_put(struct file *f)
{
	file_refs = --f->refs < 0 ? 0 : f->refs;
}

void file_stat(struct file *f, struct k_stat *st)
{
	memcpy((char *)st + MODE_AT, &f->mode, sizeof(f->mode));
}

u64 map_pin(struct file *f, u64 off, u64 len, int shared_write, int *err)
{
	*err = 0;
	if (f != &files[1])
		return 0;
	file_maps++;
	return UK_USF_BASE + off;
}

void map_unpin(u64 addr, u64 len)
{
	file_unmaps++;
}

long file_path(struct file *f, char *buf, size_t len)
{
	return snprintf(buf, len, "/file/%d", (int)(f - files) + FD_COPIED);
}

long file_pread(struct file *f, void *buf, size_t len, u64 off)
{
	static char data[FILE_SIZE] = "content";

	if (off >= FILE_SIZE)
		return 0;
	if (len > FILE_SIZE - off)
		len = FILE_SIZE - off;
	memcpy(buf, data + off, len);
	return len;
}
