/*
 * fuzz_index.c - a hostile image index (etlfs/format.h) for the libOS
 *
 * The input lies over the index of a small, good image, from its head on;
 * the image window is read-only and ends with an unmapped page.  The libOS
 * boots its tree from that and then does to every name it finds what a
 * program may do.  Whatever the index says, there is an answer: no access
 * outside the image, no endless walk, no failed assertion.
 *
 * With -fsanitize=fuzzer it is libFuzzer's.  Alone (-DFUZZ_MAIN) it runs the
 * files it is given, or else RUNS mutations of the good index from a fixed
 * seed, and says so in TAP.
 */
#include "t/unit/guestfs.h"

#define INPUT_MAX	16384

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

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
		file_map(fd_get(fd), 0, UK_PAGE, 0, &err);
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
	if (mprotect((void *)UK_IMAGE_BASE, IMAGE_SIZE, prot) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	static int ready;
	jmp_buf back;

	if (!ready++)
		windows_map();
	protect(PROT_READ | PROT_WRITE);
	image_build(tree, ARRAY_LEN(tree));
	if (len)
		memcpy((u8 *)UK_IMAGE_BASE + INDEX_OFF, data,
		       MIN(len, INPUT_MAX));
	protect(PROT_READ);
	boot_failed = &back;
	steps = 0;
	if (setjmp(back) == 0) {
		vfs_init();
		boot_failed = NULL;
		walk_tree(0, 0);
		change();
		walk_tree(0, 0);
	}
	boot_failed = NULL;
	world_drop();
	return 0;
}

#ifdef FUZZ_MAIN
#define RUNS	3000

static void run_file(const char *path)
{
	static u8 data[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
}

static u64 seed = 1;

static u32 rnd(u32 n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(seed >> 33) % n;
}

/* a few fields of the good index with other values, often near the edges */
static void run_mutation(void)
{
	static const u64 values[] = { 0, 1, 2, 3, 9, 10, 11, 255, 256, 4096,
		0x4000, 0x8000, 0xa000, 0xffff, 0x10000, 0xfffff, 0x100000,
		0x7fffffff, 0x80000000, 0xffffffff, ~0ull >> 1, ~0ull };
	struct etlfs_head *h = (void *)(UK_IMAGE_BASE + INDEX_OFF);
	static u8 data[INPUT_MAX];
	u32 n = 1 + rnd(4), size, at, k;
	u64 v;

	size = (u32)h->total_len;
	memcpy(data, h, size);
	while (n--) {
		v = values[rnd(ARRAY_LEN(values))];
		k = 1u << rnd(4);
		at = rnd(size - 8) & ~(k - 1);
		memcpy(data + at, &v, k);
	}
	LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		run_file(argv[i]);
	if (argc > 1)
		return 0;
	for (i = 0; i < RUNS; i++) {
		/* mutations start from the good one, which this lays out */
		LLVMFuzzerTestOneInput(NULL, 0);
		run_mutation();
	}
	printf("ok 1 - %d damaged indexes, each with an answer\n1..1\n", RUNS);
	return 0;
}
#endif
