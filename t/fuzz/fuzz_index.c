/*
 * fuzz_index.c - a hostile layer's index (etlfs/format.h) for the libOS
 *
 * The input lies over the index of one layer of a small, good image, from its
 * head on; its first byte says which, and how many layers are there at boot.
 * Each layer's window is read-only and ends with an unmapped page.  The libOS
 * boots its tree from that and then does to every name it finds what a
 * program may do, and again after the other layers came.  Whatever the index
 * says, there is an answer: no access outside the image, no endless walk, no
 * failed assertion.
 *
 * The seeds are the good indices.
 */
#include "t/unit/guestfs.h"
#include "t/fuzz/fuzz.h"

#define INPUT_MAX	16384

const unsigned fuzz_runs = 6000;

static const struct entry tree[] = {
	{ "", S_IFDIR | 0755, NULL, 0 },
	{ "dev", S_IFDIR | 0755, NULL, 0 },
	{ "lib", S_IFDIR | 0755, NULL, 0 },
	{ "lib/a", S_IFREG | 0644, "text", 0 },
	{ "lib/b", S_IFREG | 0644, NULL, 40000 },
	{ "lib/d", S_IFDIR | 0755, NULL, 0 },
	{ "lib/d/e", S_IFREG | 0644, "e", 0 },
	{ "lib/l", S_IFLNK | 0777, "d/e", 0 },
	{ "lib64", S_IFLNK | 0777, "/lib", 0 },
	{ "tmp", S_IFDIR | 0777, NULL, 0 },
};

static const struct entry packages[] = {
	{ "", S_IFDIR | 0755, NULL, 0 },
	{ "lib", S_IFDIR | 0755, NULL, 0 },
	{ "lib/a", S_IFREG | 0644, "other", 0 },
	{ "lib/d", S_IFDIR | 0755, NULL, 0 },
	{ "lib/d/f", S_IFREG | 0644, "f", 0 },
	{ "lib/n", S_IFDIR | 0755, NULL, 0 },
};

static const struct entry app[] = {
	{ "", S_IFDIR | 0755, NULL, 0 },
	{ "app", S_IFDIR | 0755, NULL, 0 },
	{ "app/l", S_IFLNK | 0777, "/lib/n/m", 0 },
	{ "lib", S_IFDIR | 0755, NULL, 0 },
	{ "lib/n", S_IFDIR | 0755, NULL, 0 },
	{ "lib/n/m", S_IFREG | 0644, "m", 0 },
};

static char names[4096], buf[65536];
static int steps;

static void one_name(const char *path)
{
	struct k_stat st;
	int err, fd;

	sys_lstat(path, &st);
	sys_readlink(path, buf, 100);
	if (sys_stat(path, &st) < 0)
		return;
	fd = (int)sys_open(path, O_RDONLY, 0);
	if (fd >= 0) {
		sys_read(fd, buf, sizeof(buf));
		sys_pread64(fd, buf, 100, st.size - 50);
		file_path(fd_get(fd), buf, 300);
		map_pin(fd_get(fd), 0, UK_PAGE, 0, &err);
		sys_close(fd);
	}
	fd = (int)sys_open(path, O_RDWR, 0);
	if (fd >= 0) {
		sys_pwrite64(fd, "w", 1, 10);
		sys_ftruncate(fd, 5);
		sys_close(fd);
	}
}

/* the directory at names[0 .. len) and all below it */
static void walk_tree(size_t len, int depth)
{
	static u8 list[8][512];
	struct k_dirent64 *d;
	int fd = (int)sys_open(len ? names : "/", O_RDONLY | O_DIRECTORY, 0);
	long n, at;

	if (fd < 0)
		return;
	while ((n = sys_getdents64(fd, list[depth], 512)) > 0) {
		for (at = 0; at < n; at += d->reclen) {
			d = (void *)(list[depth] + at);
			if (!strcmp(d->name, ".") || !strcmp(d->name, "..") ||
			    ++steps > 2000)
				continue;
			snprintf(names + len, 300, "/%s", d->name);
			one_name(names);
			if (depth < 7)
				walk_tree(strlen(names), depth + 1);
			names[len] = 0;
		}
	}
	sys_close(fd);
}

/* names go and come while the image below is what it is */
static void change(void)
{
	static const char *const path[] = { "/lib", "/lib/d", "/lib/a",
		"/lib/l", "/lib64/b", "/tmp/x", "/lib/d/e", "/dev" };
	u32 i, k;

	for (i = 0; i < ARRAY_LEN(path); i++) {
		k = (i * 5 + 3) % ARRAY_LEN(path);
		sys_rename(path[i], path[k]);
		sys_unlink(path[k]);
		sys_rmdir(path[k]);
		sys_mkdir(path[i], 0755);
		sys_link(path[k], path[i]);
	}
}

static void protect(int prot)
{
	int i;

	for (i = 0; i < UK_LAYERS; i++)
		if (mprotect((void *)LAYER_ADDR(i), IMAGE_SIZE, prot) < 0)
			abort();
}

static void there(int layers)
{
	int i;

	for (i = 0; i < UK_LAYERS; i++)
		layer_there(i, i < layers);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	static int ready;
	int layer = len ? data[0] % UK_LAYERS : 0;
	int first = len ? 1 + data[0] / UK_LAYERS % UK_LAYERS : 1;
	jmp_buf back;

	if (!ready++)
		windows_map();
	protect(PROT_READ | PROT_WRITE);
	layer_build(0, tree, ARRAY_LEN(tree));
	layer_build(1, packages, ARRAY_LEN(packages));
	layer_build(2, app, ARRAY_LEN(app));
	there(first);
	if (len > 1)
		memcpy((u8 *)LAYER_ADDR(layer) + INDEX_OFF, data + 1,
		       MIN(len - 1, INPUT_MAX));
	protect(PROT_READ);
	boot_failed = &back;
	steps = 0;
	if (setjmp(back) == 0) {
		vfs_init();
		boot_failed = NULL;
		walk_tree(0, 0);
		change();
		there(UK_LAYERS);
		vfs_attach();
		walk_tree(0, 0);
		change();
		walk_tree(0, 0);
	}
	boot_failed = NULL;
	world_drop();
	return 0;
}

/* each layer's good index, which an empty input leaves as it is */
size_t fuzz_seed(unsigned n, uint8_t *out)
{
	const struct etlfs_head *h;

	if (n >= UK_LAYERS * UK_LAYERS)
		return 0;
	LLVMFuzzerTestOneInput(NULL, 0);
	h = (void *)(LAYER_ADDR(n % UK_LAYERS) + INDEX_OFF);
	out[0] = (u8)n;
	memcpy(out + 1, h, h->total_len);
	return h->total_len + 1;
}
