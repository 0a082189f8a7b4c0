/*
 * layers_test.c - the union of an image's layers, and layers that come while
 * the libOS runs
 */
#include "t/unit/guestfs.h"
#include "t/unit/tap.h"

static const struct entry runtime[] = {
	{ "", S_IFDIR | 0755, NULL, 0 },
	{ "lib", S_IFDIR | 0755, NULL, 0 },
	{ "lib/a", S_IFREG | 0644, "runtime", 0 },
	{ "lib/b", S_IFREG | 0644, "runtime", 0 },
	{ "lib/gone", S_IFREG | 0644, "runtime", 0 },
	{ "lib/sub", S_IFDIR | 0755, NULL, 0 },
	{ "lib/sub/x", S_IFREG | 0644, "runtime", 0 },
	{ "tmp", S_IFDIR | 0777, NULL, 0 },
	{ "usetl", S_IFDIR | 0755, NULL, 0 },
};

static const struct entry packages[] = {
	{ "", S_IFDIR | 0755, NULL, 0 },
	{ "lib", S_IFDIR | 0755, NULL, 0 },
	{ "lib/b", S_IFREG | 0644, "packages", 0 },
	{ "lib/c", S_IFREG | 0644, "packages", 0 },
	{ "lib/gone", S_IFREG | 0644, "packages", 0 },
	{ "lib/made", S_IFREG | 0644, "packages", 0 },
	{ "lib/more", S_IFDIR | 0755, NULL, 0 },
	{ "lib/more/y", S_IFREG | 0644, "packages", 0 },
	{ "lib/sub", S_IFDIR | 0755, NULL, 0 },
	{ "lib/sub/y", S_IFREG | 0644, "packages", 0 },
};

static const struct entry app[] = {
	{ "", S_IFDIR | 0755, NULL, 0 },
	{ "app", S_IFDIR | 0755, NULL, 0 },
	{ "app/app", S_IFREG | 0644, "app", 0 },
	{ "app/lib", S_IFLNK | 0777, "../lib/c", 0 },
	{ "lib", S_IFDIR | 0755, NULL, 0 },
	{ "lib/b", S_IFREG | 0644, "app", 0 },
	{ "lib/more", S_IFDIR | 0755, NULL, 0 },
	{ "lib/more/z", S_IFREG | 0644, "app", 0 },
	{ "lib/sub", S_IFDIR | 0755, NULL, 0 },
	{ "lib/sub/x", S_IFREG | 0644, "app", 0 },
};

static char buf[4096];

static void is(s64 got, s64 want, const char *what)
{
	ok(got == want, "%s", what);
	if (got != want)
		printf("# got %ld, want %ld\n", got, want);
}

static void has(const char *path, const char *want)
{
	int fd = (int)sys_open(path, O_RDONLY, 0);
	long n;

	memset(buf, 0, sizeof(buf));
	n = fd < 0 ? fd : sys_read(fd, buf, sizeof(buf) - 1);
	if (n < 0)
		snprintf(buf, sizeof(buf), "%ld", n);
	if (fd >= 0)
		sys_close(fd);
	ok(!strcmp(buf, want), "%s: what is read is '%s'", path, want);
	if (strcmp(buf, want))
		printf("# got '%s'\n", buf);
}

/* a directory's names in the order in which they come, each with a blank */
static void lists(const char *path, const char *want, const char *what)
{
	static u8 list[4096];
	int fd = (int)sys_open(path, O_RDONLY | O_DIRECTORY, 0);
	struct k_dirent64 *d;
	struct k_stat st;
	char *at = buf, name[300];
	long n, k;
	int same = 1;

	*at = 0;
	while ((n = sys_getdents64(fd, list, 200)) > 0)
		for (k = 0; k < n; k += d->reclen) {
			d = (void *)(list + k);
			if (d->name[0] == '.')
				continue;
			at += sprintf(at, "%s ", d->name);
			snprintf(name, sizeof(name), "%s/%s", path, d->name);
			same &= sys_lstat(name, &st) == 0 && st.ino == d->ino;
		}
	sys_close(fd);
	ok(!strcmp(buf, want) && same, "%s: %s", path, what);
	if (strcmp(buf, want))
		printf("# got '%s', want '%s'\n", buf, want);
}

static u64 ino(const char *path)
{
	struct k_stat st;

	return sys_lstat(path, &st) == 0 ? st.ino : 0;
}

static u32 links(const char *path)
{
	struct k_stat st;

	return sys_lstat(path, &st) == 0 ? (u32)st.nlink : 0;
}

static void there(int layers)
{
	int i;

	for (i = 0; i < UK_LAYERS; i++)
		layer_there(i, i < layers);
}

static void boot(int layers)
{
	world_drop();
	there(layers);
	vfs_init();
}

static void test_all(void)
{
	boot(3);
	has("/lib/a", "runtime");
	has("/lib/b", "app");
	has("/lib/c", "packages");
	has("/lib/sub/x", "app");
	has("/lib/sub/y", "packages");
	has("/lib/more/y", "packages");
	has("/lib/more/z", "app");
	has("/app/app", "app");
	has("/app/lib", "packages");
	has("/lib/sub/none", "-2");
	lists("/lib", "a b gone sub c made more ", "each name once");
	lists("/lib/sub", "x y ", "of three layers");
	lists("/lib/more", "y z ", "of the upper two");
	is(links("/lib"), 4, "subdirectories of all layers are counted");
	is(sys_chdir("/lib/more"), 0, "into a directory of two layers");
	ok(vfs_cwd(buf, sizeof(buf)) == 9 && !memcmp(buf, "/lib/more", 9),
	   "the working directory has its path");
	has("../sub/../b", "app");
	is(sys_chdir("/"), 0, "and out of it");
}

static void test_changes(void)
{
	boot(3);
	is(sys_unlink("/lib/b"), 0, "a file of three layers is removed");
	has("/lib/b", "-2");
	lists("/lib", "a gone sub c made more ", "it is in none of them");
	is(sys_unlink("/lib/sub/x"), 0, "a directory is emptied: 1");
	is(sys_rmdir("/lib/sub"), -ENOTEMPTY, "not yet empty");
	is(sys_unlink("/lib/sub/y"), 0, "a directory is emptied: 2");
	is(sys_rmdir("/lib/sub"), 0, "a directory of three layers is removed");
	is(links("/lib"), 3, "it is not counted any more");
	is(sys_rename("/lib/more", "/moved"), 0, "one of two layers moves");
	has("/moved/y", "packages");
	has("/moved/z", "app");
	has("/lib/more/y", "-2");
}

/* the program goes on with what it had when upper layers come */
static void test_attach(void)
{
	u64 a, sub;
	int dir, fd;
	static u8 list[4096];
	struct k_dirent64 *d = (void *)list;

	boot(1);
	a = ino("/lib/a");
	sub = ino("/lib/sub");
	has("/lib/c", "-2");
	has("/app/app", "-2");
	is(links("/lib"), 3, "one subdirectory, by now");
	is(sys_unlink("/lib/gone"), 0, "a file of the runtime is removed");
	fd = (int)sys_open("/lib/made", O_RDWR | O_CREAT, 0644);
	is(sys_write(fd, "program", 7), 7, "the program makes a file");
	sys_close(fd);
	fd = (int)sys_open("/lib/b", O_RDONLY, 0);
	dir = (int)sys_open("/lib", O_RDONLY | O_DIRECTORY, 0);
	ok(sys_getdents64(dir, list, 100) > 0, "it reads half of a directory");

	there(2);
	is(vfs_attach(), 0, "the packages come");
	has("/lib/c", "packages");
	has("/lib/b", "packages");
	has("/lib/gone", "packages");
	has("/lib/made", "program");
	has("/lib/sub/y", "packages");
	is(links("/lib"), 4, "subdirectories are counted anew");
	there(3);
	is(vfs_attach(), 0, "the app comes");
	is(vfs_attach(), 0, "nothing comes");
	has("/app/app", "app");
	has("/lib/b", "app");
	has("/lib/more/z", "app");
	ok(a == ino("/lib/a") && sub == ino("/lib/sub"),
	   "what was there has its inode number");
	is(sys_pread64(fd, buf, 7, 0), 7, "an open file stays open");
	ok(!memcmp(buf, "runtime", 7), "an open file stays what it was");
	sys_close(fd);
	lists("/lib", "a b gone sub c more made ", "no name twice");
	while (sys_getdents64(dir, list, 32) > 0 && strcmp(d->name, "made"))
		;
	ok(!strcmp(d->name, "made"), "who reads a directory comes to its end");
	sys_close(dir);
}

static struct etlfs_head *head(int layer)
{
	return (void *)(LAYER_ADDR(layer) + INDEX_OFF);
}

static struct etlfs_node *node(int layer, const char *path)
{
	u32 i;

	for (i = 0; i < built[layer].n; i++)
		if (!strcmp(built[layer].list[built[layer].order[i]].path,
			    path))
			break;
	return (struct etlfs_node *)(head(layer) + 1) + i;
}

/* of a damaged layer nothing is taken up; what is below it stays */
static void test_damaged(void)
{
	boot(1);
	there(2);
	head(1)->first++;
	is(vfs_attach(), -EINVAL, "a layer for other lower ones is refused");
	head(1)->first--;
	head(1)->merges = 1u << 31;
	is(vfs_attach(), -EINVAL, "a layer whose tables do not fit, too");
	has("/lib/a", "runtime");
	has("/lib/c", "-2");
	layer_build(1, packages, ARRAY_LEN(packages));
	is(vfs_attach(), 0, "a whole one is taken up");

	/* a directory inside itself, one that is another's, and one of none */
	boot(2);
	node(1, "lib/sub")->below = 0;
	has("/lib/sub/x", "-5");
	node(1, "lib/sub")->below = ino("/tmp") - 2;
	has("/lib/sub/x", "-5");
	node(1, "lib/sub")->below = built[1].first + 1;
	has("/lib/sub/x", "-5");
	has("/lib/c", "packages");
	lists("/lib", "a b gone c made more ",
	      "a damaged directory is left out");
	boot(3);
	node(2, "lib")->below = NODE_NONE;
	has("/lib/more/z", "-5");
	layer_build(1, packages, ARRAY_LEN(packages));
	layer_build(2, app, ARRAY_LEN(app));
}

/* a layer above one that is not there */
static void test_gap(void)
{
	struct uk_layer *l = (struct uk_layer *)uk_ctl->layer;

	layer_build(1, app, ARRAY_LEN(app));
	boot(1);
	l[2] = (struct uk_layer){ LAYER_ADDR(1), IMAGE_SIZE, INDEX_OFF };
	is(vfs_attach(), 0, "an app without packages comes");
	has("/app/app", "app");
	has("/lib/a", "runtime");
	has("/lib/c", "-2");
	/* one that would do if there were none above it */
	head(2)->first = built[0].n;
	layer_there(2, 1);
	l[1] = l[2];
	is(vfs_attach(), -EINVAL, "none comes below one that is there");
	layer_build(1, packages, ARRAY_LEN(packages));
	layer_build(2, app, ARRAY_LEN(app));
}

int main(void)
{
	windows_map();
	layer_build(0, runtime, ARRAY_LEN(runtime));
	layer_build(1, packages, ARRAY_LEN(packages));
	layer_build(2, app, ARRAY_LEN(app));
	test_all();
	test_changes();
	test_attach();
	test_damaged();
	test_gap();
	world_drop();
	return plan();
}
