/*
 * guestfs.h - the libOS's files in an ordinary Linux process
 *
 * The guest's addresses are fixed and low, so a process can map its windows
 * where the guest has them, and the vfs's sources run unchanged; they are
 * included here, as one unit.  What stands in for the rest of the libOS:
 * malloc for kmalloc, a C function behind UK_STUB that notes DB_CANCEL, and
 * "any address above page 0" for user_ok().
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "t/unit/shadow.h"
#include "t/unit/nolibc.h"
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

static u64 extent_span, extent_limit, cancelled;
static int kmalloc_fails;		/* once it counts down to 0 */

static long stub(long a, long b, long c, long nr)
{
	if (nr == DB_CANCEL)
		cancelled = a;
	return 0;
}

/* every allocation is in a list, so that a test can count and drop them */
struct block {
	struct block *next, *prev;
	u64 pad[2];
};

static struct block blocks = { &blocks, &blocks, { 0, 0 } };

static void *block_add(struct block *b)
{
	b->next = blocks.next;
	b->prev = &blocks;
	b->next->prev = b->prev->next = b;
	return b + 1;
}

static struct block *block_take(void *p)
{
	struct block *b = (struct block *)p - 1;

	b->next->prev = b->prev;
	b->prev->next = b->next;
	return b;
}

void *kmalloc(size_t len)
{
	if (kmalloc_fails && --kmalloc_fails == 0)
		return NULL;
	return block_add(malloc(sizeof(struct block) + len));
}

void *kzalloc(size_t len)
{
	void *p = kmalloc(len);

	return p ? memset(p, 0, len) : NULL;
}

void *krealloc(void *p, size_t len)
{
	if (!p)
		return kmalloc(len);
	if (kmalloc_fails && --kmalloc_fails == 0)
		return NULL;
	return block_add(realloc(block_take(p), sizeof(struct block) + len));
}

void kfree(void *p)
{
	if (p)
		free(block_take(p));
}

u64 arena_span(int arena)
{
	return extent_span;
}

int arena_grow(int arena, u64 span)
{
	if (span > extent_limit)
		return -ENOMEM;
	extent_span = ROUND_UP(span, UK_BIG);
	return 0;
}

int user_ok(const void *p, size_t len, int write)
{
	return len == 0 || (u64)p >= UK_PAGE;
}

long user_strlen(const char *s, size_t max)
{
	size_t n;

	if ((u64)s < UK_PAGE)
		return -EFAULT;
	n = strnlen(s, max + 1);
	return n > max ? -ENAMETOOLONG : (long)n;
}

u32 task_looks;

u64 now_real(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
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

/* where a boot that fails goes on, when a test says so */
static jmp_buf *boot_failed;

void panic(const char *fmt, ...)
{
	va_list ap;

	if (boot_failed && !strstr(fmt, "assertion"))
		longjmp(*boot_failed, 1);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

/* how often the program was told something */
static unsigned log_lines __attribute__((unused));

void log_printf(const char *fmt, ...)
{
	log_lines++;
}

#include "unikernel/fs/data.c"
#include "unikernel/fs/dir.c"
#include "unikernel/fs/fd.c"
#include "unikernel/fs/file.c"
#include "unikernel/fs/hostfs.c"
#include "unikernel/fs/imagefs.c"
#include "unikernel/fs/inode.c"
#include "unikernel/map/map.c"
#include "unikernel/fs/open.c"
#include "unikernel/fs/path.c"
#include "unikernel/fs/rename.c"
#include "unikernel/fs/syscopy.c"
#include "unikernel/fs/sysdir.c"
#include "unikernel/fs/sysfd.c"

#include "unikernel/fs/sysio.c"
#include "unikernel/fs/sysname.c"
#include "unikernel/fs/sysstat.c"
#include "unikernel/fs/syssync.c"
#include "unikernel/fs/utimes.c"
#include "unikernel/fs/extent.c"
#include "unikernel/fs/vfs.c"
#include "unikernel/fs/xattr.c"

#define FILES_LIMIT	(64ull << 20)
#define IMAGE_SIZE	(1ull << 20)		/* of a layer */
#define LAYER_ADDR(n)	(UK_IMAGE_BASE + (n) * UK_BIG)
#define INDEX_OFF	0x10000ull
#define BODY_OFF	ETLFS_WINDOW_STRIDE	/* window 1 */

static void window(u64 base, u64 len)
{
	void *p = mmap((void *)base, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		       MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)base || shadow_map(base, len) < 0) {
		printf("1..0 # SKIP cannot map 0x%lx here\n", base);
		exit(0);
	}
}

/* what the tender would write */
#define ctl_set(field, value)	(*(u64 *)&uk_ctl->field = (value))

/* the clone's windows, once for a process */
static void windows_map(void)
{
	u8 *code = (u8 *)UK_STUB;
	u64 to = (u64)stub;
	int i;

	window(UK_STUB, UK_PAGE);
	window(UK_CTL, UK_CTL_PAGES * UK_PAGE);
	window(UK_USF_BASE, FILES_LIMIT);
	for (i = 0; i < UK_LAYERS; i++)
		window(LAYER_ADDR(i), IMAGE_SIZE);
	window(UK_HOST_BASE, ETLFS_WINDOW0);
	window(UK_HOST_BASE + BODY_OFF, 1 << 20);
	code[0] = 0x48;			/* movabs $stub, %rax; jmp *%rax */
	code[1] = 0xb8;
	memcpy(code + 2, &to, 8);
	code[10] = 0xff;
	code[11] = 0xe0;
	mprotect(code, UK_PAGE, PROT_READ | PROT_EXEC);
	extent_limit = FILES_LIMIT;
	ctl_set(files_limit, FILES_LIMIT);
	ctl_set(host_size, ETLFS_WINDOW0);
	ctl_set(windows, 3);
}

/* all that the vfs has built goes; the windows stay */
__attribute__((unused))
static void world_drop(void)
{
	int fd;

	for (fd = fd_next(0); fd >= 0; fd = fd_next(fd + 1)) {
		used[fd / 64] &= ~(1ull << (fd % 64));
		table[fd] = NULL;
	}
	while (blocks.next != &blocks)
		kfree(blocks.next + 1);
	memset(cache, 0, sizeof(cache));
	memset(slots, 0, sizeof(slots));
	memset(&extents, 0, sizeof(extents));
	pins = NULL;
	root_inode = vfs_cwd_inode = NULL;
	extent_span = 0;
	madvise((void *)UK_USF_BASE, FILES_LIMIT, MADV_DONTNEED);
}

__attribute__((unused))
static long blocks_count(void)
{
	struct block *b;
	long n = 0;

	for (b = blocks.next; b != &blocks; b = b->next)
		n++;
	return n;
}

/* one entry of a small image: parents first */
struct entry {
	const char *path;		/* no '/' in front; "" the root */
	u32 mode;
	const char *data;		/* file: bytes; link: target */
	u64 size;			/* of a file of 'I' without data */
};

static int depth(const char *path)
{
	int n = *path != 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

static size_t parent_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static const struct entry *build_list;

/* what layers were built of, in the order of their nodes */
static struct {
	const struct entry *list;
	int order[64];
	u32 n, first;
} built[UK_LAYERS];

/* breadth first, then by parent, then by name */
static int build_order(const void *a, const void *b)
{
	const struct entry *x = &build_list[*(const int *)a];
	const struct entry *y = &build_list[*(const int *)b];

	if (depth(x->path) != depth(y->path))
		return depth(x->path) - depth(y->path);
	return strcmp(x->path, y->path);
}

/* entry i's parent: of those before it, the one whose path leads to it */
static void image_child(struct etlfs_node *node, int layer, u32 i)
{
	const int *order = built[layer].order;
	const char *path = build_list[order[i]].path, *up;
	u32 k;

	for (k = 0; k < i; k++) {
		up = build_list[order[k]].path;
		if (strlen(up) == parent_len(path) &&
		    !memcmp(up, path, parent_len(path)))
			break;
	}
	node[i].parent = built[layer].first + (k == i ? 0 : k);
	if (k != i && node[k].size++ == 0)
		node[k].off = built[layer].first + i;
}

/* the number that lower layers have for a directory, or NODE_NONE */
static u32 image_below(int layer, const char *path)
{
	const struct entry *e;
	int k;
	u32 i;

	for (k = 0; k < layer; k++)
		for (i = 0; i < built[k].n; i++) {
			e = &built[k].list[built[k].order[i]];
			if (S_ISDIR(e->mode) && !strcmp(e->path, path))
				return built[k].first + i;
		}
	return NODE_NONE;
}

static int merge_order(const void *a, const void *b)
{
	return (int)((const struct etlfs_merge *)a)->below -
		(int)((const struct etlfs_merge *)b)->below;
}

/* text goes behind the names that are there; its offset */
static u64 image_text(char *names, u64 *used, const char *text)
{
	u64 at = *used;

	memcpy(names + at, text, strlen(text));
	*used += strlen(text);
	return at;
}

/* a file's bytes to `data` in the layer; how many */
static u64 image_data(int layer, const struct entry *e, u64 data)
{
	u64 size = e->data ? strlen(e->data) : e->size;

	memset((u8 *)LAYER_ADDR(layer) + data, 'I', size);
	if (e->data)
		memcpy((u8 *)LAYER_ADDR(layer) + data, e->data, size);
	return size;
}

/* the merges of a layer whose nodes are done; how many */
static u32 image_merges(int layer, const struct etlfs_node *node,
			struct etlfs_merge *merge)
{
	u32 i, n = 0;

	for (i = 0; i < built[layer].n; i++)
		if (node[i].below != NODE_NONE)
			merge[n++] = (struct etlfs_merge){
				node[i].below, built[layer].first + i,
			};
	qsort(merge, n, sizeof(*merge), merge_order);
	return n;
}

/* a layer's nodes, with their names and bytes; how many bytes of names */
static u64 image_nodes(int layer, struct etlfs_node *node, char *names)
{
	u64 data = UK_PAGE * 64, end = 0;
	const struct entry *e;
	const char *name;
	u32 i;

	for (i = 0; i < built[layer].n; i++, node++) {
		e = &build_list[built[layer].order[i]];
		name = strrchr(e->path, '/');
		name = name ? name + 1 : e->path;
		node->mode = e->mode;
		node->mtime = 1000000000;
		node->name_len = strlen(name);
		node->name_off = image_text(names, &end, name);
		node->below = S_ISDIR(e->mode) ? image_below(layer, e->path) :
			NODE_NONE;
		image_child(node - i, layer, i);
		if (S_ISLNK(e->mode)) {
			node->size = strlen(e->data);
			node->off = image_text(names, &end, e->data);
		} else if (S_ISREG(e->mode)) {
			node->off = data;
			node->size = image_data(layer, e, data);
			data += ROUND_UP(node->size, UK_PAGE);
		}
	}
	return end;
}

/*
 * Writes a layer's index and bytes to where it lies; lower ones were built
 * before.  strcmp on whole paths orders siblings by name, and directories of
 * one depth alike, as long as no name has a byte below '/': so they have none
 * here.
 */
static void layer_build(int layer, const struct entry *list, u32 n)
{
	struct etlfs_head *h = (void *)(LAYER_ADDR(layer) + INDEX_OFF);
	struct etlfs_node *node = (void *)(h + 1);
	struct etlfs_merge *merge = (void *)(node + n);
	char *names = (char *)(merge + n);	/* moved down afterwards */
	u64 names_len;
	u32 i;

	build_list = built[layer].list = list;
	built[layer].n = n;
	built[layer].first = layer ? built[layer - 1].first +
		built[layer - 1].n : 0;
	for (i = 0; i < n; i++)
		built[layer].order[i] = (int)i;
	qsort(built[layer].order, n, sizeof(int), build_order);
	memset((void *)LAYER_ADDR(layer), 0, IMAGE_SIZE);
	names_len = image_nodes(layer, node, names);
	*h = (struct etlfs_head){
		.magic = ETLFS_INDEX_MAGIC, .version = ETLFS_VERSION,
		.nodes = n, .first = built[layer].first,
		.names_len = names_len,
		.merges = image_merges(layer, node, merge),
	};
	h->names_off = sizeof(*h) + n * sizeof(*node) +
		h->merges * sizeof(*merge);
	memmove((u8 *)h + h->names_off, names, h->names_len);
	h->total_len = h->names_off + h->names_len;
}

/* as the tender says it: a layer is there, or is not */
static void layer_there(int layer, int there)
{
	struct uk_layer *l = (struct uk_layer *)&uk_ctl->layer[layer];

	*l = (struct uk_layer){ 0 };
	if (there)
		*l = (struct uk_layer){ LAYER_ADDR(layer), IMAGE_SIZE,
					INDEX_OFF };
}

/* an image of one layer */
__attribute__((unused))
static void image_build(const struct entry *list, u32 n)
{
	int i;

	layer_build(0, list, n);
	for (i = 0; i < UK_LAYERS; i++)
		layer_there(i, i == 0);
}
