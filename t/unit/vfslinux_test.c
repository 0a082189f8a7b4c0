/*
 * vfslinux_test.c - the libOS's files against Linux's
 *
 * The same system calls, drawn at random from a fixed seed, go to Linux in a
 * temporary folder and to the libOS (guestfs.h) in a directory of a small
 * image with the same files; answers, bytes, names and attributes must agree
 * after every call.  SEED and STEPS in the environment choose others,
 * TRACE prints each.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "t/unit/guestfs.h"

#define FDS	6
#define HOME	"x/y/z/w/"

static const struct entry tree[] = {
	{ "", S_IFDIR | 0755, NULL, 0 },
	{ "x", S_IFDIR | 0755, NULL, 0 },
	{ "x/y", S_IFDIR | 0755, NULL, 0 },
	{ "x/y/z", S_IFDIR | 0755, NULL, 0 },
	{ "x/y/z/w", S_IFDIR | 0755, NULL, 0 },
	{ HOME "i", S_IFDIR | 0755, NULL, 0 },
	{ HOME "i/f", S_IFREG | 0644, "an image file\n", 0 },
	{ HOME "i/g", S_IFREG | 0755, NULL, 70000 },
	{ HOME "i/lnk", S_IFLNK | 0777, "sub/../f", 0 },
	{ HOME "i/sub", S_IFDIR | 0755, NULL, 0 },
	{ HOME "i/sub/k", S_IFREG | 0600, NULL, 20000 },
	{ HOME "i/sub/none", S_IFLNK | 0777, "nosuch", 0 },
};

static char long_name[300], limit_name[256];
static const char *const paths[] = {
	"a", "b", "a/", "d", "d/", "d/x", "d/y", "d/s", "d/s/t", "e", "e/x",
	"l", "l/x", "l/", "d/l2", "./a", "d/../b", "d/s/..", "i", "i/f", "i/g",
	"i/sub", "i/sub/k", "i/lnk", "i/sub/none", "a/.", "d/.", "l/..", "",
	".", "d//x", "i/sub/", "e/i", limit_name, long_name, "d/s/t/u",
};
static const char *const targets[] = {
	"a", "d", "d/x", "../b", "l", "nosuch", "d/s/", ".", "i/sub", "",
};

static struct { int here, there; } fds[FDS];
static u64 seed = 1;
static char call[400];
static long here, there;

static u32 rnd(u32 n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(seed >> 33) % n;
}

static const char *path(void)
{
	return paths[rnd(ARRAY_LEN(paths))];
}

static long raw(long r)
{
	return r < 0 ? -errno : r;
}

#define BOTH(linux, libos) do { \
	there = raw(linux); \
	here = (libos); \
} while (0)

static void op_open(void)
{
	static const int acc[] = { O_RDONLY, O_WRONLY, O_RDWR };
	static const int extra[] = { O_CREAT, O_EXCL, O_TRUNC, O_APPEND,
		O_DIRECTORY, O_NOFOLLOW, O_PATH, O_CREAT, O_CLOEXEC };
	int flags = acc[rnd(3)], i, n = rnd(4), k = rnd(FDS);
	const char *p = path();

	while (n--)
		flags |= extra[rnd(ARRAY_LEN(extra))];
	if (rnd(30) == 0)
		flags |= O_TMPFILE;
	for (i = 0; i < FDS && fds[k].here >= 0; i++)
		k = (k + 1) % FDS;
	if (fds[k].here >= 0)
		return;
	sprintf(call, "open(\"%.20s\", 0%o)", p, flags);
	BOTH(syscall(SYS_open, p, flags, 0644), sys_open(p, flags, 0644));
	fds[k].here = here >= 0 ? here : -1;
	fds[k].there = there >= 0 ? there : -1;
	if (here >= 0 && there >= 0)
		here = there = 0;
}

static void op_close(void)
{
	int k = rnd(FDS);

	sprintf(call, "close(#%d)", k);
	BOTH(syscall(SYS_close, fds[k].there), sys_close(fds[k].here));
	fds[k].here = fds[k].there = -1;
}

static u8 data[200000], got[200000], want[200000];

static void op_io(void)
{
	int k = rnd(FDS);
	u64 off = rnd(3) ? rnd(100) : rnd(90000);
	size_t len = rnd(3) ? rnd(50) : rnd(60000);
	int h = fds[k].here, t = fds[k].there;

	sprintf(call, "io(#%d, %zu, %lu)", k, len, off);
	data[0] = rnd(256);
	switch (rnd(6)) {
	case 0:
		BOTH(syscall(SYS_write, t, data, len), sys_write(h, data, len));
		break;
	case 1:
		BOTH(syscall(SYS_pwrite64, t, data, len, off),
		     sys_pwrite64(h, data, len, off));
		break;
	case 2:
		BOTH(syscall(SYS_read, t, want, len), sys_read(h, got, len));
		if (here > 0 && here == there && memcmp(got, want, here))
			here = -9999;
		break;
	case 3:
		BOTH(syscall(SYS_pread64, t, want, len, off),
		     sys_pread64(h, got, len, off));
		if (here > 0 && here == there && memcmp(got, want, here))
			here = -9999;
		break;
	case 4: {
		int whence = rnd(5) % 3;

		/* a directory's offsets are its file system's own */
		if (syscall(SYS_lseek, t, 0, SEEK_CUR) < 0)
			break;
		if (fd_get(h) && S_ISDIR(fd_get(h)->mode))
			break;
		BOTH(syscall(SYS_lseek, t, off, whence),
		     sys_lseek(h, off, whence));
		break;
	}
	case 5:
		BOTH(syscall(SYS_ftruncate, t, off), sys_ftruncate(h, off));
		break;
	}
}

static void op_space(void)
{
	int k = rnd(FDS), j = rnd(FDS);
	s64 off = rnd(90000), len = rnd(50000), to = rnd(90000), to2 = to;
	s64 off2 = off;
	static const int modes[] = { 0, 1, 3, 16, 17 };
	int mode = modes[rnd(5)];

	if (rnd(2)) {
		sprintf(call, "fallocate(#%d, %d, %ld, %ld)", k, mode, off,
			len);
		there = raw(syscall(SYS_fallocate, fds[k].there, mode, off,
				    len));
		here = there;		/* not every file system has it */
		if (there != -EOPNOTSUPP)
			here = sys_fallocate(fds[k].here, mode, off, len);
		return;
	}
	sprintf(call, "copy_file_range(#%d, %ld, #%d, %ld, %ld)", k, off, j,
		to, len);
	BOTH(syscall(SYS_copy_file_range, fds[k].there, &off, fds[j].there,
		     &to, len, 0),
	     sys_copy_file_range(fds[k].here, &off2, fds[j].here, &to2, len,
				 0));
	if (off != off2 || to != to2)
		here = -9999;
}

static void op_name(void)
{
	const char *p = path(), *q = path(), *t = targets[rnd(10)];
	int flags = rnd(4) ? 0 : rnd(4);

	switch (rnd(9)) {
	case 0:
		sprintf(call, "mkdir(\"%.20s\")", p);
		BOTH(syscall(SYS_mkdir, p, 0755), sys_mkdir(p, 0755));
		break;
	case 1:
		sprintf(call, "rmdir(\"%.20s\")", p);
		BOTH(syscall(SYS_rmdir, p), sys_rmdir(p));
		break;
	case 2:
		sprintf(call, "unlink(\"%.20s\")", p);
		BOTH(syscall(SYS_unlink, p), sys_unlink(p));
		break;
	case 3: case 4: case 5:
		sprintf(call, "renameat2(\"%.20s\", \"%.20s\", %d)", p, q,
			flags);
		BOTH(syscall(SYS_renameat2, AT_FDCWD, p, AT_FDCWD, q, flags),
		     sys_renameat2(AT_FDCWD, p, AT_FDCWD, q, flags));
		/* which of two reasons comes first */
		if (here == -ENAMETOOLONG && there < 0)
			here = there;
		break;
	case 6:
		flags = rnd(2) ? AT_SYMLINK_FOLLOW : 0;
		sprintf(call, "linkat(\"%.20s\", \"%.20s\", %d)", p, q, flags);
		BOTH(syscall(SYS_linkat, AT_FDCWD, p, AT_FDCWD, q, flags),
		     sys_linkat(AT_FDCWD, p, AT_FDCWD, q, flags));
		break;
	case 7:
		sprintf(call, "symlink(\"%s\", \"%.20s\")", t, p);
		BOTH(syscall(SYS_symlink, t, p), sys_symlink(t, p));
		break;
	case 8:
		sprintf(call, "truncate(\"%.20s\")", p);
		BOTH(syscall(SYS_truncate, p, 30000), sys_truncate(p, 30000));
		break;
	}
}

static int same_stat(const struct k_stat *a, const struct k_stat *b)
{
	return a->mode == b->mode && a->nlink == b->nlink &&
		(S_ISDIR(a->mode) || a->size == b->size);
}

static void op_look(void)
{
	struct k_stat a = { 0 }, b = { 0 };
	const char *p = path();
	int k = rnd(FDS), mode = rnd(8), len = rnd(20);

	sprintf(call, "look(\"%.20s\" #%d)", p, k);
	switch (rnd(7)) {
	case 0:
		BOTH(syscall(SYS_stat, p, &a), sys_stat(p, &b));
		break;
	case 1:
		BOTH(syscall(SYS_lstat, p, &a), sys_lstat(p, &b));
		break;
	case 2:
		BOTH(syscall(SYS_fstat, fds[k].there, &a),
		     sys_fstat(fds[k].here, &b));
		break;
	case 3:
		BOTH(syscall(SYS_access, p, mode), sys_access(p, mode));
		if (there == -EACCES && geteuid() != 0)
			here = there;
		break;
	case 4:
		BOTH(syscall(SYS_readlink, p, want, len),
		     sys_readlink(p, (char *)got, len));
		if (here > 0 && here == there && memcmp(got, want, here))
			here = -9999;
		break;
	case 5:
		BOTH(syscall(SYS_chmod, p, 0700 | mode),
		     sys_chmod(p, 0700 | mode));
		break;
	case 6:
		BOTH(syscall(SYS_fcntl, fds[k].there, F_GETFL),
		     sys_fcntl(fds[k].here, F_GETFL, 0));
		break;
	}
	if (here == 0 && there == 0 && !same_stat(&a, &b)) {
		sprintf(call + strlen(call), " mode %o/%o nlink %lu/%lu size "
			"%ld/%ld", a.mode, b.mode, a.nlink, b.nlink, a.size,
			b.size);
		here = -9999;
	}
}

/* names in a directory, sorted, each with its type; 0 or -errno */
static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static long names_of(int fd, int libos, char list[][270])
{
	static char buf[4096];
	struct k_dirent64 *d;
	long n, at, count = 0;

	for (;;) {
		n = libos ? sys_getdents64(fd, buf, 600) :
			raw(syscall(SYS_getdents64, fd, buf, 4096));
		if (n <= 0)
			break;
		for (at = 0; at < n && count < 64; at += d->reclen) {
			d = (void *)(buf + at);
			sprintf(list[count++], "%s %d", d->name, d->type);
		}
	}
	qsort(list, count, sizeof(list[0]), by_text);
	return n < 0 ? n : count;
}

static void op_list(void)
{
	static char a[64][270], b[64][270];
	const char *p = path();
	int h, t, i;

	sprintf(call, "list(\"%.20s\")", p);
	t = (int)raw(syscall(SYS_open, p, O_RDONLY | O_DIRECTORY));
	h = (int)sys_open(p, O_RDONLY | O_DIRECTORY, 0);
	here = h;
	there = t;
	if (h >= 0 && t >= 0) {
		there = names_of(t, 0, a);
		here = names_of(h, 1, b);
		for (i = 0; i < here && here == there; i++)
			if (strcmp(a[i], b[i])) {
				sprintf(call + strlen(call), " %.20s/%.20s",
					a[i], b[i]);
				here = -9999;
			}
	}
	if (t >= 0)
		syscall(SYS_close, t);
	if (h >= 0)
		sys_close(h);
}

/* everything below the directory goes; how many names did not */
static int remove_all(const char *dir)
{
	static char list[64][270];
	int fd = (int)sys_open(dir, O_RDONLY | O_DIRECTORY, 0), left = 0;
	char (*mine)[270], path[1200];
	long n, i;

	n = names_of(fd, 1, list);
	sys_close(fd);
	mine = malloc(sizeof(list));
	memcpy(mine, list, sizeof(list));
	for (i = 0; i < n; i++) {
		*strrchr(mine[i], ' ') = 0;
		if (!strcmp(mine[i], ".") || !strcmp(mine[i], ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, mine[i]);
		if (sys_unlink(path) == 0)
			continue;
		left += remove_all(path);
		left += sys_rmdir(path) < 0;
	}
	free(mine);
	return left;
}

/* what a run leaves when its files are closed and removed: nothing */
static int nothing_left(void)
{
	long i, left;

	for (i = 0; i < FDS; i++)
		if (fds[i].here >= 0)
			sys_close(fds[i].here);
	/* a link to "../b" led out of the working directory */
	left = remove_all("/x");
	if (left || extent_used() || blocks_count() > 100)
		printf("# %ld names, %u extents, %ld objects\n", left,
		       extent_used(), blocks_count());
	return !left && !extent_used() && blocks_count() <= 100;
}

/* the image's files, for Linux */
static void populate(void)
{
	char *dir = getenv("TMPDIR"), tmp[300];
	u32 i;
	int fd;

	snprintf(tmp, sizeof(tmp), "%s/vfs.XXXXXX", dir ? dir : "/tmp");
	if (!mkdtemp(tmp) || chdir(tmp) < 0) {
		printf("1..0 # SKIP no temporary folder\n");
		exit(0);
	}
	for (i = 1; i < ARRAY_LEN(tree); i++) {
		const struct entry *e = &tree[i];

		if (S_ISDIR(e->mode)) {
			syscall(SYS_mkdir, e->path, 0755);
		} else if (S_ISLNK(e->mode)) {
			syscall(SYS_symlink, e->data, e->path);
		} else {
			fd = (int)syscall(SYS_open, e->path,
					  O_CREAT | O_WRONLY, e->mode & 07777);
			memset(data, 'I', e->size);
			syscall(SYS_write, fd, e->data ? (void *)e->data : data,
				e->data ? strlen(e->data) : e->size);
			syscall(SYS_fchmod, fd, e->mode & 07777);
			syscall(SYS_close, fd);
		}
	}
	if (chdir("x/y/z/w") < 0)
		exit(1);
}

static void clean(void)
{
	char cmd[400], cwd[300];

	if (chdir("../../../..") < 0 || !getcwd(cwd, sizeof(cwd)) ||
	    !strstr(cwd, "/vfs."))
		return;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", cwd);
	if (system(cmd) != 0)
		fprintf(stderr, "cannot remove '%s'\n", cwd);
}

int main(void)
{
	static void (*const ops[])(void) = {
		op_open, op_close, op_io, op_io, op_io, op_space, op_name,
		op_name, op_name, op_look, op_look, op_list,
	};
	char *env = getenv("SEED"), *count = getenv("STEPS");
	int good;
	long i, steps = count ? atol(count) : 60000;

	seed = env ? strtoul(env, NULL, 0) : 1;
	memset(long_name, 'n', 256);
	memset(limit_name, 'm', 255);
	windows_map();
	populate();
	image_build(tree, ARRAY_LEN(tree));
	vfs_init();
	vfs_umask = 022;
	syscall(SYS_umask, 022);
	sys_chdir("/x/y/z/w");
	for (i = 0; i < FDS; i++)
		fds[i].here = fds[i].there = -1;
	for (i = 0; i < (long)sizeof(data); i++)
		data[i] = (u8)(i * 7 + i / 251);
	for (i = 0; i < steps; i++) {
		here = there = 0;
		ops[rnd(ARRAY_LEN(ops))]();
		if (getenv("TRACE"))
			printf("# %ld: %s: %ld %ld\n", i, call, here, there);
		if (here != there)
			break;
	}
	clean();
	printf("%sok 1 - %ld random calls answer as Linux does\n",
	       i < steps ? "not " : "", steps);
	if (i < steps)
		printf("# step %ld: %s: libOS %ld, Linux %ld\n", i, call,
		       here, there);
	good = nothing_left();
	printf("%sok 2 - nothing is left when all is removed\n1..2\n",
	       good ? "" : "not ");
	return i < steps || !good;
}
