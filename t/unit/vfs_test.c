/*
 * vfs_test.c - the libOS's files, natively (guestfs.h)
 *
 * First what only the libOS has: the image below, copy-on-write, limits,
 * mappings in place, extents for the host, bodies.  t/unit/vfslinux_test.c
 * compares the rest with Linux itself.
 */
#include "t/unit/tap.h"
#include "t/unit/guestfs.h"

static void is(long got, long want, const char *name)
{
	ok(got == want, "%s", name);
	if (got != want)
		printf("# got %ld, want %ld\n", got, want);
}

static const struct entry tree[] = {
	{ "", S_IFDIR | 0755, NULL, 0 },
	{ "lib", S_IFDIR | 0755, NULL, 0 },
	{ "lib/a.py", S_IFREG | 0644, "print(1)\n", 0 },
	{ "lib/big", S_IFREG | 0755, NULL, 100000 },
	{ "lib/deep", S_IFDIR | 0755, NULL, 0 },
	{ "lib/deep/x", S_IFREG | 0644, "x", 0 },
	{ "lib/link", S_IFLNK | 0777, "a.py", 0 },
	{ "lib/loop", S_IFLNK | 0777, "loop", 0 },
	{ "lib/up", S_IFLNK | 0777, "../lib/deep/", 0 },
	{ "lib64", S_IFLNK | 0777, "/lib", 0 },
	{ "page", S_IFREG | 0644, NULL, 4096 },
};

static char buf[1 << 20];

static int fd_of(const char *path, int flags)
{
	return sys_open(path, flags, 0644);
}

static long content(const char *path)
{
	int fd = fd_of(path, O_RDONLY);
	long n;

	if (fd < 0)
		return fd;
	memset(buf, 0, sizeof(buf));
	n = sys_read(fd, buf, sizeof(buf) - 1);
	sys_close(fd);
	return n;
}

static u64 size_of(const char *path)
{
	struct k_stat st;

	return sys_stat(path, &st) == 0 ? (u64)st.size : ~0ull;
}

static void test_image(void)
{
	struct k_stat st, st2;

	is(content("/lib/a.py"), 9, "an image file is read");
	ok(!strcmp(buf, "print(1)\n"), "an image file's bytes are right");
	is(content("/lib64/link"), 9, "through links of the image");
	is(content("/lib/up/x"), 1, "through a link with '..' and '/'");
	is(content("/lib/loop"), -ELOOP, "a loop of links is ELOOP");
	is(content("/lib/none"), -ENOENT, "a missing name is ENOENT");
	is(content("/lib/a.py/x"), -ENOTDIR, "a file is no directory");
	is(content("/lib/a.py/"), -ENOTDIR,
	   "a file with a slash behind it is no directory");
	sys_stat("/lib", &st);
	is(st.nlink, 3, "a directory's links: 2 and its subdirectories");
	sys_stat("/lib/deep/..", &st2);
	is(st2.ino, st.ino, "'..' is the parent");
	sys_stat("/", &st);
	sys_stat("/..", &st2);
	is(st2.ino, st.ino, "'/..' is '/'");
	sys_stat("/lib/big", &st);
	is(st.size, 100000, "st_size");
	is(st.blocks, 196, "st_blocks");
	is(st.mtim.sec, 1000000000, "st_mtime");
}

static void test_cow(void)
{
	struct k_stat st;
	u32 before = extent_used();
	int fd = fd_of("/lib/big", O_RDWR), i, good = 1;

	is(sys_pwrite64(fd, "W", 1, 50000), 1, "an image file is written");
	is(extent_used() - before, 1, "one extent was copied");
	is(sys_pread64(fd, buf, 100000, 0), 100000,
	   "a written image file is read");
	for (i = 0; i < 100000; i++)
		good &= buf[i] == (i == 50000 ? 'W' : 'I');
	ok(good, "the rest of a written image file is the image's");
	sys_fstat(fd, &st);
	is(st.blocks, 196 - 32 + 32, "st_blocks counts a copied extent once");
	is(sys_ftruncate(fd, 60000), 0, "an image file is truncated");
	is(sys_ftruncate(fd, 100000), 0, "an image file is grown");
	sys_pread64(fd, buf, 100000, 0);
	for (good = 1, i = 60000; i < 100000; i++)
		good &= buf[i] == 0;
	ok(good && buf[59999] == 'I' && buf[50000] == 'W',
	   "what was cut off stays gone");
	is(sys_lseek(fd, 0, SEEK_HOLE), 65536, "SEEK_HOLE finds the end");
	is(sys_pwrite64(fd, "Z", 1, 99999), 1,
	   "an image file is written in its hole");
	is(sys_lseek(fd, 70000, SEEK_DATA), 98304,
	   "SEEK_DATA finds what was written in a hole");
	sys_ftruncate(fd, 0);
	is(extent_used(), before, "truncated to nothing, all extents are free");
	sys_close(fd);
	is(sys_unlink("/lib/big"), 0, "an image file is removed");
	is(content("/lib/big"), -ENOENT, "a removed image file is gone");
	is(sys_close(fd_of("/lib/big", O_CREAT | O_WRONLY)), 0,
	   "a removed image file is made anew");
	is(size_of("/lib/big"), 0, "a file made anew is empty");
	is(sys_rename("/lib/deep", "/moved"), 0, "an image directory moves");
	is(content("/moved/x"), 1,
	   "an image directory moves with what is in it");
	is(content("/lib/up/x"), -ENOENT,
	   "an image directory moves from where it was");
	is(sys_rmdir("/moved"), -ENOTEMPTY,
	   "a directory that is not empty stays");
	is(sys_unlink("/moved/x"), 0, "an image directory is emptied");
	is(sys_rmdir("/moved"), 0, "an emptied image directory is removed");
}

static int seen[100000], removed[100000];

/* reads /tmp/many with a small buffer, removing every second as it goes */
static void test_many(void)
{
	static char name[64];
	int fd, i, n = ARRAY_LEN(seen), bad = 0, k;
	struct k_dirent64 *d;
	long len, at;

	sys_mkdir("/tmp/many", 0755);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "/tmp/many/%d", i);
		fd = fd_of(name, O_CREAT | O_WRONLY);
		bad |= fd < 0 || sys_close(fd) < 0;
	}
	ok(!bad, "100,000 files are made");
	fd = fd_of("/tmp/many", O_RDONLY | O_DIRECTORY);
	while ((len = sys_getdents64(fd, buf, 4096)) > 0) {
		for (at = 0; at < len; at += d->reclen) {
			d = (void *)(buf + at);
			if (d->name[0] == '.')
				continue;
			k = atoi(d->name);
			seen[k]++;
			snprintf(name, sizeof(name), "/tmp/many/%d", k ^ 1);
			if (!removed[k])
				removed[k ^ 1] |= sys_unlink(name) == 0;
		}
	}
	for (bad = 0, i = 0; i < n; i++)
		bad += removed[i] ? seen[i] > 1 : seen[i] != 1;
	ok(!bad, "each name that stays is listed once while others go");
	for (bad = 0, i = 0; i < n; i++)
		bad += removed[i];
	is(bad, n / 2, "half of the files went meanwhile");
	is(sys_rmdir("/tmp/many"), -ENOTEMPTY, "half of them stay");
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "/tmp/many/%d", i);
		sys_unlink(name);
	}
	is(sys_close(fd) + sys_rmdir("/tmp/many"), 0, "all are removed");
}

static void test_limit(void)
{
	struct k_statfs sf;
	u32 before = extent_used();
	int fd = fd_of("/tmp/full", O_CREAT | O_RDWR);
	long n, total = 0;

	memset(buf, 'F', sizeof(buf));
	while ((n = sys_write(fd, buf, sizeof(buf))) > 0)
		total += n;
	is(n, -ENOSPC, "past the limit a write is ENOSPC");
	is(total, (long)FILES_LIMIT - before * ETLFS_EXTENT,
	   "before the limit a write is not ENOSPC");
	sys_statfs("/tmp", &sf);
	is(sf.bfree, 0, "statfs says so");
	is(sys_pwrite64(fd, buf, 100, 5), 100,
	   "past the limit what is there is writable");
	sys_ftruncate(fd, 1 << 30);
	is(sys_pwrite64(fd, buf, 1, (1 << 30) - 1), -ENOSPC,
	   "past the limit a hole is not writable");
	is(log_lines, 1, "a line of the log says why, once");
	sys_unlink("/tmp/full");
	is(extent_used(), (long)FILES_LIMIT / ETLFS_EXTENT,
	   "an unlinked open file keeps its bytes");
	sys_close(fd);
	is(extent_used(), before,
	   "an unlinked open file is freed when it is closed");
	fd = fd_of("/tmp/sparse", O_CREAT | O_RDWR);
	is(sys_pwrite64(fd, "x", 1, 1ll << 40), 1, "a terabyte of hole");
	is(extent_used(), before + 1,
	   "a byte behind a terabyte of hole takes one extent");
	is(sys_pread64(fd, buf, 2, (1ll << 40) - 1), 2,
	   "a byte behind a terabyte of hole is read");
	ok(buf[0] == 0 && buf[1] == 'x',
	   "a byte behind a terabyte of hole is right");
	sys_close(fd);
	sys_unlink("/tmp/sparse");
	is(extent_used(), before, "a terabyte of hole is given back");
}

/* writes until that fails; how many extents more are used */
static long fill_up(int fd)
{
	u32 before = extent_used();

	while (sys_write(fd, buf, sizeof(buf)) > 0)
		;
	return (long)extent_used() - before;
}

static void test_limit_changes(void)
{
	const long half = FILES_LIMIT / ETLFS_EXTENT / 2;
	const u64 most = UK_USF_END - UK_USF_BASE;
	u32 before = extent_used();
	int fd = fd_of("/tmp/half", O_CREAT | O_RDWR), more;
	struct k_statfs sf;

	ctl_set(files_limit, FILES_LIMIT / 2);
	is(fill_up(fd), half - before, "a smaller limit holds at once");
	sys_statfs("/tmp", &sf);
	is(sf.blocks, FILES_LIMIT / 2 / UK_PAGE, "a smaller limit: statfs");
	is(sf.bfree, 0, "a smaller limit: statfs, nothing is free");
	ctl_set(files_limit, FILES_LIMIT);
	sys_statfs("/tmp", &sf);
	is(sf.bfree, FILES_LIMIT / 2 / UK_PAGE, "a larger limit: statfs");
	is(fill_up(fd), half, "a larger limit holds at once");
	ctl_set(files_limit, FILES_LIMIT / 2);
	sys_statfs("/tmp", &sf);
	is(sf.bfree, 0, "a limit below what is used: statfs, nothing is free");
	is(sys_pwrite64(fd, buf, 100, FILES_LIMIT / 4 * 3), 100,
	   "a limit below what is used: what is there is writable");
	is(sys_fallocate(fd, 0, FILES_LIMIT, 1), -ENOSPC,
	   "a limit below what is used: no more is reserved");
	more = fd_of("/tmp/more", O_CREAT | O_RDWR);
	is(fill_up(more), 0, "a limit below what is used: no more is taken");
	/* its first half goes, so what is left lies past the limit */
	is(sys_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			 FILES_LIMIT / 4 * 3), 0, "most of it goes");
	is(fill_up(more), half - (long)FILES_LIMIT / ETLFS_EXTENT / 4,
	   "what went can be had again, up to the limit");
	ctl_set(files_limit, most);
	sys_statfs("/tmp", &sf);
	is(sf.blocks, (long)(most / UK_PAGE), "the address map's limit: statfs");
	is(sys_pwrite64(more, "x", 1, 11ll << 30), 1,
	   "the address map's limit: there is room again");
	sys_close(fd);
	sys_close(more);
	sys_unlink("/tmp/half");
	sys_unlink("/tmp/more");
	is(extent_used(), before, "all extents are given back");
	ctl_set(files_limit, FILES_LIMIT);
}

static void test_recycled(void)
{
	int fd = fd_of("/tmp/r", O_CREAT | O_RDWR), i, good = 1;

	/* extents that test_limit filled with 'F' */
	sys_pwrite64(fd, "a", 1, 20000);
	sys_pwrite64(fd, "b", 1, 70000);
	sys_pread64(fd, buf, 70001, 0);
	for (i = 0; i < 70001; i++)
		good &= buf[i] == (i == 20000 ? 'a' : i == 70000 ? 'b' : 0);
	ok(good, "a recycled extent shows nothing of what it held");
	sys_close(fd);
	sys_unlink("/tmp/r");
}

static void test_map(void)
{
	int err, fd = fd_of("/lib/a.py", O_RDONLY), fd2, good = 1, i;
	u64 at, at2;

	at = map_pin(fd_get(fd), 0, 4096, 0, &err);
	ok(at > UK_IMAGE_BASE && !memcmp((void *)at, "print", 5),
	   "an image file is mapped in place");
	is(map_pin(fd_get(fd), 0, 4096, 1, &err), 0,
	   "an image file in place is not for writing");
	is(err, -EACCES,
	   "to map for writing what is open for reading is EACCES");
	sys_close(fd);

	/* two files that grow in turn are scattered */
	fd = fd_of("/tmp/m", O_CREAT | O_RDWR);
	fd2 = fd_of("/tmp/n", O_CREAT | O_RDWR);
	memset(buf, 'm', sizeof(buf));
	for (i = 0; i < 8; i++) {
		sys_write(fd, buf, ETLFS_EXTENT);
		sys_write(fd2, buf, ETLFS_EXTENT);
	}
	at = map_pin(fd_get(fd), 0, 8 * ETLFS_EXTENT, 1, &err);
	for (i = 0; at && i < 8 * (int)ETLFS_EXTENT; i++)
		good &= ((char *)at)[i] == 'm';
	ok(at && good, "a scattered file is made contiguous");
	((char *)at)[100000] = 'W';
	sys_pread64(fd, buf, 1, 100000);
	is(buf[0], 'W', "a write through the mapping is read");
	sys_pwrite64(fd, "V", 1, 5);
	is(((char *)at)[5], 'V', "a write to the file is seen in the mapping");
	at2 = map_pin(fd_get(fd), ETLFS_EXTENT, 4096, 0, &err);
	is(at2, at + ETLFS_EXTENT, "a second mapping is the same memory");
	sys_ftruncate(fd, 10);
	is(((char *)at)[100000], 0, "truncate zeroes under a mapping");
	sys_close(fd);
	sys_unlink("/tmp/m");
	((char *)at)[3] = 'Q';
	sys_write(fd2, buf, sizeof(buf));
	is(((char *)at)[3], 'Q', "an unlinked file lives while mapped");
	i = extent_used();
	map_unpin(at2, 4096);
	map_unpin(at, 4096);
	is(extent_used(), i, "unmapped in part, it stays");
	map_unpin(at + 4096, 8 * ETLFS_EXTENT - 4096);
	is(extent_used(), i - 8, "unmapped, it goes");
	sys_close(fd2);
	sys_unlink("/tmp/n");
}

static void test_extents(void)
{
	struct uk_extent ext[8];
	u64 size;
	int fd = fd_of("/tmp/e", O_CREAT | O_RDWR);
	long n;

	memset(buf, 'e', 3 * ETLFS_EXTENT);
	sys_write(fd, buf, 3 * ETLFS_EXTENT);
	n = file_extents(fd_get(fd), ext, 8, &size);
	ok(n == 1 && ext[0].len == 3 * ETLFS_EXTENT && size == ext[0].len,
	   "a file in one piece is one extent");
	sys_pwrite64(fd, "x", 1, 10 * ETLFS_EXTENT);
	n = file_extents(fd_get(fd), ext, 8, &size);
	is(n, -E2BIG, "holes are extents of zeros, one each");
	sys_ftruncate(fd, 4 * ETLFS_EXTENT + 7);
	n = file_extents(fd_get(fd), ext, 8, &size);
	ok(n == 3 && ext[2].len == 7 && *(u8 *)ext[1].addr == 0,
	   "holes are extents with zeros in them");
	sys_close(fd);
	sys_unlink("/tmp/e");
}

static void test_host(void)
{
	struct etlfs_host *h = (void *)UK_HOST_BASE;
	struct etlfs_ticket *t = &h->ticket[5];
	u8 *body = (u8 *)UK_HOST_BASE + BODY_OFF;
	int fd, fd2;

	h->magic = ETLFS_HOST_MAGIC;
	h->tickets = ETLFS_TICKETS;
	memset(body, 'H', 50000);
	t->body_off = BODY_OFF;
	t->body_len = 50000;
	t->gen = 3;
	t->state = ETLFS_PENDING;
	is(content("/usetl/in/5"), -ENOENT, "a pending body is not there");
	t->state = ETLFS_DONE;
	is(content("/usetl/in/5"), 50000, "a body by its slot");
	is(content("/usetl/in/197"), 50000, "a body by its ticket");
	is(content("/usetl/in/133"), -ENOENT,
	   "a body is not found by a stale ticket");
	is(content("/usetl/in/05"), -ENOENT,
	   "a body is not found by another spelling");
	fd = fd_of("/usetl/in/197", O_RDWR);
	fd2 = fd_of("/usetl/in/5", O_RDONLY);
	is(sys_pwrite64(fd, "c", 1, 9), 1, "a body is written");
	ok(body[9] == 'H', "what is written to a body the host does not see");
	sys_pread64(fd2, buf, 10, 0);
	is(buf[9], 'c', "what is written to a body the guest sees");
	is(sys_unlink("/usetl/in/5"), -EPERM, "a body is not to be removed");
	cancelled = 0;
	hostfs_release(197);
	is(cancelled, 0, "a release waits for open files");
	is(content("/usetl/in/5"), -ENOENT, "a released body has no name");
	sys_close(fd);
	sys_close(fd2);
	is(cancelled, 197, "a released body's ticket is cancelled");
	hostfs_release(64 + 9);
	is(cancelled, 64 + 9, "a ticket without a body is cancelled at once");
	t->gen = 4;
	ctl_set(windows, 1);
	is(content("/usetl/in/5"), -ENOENT,
	   "a body whose window is not there is not");
	ctl_set(windows, 3);
	is(content("/usetl/in/5"), 50000, "a body is there once its window is");
	hostfs_release(4 * 64 + 5);
	t->gen = 5;
	t->body_off = 15 * ETLFS_WINDOW_STRIDE + 1;
	t->body_len = ETLFS_WINDOW_STRIDE;
	is(content("/usetl/in/5"), -ENOENT, "a body outside its window is not");
	t->state = ETLFS_FREE;
}

static int node_open(struct inode *ip, struct file *f)
{
	f->ops = &regular_ops;
	return node_priv(ip) == (void *)7 ? 0 : -EIO;
}

static struct inode *node_lookup(struct inode *dir, const char *name,
				 size_t len)
{
	static const struct node_ops ops = { .open = node_open };

	return len == 3 && !memcmp(name, "dyn", 3) ?
		node_new(S_IFREG | 0444, 0, &ops, (void *)7) : NULL;
}

static int node_list(struct inode *dir, u64 k, char *name)
{
	strcpy(name, "dyn");
	return k ? -ENOENT : S_IFREG;
}

static void test_nodes(void)
{
	static const struct node_ops dev = { .open = node_open };
	static const struct node_ops dyn = { .lookup = node_lookup,
					     .list = node_list };
	struct k_stat st;
	int fd;

	is(vfs_add_node("/dev/shm", S_IFDIR | 01777, 0, NULL, NULL), 0,
	   "a directory node");
	is(vfs_add_node("/dev/x/y", S_IFCHR | 0666, KDEV(1, 3), &dev,
			(void *)7), 0, "a device node, and its directory");
	is(vfs_add_node("/dev/x/y", S_IFCHR | 0666, 0, &dev, NULL), -EEXIST,
	   "a device node is made once");
	is(vfs_add_node("/proc/lnk", S_IFLNK | 0777, 0, NULL, "/dev/x"), 0,
	   "a link node");
	is(vfs_add_node("/proc/d", S_IFDIR | 0555, 0, &dyn, NULL), 0,
	   "a directory of code");
	is(sys_stat("/proc/lnk/y", &st), 0, "a device is found through a link");
	ok(S_ISCHR(st.mode) && st.rdev == 0x103,
	   "a device's stat is the device's");
	fd = fd_of("/proc/d/dyn", O_RDONLY);
	ok(fd >= 0 && sys_close(fd) == 0, "a child that code made is opened");
	is(sys_open("/proc/d/no", O_RDONLY, 0), -ENOENT,
	   "a child that code does not make is not opened");
	is(sys_open("/proc/d/new", O_CREAT | O_WRONLY, 0644), -EPERM,
	   "nothing is made there");
	fd = fd_of("/proc/d", O_RDONLY);
	is(sys_getdents64(fd, buf, sizeof(buf)), 24 * 3,
	   "a directory of code is listed");
	sys_close(fd);
	is(sys_rename("/tmp", "/tmp2"), -EBUSY, "/tmp stays where it is");
	fd = fd_of("/dev/shm/sem", O_CREAT | O_RDWR);
	ok(fd >= 0, "files are made in /dev/shm");
	is(sys_link("/dev/shm/sem", "/tmp/sem"), -EXDEV,
	   "/dev/shm is another device");
	sys_close(fd);
	sys_unlink("/dev/shm/sem");
}

static void test_path(void)
{
	struct k_stat st;
	int fd;

	sys_mkdir("/tmp/w", 0755);
	sys_chdir("/tmp/w");
	sys_mkdir("old", 0755);
	fd = fd_of("old/f", O_CREAT | O_RDWR);
	sys_rename("old", "new");
	is(file_path(fd_get(fd), buf, 100), 12, "a path follows renames");
	ok(!memcmp(buf, "/tmp/w/new/f", 12),
	   "the path after a rename is right");
	sys_unlink("new/f");
	buf[file_path(fd_get(fd), buf, 100)] = 0;
	ok(strstr(buf, " (deleted)") != NULL,
	   "the path of a removed file says so");
	sys_close(fd);
	is(sys_getcwd(buf, sizeof(buf)), 7, "getcwd");
	is(sys_getcwd(buf, 6), -ERANGE, "getcwd with too small a buffer");
	is(sys_stat((char *)8, &st), -EFAULT, "a bad path is EFAULT");
	is(sys_stat("/", (void *)8), -EFAULT, "a bad buffer is EFAULT");
	sys_rmdir("new");
	sys_chdir("/");
	sys_rmdir("/tmp/w");
}

/* every allocation fails once; nothing may break, nothing may leak extents */
static void test_no_memory(void)
{
	u32 before = extent_used();
	int i, fd;

	sys_mkdir("/tmp/nm", 0755);
	for (i = 1; i < 40; i++) {
		kmalloc_fails = i;
		fd = fd_of("/tmp/nm/f", O_CREAT | O_RDWR);
		if (fd >= 0) {
			sys_write(fd, buf, 5 * ETLFS_EXTENT);
			sys_rename("/tmp/nm/f", "/tmp/nm/g");
			sys_close(fd);
		}
		sys_rename("/lib/a.py", "/tmp/nm/h");
		sys_rename("/tmp/nm/h", "/lib/a.py");
		kmalloc_fails = 0;
		sys_rename("/tmp/nm/h", "/lib/a.py");
		sys_unlink("/tmp/nm/f");
		sys_unlink("/tmp/nm/g");
		if (content("/lib/a.py") != 9)
			break;
	}
	is(i, 40, "a failed allocation loses no file");
	is(extent_used(), before, "a failed allocation loses no extents");
	is(sys_rmdir("/tmp/nm"), 0, "a failed allocation loses no names");
}

int main(void)
{
	u32 before;

	windows_map();
	image_build(tree, ARRAY_LEN(tree));
	vfs_init();
	before = extent_used();
	test_image();
	test_map();
	test_cow();
	test_many();
	test_limit();
	test_limit_changes();
	test_recycled();
	test_extents();
	test_host();
	test_nodes();
	test_path();
	test_no_memory();
	is(extent_used(), before, "no extent is lost");
	return plan();
}
