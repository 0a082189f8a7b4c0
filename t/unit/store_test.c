/* the store: what is put in comes out, and what is damaged does not */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "etlfs/store/store.h"
#include "t/unit/tap.h"

#define LEN	((size_t)300 << 10)

static char dir[64], path[256];
static unsigned said;

static void say(void *arg, const char *line)
{
	said++;
}

static int remove_one(const char *name, const struct stat *st, int type,
		      struct FTW *ftw)
{
	return remove(name);
}

static const char *file(const char *folder, const char *name)
{
	snprintf(path, sizeof(path), "%s/a/b/%s%s", dir, folder, name);
	return path;
}

static void poke(const char *name, off_t at)
{
	int fd = open(name, O_RDWR);

	ok(fd >= 0 && pwrite(fd, "y", 1, at) == 1, "%.12s is changed",
	   strrchr(name, '/') + 1);
	close(fd);
}

/* a layer of LEN bytes c; its digest */
static void put_layer(struct store *s, char c, char digest[STORE_DIGEST])
{
	struct store_file f = { .fd = -1 };
	char *data = malloc(LEN);
	struct err e = { "" };

	memset(data, c, LEN);
	ok(store_layer_create(s, &f, &e) == 0 &&
	   write(f.fd, data, LEN) == (ssize_t)LEN &&
	   sha256_file(f.fd, 0, LEN, digest) == 0 &&
	   store_layer_commit(s, &f, digest, &e) == 0,
	   "a layer is put in: %s", e.msg);
	store_layer_close(s, &f);
	free(data);
}

static int get_layer(struct store *s, const char *digest, struct err *e)
{
	int fd = store_layer_open(s, digest, LEN, e);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static void test_open(struct store **s)
{
	struct err e = { "" };
	char at[128];

	snprintf(at, sizeof(at), "%s/a/b", dir);
	ok(store_open(s, at, 0, &e) == -ENOENT, "none is there: %s", e.msg);
	ok(store_open(s, at, 1, &e) == 0, "it is made, with what is above it");
}

/* a layer that was used so many seconds ago is used: when that was then */
static int64_t used_after(struct store *s, const char *digest, int64_t ago)
{
	const struct timespec was = { .tv_sec = time(NULL) - ago };
	const struct timespec times[2] = { was, was };
	struct stat st = { 0 };

	utimensat(AT_FDCWD, file("layers/sha256-", digest), times, 0);
	if (get_layer(s, digest, NULL) == 0)
		stat(path, &st);
	return st.st_mtim.tv_sec - was.tv_sec;
}

static void test_layer(struct store *s, char digest[STORE_DIGEST])
{
	struct store_file f = { .fd = -1 };
	struct err e = { "" };
	char other[STORE_DIGEST];

	put_layer(s, 'x', digest);
	put_layer(s, 'x', other);
	ok(!strcmp(digest, other), "the same bytes have one name");
	ok(get_layer(s, digest, &e) == 0, "it comes out: %s", e.msg);
	ok(store_layer_create(s, &f, &e) == 0, "another one is begun");
	store_layer_close(s, &f);
	ok(store_verify(s, say, NULL, &e) == 0 && said == 0,
	   "one that was given up leaves nothing");
	chmod(file("layers/sha256-", digest), 0620);
	ok(get_layer(s, digest, &e) == -EPERM, "others may write it: %s",
	   e.msg);
	chmod(file("layers/sha256-", digest), 0600);
	ok(get_layer(s, digest, &e) == 0, "and no longer");
	ok(used_after(s, digest, 20) == 0, "a use is known to the minute");
	ok(used_after(s, digest, 3600) >= 3600, "one an hour later is written");
	ok(used_after(s, digest, -3600) <= -3600 + 60,
	   "and one before which the clock went back");
	/* what a manifest says that was made by hand */
	ok(store_layer_open(s, digest, LEN + 1, &e) == -ENOENT &&
	   store_layer_open(s, digest, LEN - 1, &e) == -ENOENT &&
	   store_layer_find(s, digest, LEN + 1, &e) == -EBADMSG &&
	   get_layer(s, digest, &e) == 0,
	   "one who asks for another length costs nobody a layer");
}

/* what thin images need, gc leaves to them, as long as they are used */
static void test_need(struct store *s)
{
	struct store_gc gc = { .keep = 0 }, old = { .keep = 0, .keys = 1 };
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char needed[STORE_DIGEST], other[STORE_DIGEST];
	struct store_entry *v = NULL;
	struct err e = { "" };
	size_t n = 0;
	int fd;

	put_layer(s, 'n', needed);
	put_layer(s, 'o', other);
	fd = store_layer_find(s, needed, LEN, &e);
	ok(fd >= 0, "a layer is found: %s", e.msg);
	close(fd);
	ok(store_layer_need(s, "packages", needed, &e) == 0,
	   "it is needed: %s", e.msg);
	ok(store_gc(s, &gc, &e) == 0 && gc.layers == 1 &&
	   store_layer_find(s, other, LEN, &e) == -ENOENT,
	   "gc removes the other one");
	utimensat(AT_FDCWD, file("layers/sha256-", needed), times, 0);
	utimensat(AT_FDCWD, file("keys/packages-", needed), times, 0);
	ok(store_layer_need(s, "packages", needed, &e) == 0,
	   "it is needed again");
	ok(store_list(s, &v, &n, &e) == 0 && n == 1 && v->used > 1 &&
	   !strcmp(v->kind, "packages"), "that counts as a use");
	free(v);
	old.keep = 3600;
	ok(store_gc(s, &old, &e) == 0 && !old.layers && !old.gone,
	   "gc by age leaves what was used");
	utimensat(AT_FDCWD, file("keys/packages-", needed), times, 0);
	ok(store_gc(s, &old, &e) == 0 && old.layers == 1 && old.gone == 1,
	   "and takes what was not");
}

static void test_key(struct store *s, const char *digest)
{
	struct store_entry *v = NULL;
	struct err e = { "" };
	char *text = NULL;
	size_t n = 0;

	ok(store_key_get(s, "runtime", digest, &text, &e) == -ENOENT,
	   "a key that nobody put");
	ok(store_key_put(s, "runtime", digest, digest, "some\ntext", &e) == 0,
	   "a key is put in: %s", e.msg);
	ok(store_key_get(s, "runtime", digest, &text, &e) == 0 &&
	   !strcmp(text, "some\ntext"), "its text comes out: %s", e.msg);
	free(text);
	ok(store_list(s, &v, &n, &e) == 0 && n == 1 &&
	   !strcmp(v->kind, "runtime") && v->size == LEN,
	   "the layer is listed once, by its kind");
	free(v);
}

static void test_damage(struct store *s, const char *digest)
{
	struct store_gc gc = { .keep = 0 };
	struct err e = { "" };
	char *text = NULL;

	poke(file("layers/sha256-", digest), 12345);
	ok(store_verify(s, say, NULL, &e) == 1 && said == 1,
	   "verify names a changed layer");
	ok(get_layer(s, digest, &e) == -EBADMSG, "it is refused: %s", e.msg);
	ok(get_layer(s, digest, &e) == -ENOENT, "and is gone");
	poke(file("keys/runtime-", digest), 150);
	ok(store_key_get(s, "runtime", digest, &text, &e) == -EBADMSG,
	   "a changed key is refused: %s", e.msg);
	ok(store_key_get(s, "runtime", digest, &text, &e) == -ENOENT,
	   "and is gone");
	put_layer(s, 'x', (char[STORE_DIGEST]){ 0 });
	ok(truncate(file("layers/sha256-", digest), LEN - 1) == 0 &&
	   get_layer(s, digest, &e) == -EBADMSG, "a layer cut short: %s",
	   e.msg);
	put_layer(s, 'z', (char[STORE_DIGEST]){ 0 });
	ok(store_gc(s, &gc, &e) == 0 && gc.layers == 1 && gc.bytes == LEN,
	   "gc removes what no key names");
}

/* the kind of the one entry that there is, and how long ago it was used, s */
static long listed(struct store *s, const char *kind)
{
	struct store_entry *v = NULL;
	struct err e = { "" };
	size_t n = 0;
	long ago = -1;

	if (store_list(s, &v, &n, &e) == 0 && n == 1 &&
	    !strcmp(v->kind, kind))
		ago = (long)(time(NULL) - v->used);
	free(v);
	return ago;
}

/* what is remembered of a layer's file, "" for nothing */
static void remembered(struct store *s, const char *digest, char *stamp)
{
	struct err e = { "" };
	char *text = NULL;

	*stamp = '\0';
	if (store_key_get(s, "whole", digest, &text, &e) == 0)
		snprintf(stamp, STORE_STAMP, "%s", text);
	free(text);
}

/*
 * A layer is read once, and then as long as nobody has changed its file.  What
 * says that it was not read is a layer of other bytes than its name tells.
 */
static void test_whole(struct store *s)
{
	const struct timespec hour[2] = { { .tv_nsec = UTIME_OMIT },
					  { .tv_sec = time(NULL) - 3600 } };
	struct store_gc gc = { .keep = 60 };
	char digest[STORE_DIGEST], stamp[STORE_STAMP], text[STORE_STAMP];
	struct err e = { "" };
	volatile char *map;
	struct stat st;
	int fd;

	fd = open(dir, O_RDONLY | O_CLOEXEC);
	if (store_stamp_settle(fd) < 0) {
		ok(1, "what is known of layers # SKIP nothing, on tmpfs");
		close(fd);
		return;
	}
	close(fd);
	put_layer(s, 'w', digest);
	utimensat(AT_FDCWD, file("layers/sha256-", digest), hour, 0);
	stat(path, &st);
	ok(store_stamp(&st, stamp, sizeof(stamp)) == -EAGAIN &&
	   get_layer(s, digest, &e) == 0, "one that was changed just now");
	remembered(s, digest, text);
	ok(!*text, "is not known: %s", text);
	utimensat(AT_FDCWD, file("layers/sha256-", digest), hour, 0);
	sleep(4);
	ok(get_layer(s, digest, &e) == 0, "one that was not: %s", e.msg);
	remembered(s, digest, text);
	stat(file("layers/sha256-", digest), &st);
	ok(store_stamp(&st, stamp, sizeof(stamp)) > 0 &&
	   !strcmp(stamp, text) && st.st_mtim.tv_sec == hour[1].tv_sec,
	   "is known as it is, by its own time, too");
	ok(listed(s, "") >= 0 && listed(s, "") < 60,
	   "that is its use, and it has no kind by it");
	ok(store_gc(s, &gc, &e) == 0 && !gc.layers, "gc by age leaves it");

	poke(file("layers/sha256-", digest), 54321);
	stat(path, &st);
	utimensat(AT_FDCWD, path, hour, 0);
	sleep(4);
	stat(path, &st);
	store_stamp(&st, stamp, sizeof(stamp));
	ok(store_key_put(s, "whole", digest, digest, stamp, &e) == 0 &&
	   get_layer(s, digest, &e) == 0, "what is known is not read");
	utimensat(AT_FDCWD, path, hour, 0);
	ok(get_layer(s, digest, &e) == -EBADMSG, "but once it was touched: %s",
	   e.msg);

	unlink(path);
	put_layer(s, 'w', digest);
	utimensat(AT_FDCWD, path, hour, 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*map = *(volatile char *)map;
	sleep(4);
	ok(get_layer(s, digest, &e) == 0, "a mapping writes no other bytes");
	remembered(s, digest, text);
	ok(*text, "that is known");
	*map ^= 1;
	ok(get_layer(s, digest, &e) == -EBADMSG,
	   "the mapping that wrote before writes others: %s", e.msg);
	munmap((void *)map, 65536);
	close(fd);

	put_layer(s, 'w', digest);
	ok(store_key_put(s, "whole", digest, digest, "", &e) == 0,
	   "a layer that only this names");
	gc.keep = 0;
	ok(store_gc(s, &gc, &e) == 0 && gc.layers == 1, "gc removes");
	remembered(s, digest, text);
	ok(!*text, "with what was known of it: %s", text);
}

#define PAGES	5
#define SIZE	((uint64_t)PAGES * 4096)

/* PAGES pages, as a snapshot is; the caller's to close */
static int pages(char c)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);
	char page[4096];

	memset(page, c, sizeof(page));
	for (int i = 0; i < PAGES; i++)
		if (pwrite(fd, page, sizeof(page), i * 4096) != sizeof(page))
			return -1;
	return fd;
}

/* opened, and all of it read: c, or -errno */
static int get_snapshot(struct store *s, const char *key, struct err *e)
{
	int to = memfd_create("to", MFD_CLOEXEC), rc;
	struct store_snapshot snap;
	char c = 0;

	rc = store_snapshot_open(s, key, &snap, e);
	if (rc == 0) {
		rc = snap.len == SIZE && snap.created > 0 ?
		     store_snapshot_read(s, key, &snap, to, e) : -EPROTO;
		close(snap.fd);
	}
	if (rc == 0 && pread(to, &c, 1, SIZE - 1) != 1)
		rc = -EIO;
	close(to);
	return rc < 0 ? rc : c;
}

static void put_snapshot(struct store *s, const char *key, char c)
{
	struct err e = { "" };
	int fd = pages(c);

	ok(store_snapshot_put(s, key, &(struct store_snapshot){
		.fd = fd, .len = SIZE, .what = "one" }, &e) == 0,
	   "a snapshot is put in: %s", e.msg);
	close(fd);
}

static void test_snapshot(struct store *s, const char *key)
{
	struct store_gc gc = { .keep_snapshots = 100 };
	struct store_entry *v = NULL;
	struct err e = { "" };
	size_t n = 0;
	int fd;

	ok(get_snapshot(s, key, &e) == -ENOENT, "a snapshot that nobody put");
	fd = pages('x');
	ok(store_snapshot_put(s, key, &(struct store_snapshot){
		.fd = fd, .len = SIZE - 1 }, &e) == -EINVAL &&
	   store_snapshot_put(s, key, &(struct store_snapshot){
		.fd = fd, .len = 2 * SIZE }, &e) == -EBADMSG &&
	   get_snapshot(s, key, &e) == -ENOENT,
	   "nothing is left of one that cannot be: %s", e.msg);
	close(fd);
	put_snapshot(s, key, 'a');
	ok(get_snapshot(s, key, &e) == 'a', "it comes out");
	put_snapshot(s, key, 'b');
	ok(get_snapshot(s, key, &e) == 'b', "another takes its place");
	ok(store_list(s, &v, &n, &e) == 0 && n == 1 &&
	   !strcmp(v[0].kind, "snapshot") && !strcmp(v[0].what, "one") &&
	   !strcmp(v[0].digest, key), "it is listed");
	free(v);
	said = 0;
	ok(store_verify(s, say, NULL, &e) == 0 && !said, "it is whole");
	poke(file("snapshots/", key), 3 * 4096);
	ok(store_verify(s, say, NULL, &e) == 1 && said == 1,
	   "verify names a changed one");
	ok(get_snapshot(s, key, &e) == -EBADMSG &&
	   get_snapshot(s, key, &e) == -ENOENT, "it is refused, and gone");
	put_snapshot(s, key, 'c');
	poke(file("snapshots/", key), SIZE + 8);
	ok(get_snapshot(s, key, &e) == -EBADMSG &&
	   get_snapshot(s, key, &e) == -ENOENT, "one of another length, too");
	put_snapshot(s, key, 'd');
	ok(truncate(file("snapshots/", key), SIZE) == 0 &&
	   get_snapshot(s, key, &e) == -EBADMSG, "one that was cut short");
	put_snapshot(s, key, 'e');
	ok(chmod(file("snapshots/", key), 0622) == 0 &&
	   get_snapshot(s, key, &e) == -EPERM, "one that others write");
	ok(store_gc(s, &gc, &e) == 0 && !gc.snapshots, "what is new stays");
	gc.keep_snapshots = 0;
	ok(store_gc_snapshots(s, &gc, &e) == 0 && gc.snapshots == 1 &&
	   get_snapshot(s, key, &e) == -ENOENT, "what is old goes");
}

/* by names of 64 times that digit: it has the name id, and is over that one */
static void put_over(struct store *s, char digit, uint8_t id, uint8_t over)
{
	struct store_snapshot snap = {
		.fd = pages(digit), .len = SIZE, .id = { id }, .over = { over },
	};
	char key[STORE_DIGEST] = "";
	struct err e = { "" };

	memset(key, digit, sizeof(key) - 1);
	ok(store_snapshot_put(s, key, &snap, &e) == 0, "%c is put in: %s",
	   digit, e.msg);
	close(snap.fd);
}

static int is_there(struct store *s, char digit)
{
	char key[STORE_DIGEST] = "";
	struct err e;

	memset(key, digit, sizeof(key) - 1);
	return get_snapshot(s, key, &e) == digit;
}

/* digit was used that many seconds ago */
static void age(char digit, time_t s)
{
	struct timespec t[2] = { { time(NULL) - s, 0 }, { time(NULL) - s, 0 } };
	char key[STORE_DIGEST] = "";

	memset(key, digit, sizeof(key) - 1);
	ok(utimensat(AT_FDCWD, file("snapshots/", key), t, 0) == 0,
	   "%c was used %d s ago", digit, (int)s);
}

static void test_orphans(struct store *s)
{
	const char all[] = "012345";
	struct store_gc gc = { 0 };
	struct err e = { "" };

	put_over(s, '0', 10, 10);	/* a base, */
	put_over(s, '1', 11, 10);	/* one over it, and one over that */
	put_over(s, '2', 12, 11);
	put_over(s, '3', 13, 99);	/* these are over none that is there */
	put_over(s, '4', 14, 13);
	put_over(s, '5', 15, 99);
	for (const char *d = all; *d != '5'; d++)
		age(*d, STORE_ORPHAN_KEPT + 60);
	ok(store_gc_orphans(s, &gc, &e) == 0 && gc.snapshots == 2 &&
	   gc.bytes == 2 * (SIZE + 4096),
	   "what is over nothing goes, and what is over that: %u", gc.snapshots);
	ok(is_there(s, '0') && is_there(s, '1') && is_there(s, '2') &&
	   !is_there(s, '3') && !is_there(s, '4'), "it is those");
	ok(is_there(s, '5'), "one that is new stays");
	put_over(s, '0', 20, 20);	/* in the place of the base */
	for (const char *d = "12"; *d; d++)
		age(*d, STORE_ORPHAN_KEPT + 60);
	gc = (struct store_gc){ .keep = 1000, .keep_snapshots = 1000 };
	ok(store_gc(s, &gc, &e) == 0 && gc.snapshots == 2 &&
	   is_there(s, '0') && !is_there(s, '1') && !is_there(s, '2'),
	   "what was over another one in its place goes by gc, too: %u",
	   gc.snapshots);
}

int main(void)
{
	char digest[STORE_DIGEST];
	struct store *s = NULL;

	snprintf(dir, sizeof(dir), "/tmp/usetl-t.XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	test_open(&s);
	if (s) {
		test_need(s);
		test_layer(s, digest);
		test_key(s, digest);
		test_damage(s, digest);
		test_whole(s);
		test_snapshot(s, digest);
		test_orphans(s);
	}
	store_close(s);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return plan();
}
