/*
 * image_test.c - images: what is written is read again, and nothing that is
 * damaged is accepted
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

#include "etlfs/image/image.h"
#include "etlfs/bake/pack.h"
#include "t/unit/server.h"

static char dir[64];

/* dir/name, in a buffer of its own for each of the last few calls */
static const char *at(const char *name)
{
	static char buf[4][256];
	static int next;
	char *s = buf[next++ % 4];

	snprintf(s, 256, "%s/%s", dir, name);
	return s;
}

static char *fill(size_t len)
{
	char *s = malloc(len);

	for (size_t i = 0; i < len; i++)
		s[i] = i * 31 + i / 4096;
	return s;
}

static const size_t sizes[] = { 0, 1, 511, 512, 4095, 4096, 4097, 100000 };

static int fill_tree(struct tree *t)
{
	char path[700], deep[300];
	char *data = fill(100000);
	int64_t rc = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		snprintf(path, sizeof(path), "/lib/size%zu", sizes[i]);
		rc |= tree_add_data(t, path, data, sizes[i], 0, NULL) < 0;
	}
	/* names that need long headers, of every length mod 512 or so */
	for (int i = 1; i < 255; i += 2) {
		memset(deep, 'n', i);
		deep[i] = 0;
		snprintf(path, sizeof(path), "/packages/%s/%s", deep, deep);
		rc |= tree_add_data(t, path, path, i, 1, NULL) < 0;
	}
	rc |= tree_add_data(t, "/app/\xc3\xa9.py", "e", 1, 2, NULL) < 0;
	rc |= tree_add_data(t, "/app/a", "a", 1, 2, NULL) < 0;
	rc |= tree_add_data(t, "/app/a-b", "ab", 2, 2, NULL) < 0;
	rc |= tree_add_data(t, "/app/ab/c", "abc", 3, 2, NULL) < 0;
	rc |= tree_add_link(t, "/app/link", "../lib/size1", 2, NULL) < 0;
	rc |= tree_add_dir(t, "/app/empty", 2, NULL) < 0;
	free(data);
	return rc;
}

static int write_image(const char *path)
{
	char *argv[] = { "/bin/py", "-I", NULL };
	char *env[] = { "A=b", NULL };
	char *egress[] = { "http://a/", NULL };
	struct image meta = {
		.name = "test", .handler = "app.handler",
		.interpreter = "/bin/py", .version = "3.11.2", .argv = argv,
		.env = env, .egress = egress, .memory = 64 << 20,
		.files = 32 << 20, .timeout_ns = 5000000000ull,
	};
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct tree *t = NULL;
	struct err err;
	int rc;

	if (fd < 0 || tree_create(&t, &err) || fill_tree(t))
		return -1;
	rc = pack_write(t, &meta, fd, NULL, NULL, &err);
	if (rc)
		printf("# %s\n", err.msg);
	tree_destroy(t);
	close(fd);
	return rc;
}

static void test_content(const struct image *img)
{
	const struct etlfs_node *n;
	char *data = fill(100000), path[4096];
	int good = 1, paths = 1;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		snprintf(path, sizeof(path), "/lib/size%zu", sizes[i]);
		n = image_lookup(img, path);
		good &= n && n->size == sizes[i] && n->off % 4096 == 0 &&
			!memcmp(img->map + n->off, data, n->size);
	}
	ok(good, "files of every size are there, on a page");
	n = image_lookup(img, "/app/link");
	ok(n && S_ISLNK(n->mode) && n->size == 12, "a symlink");
	n = image_lookup(img, "/app/empty/");
	ok(n && S_ISDIR(n->mode) && !n->size, "an empty directory");
	ok(image_lookup(img, "/app/a") && image_lookup(img, "/app/a-b") &&
	   image_lookup(img, "/app/ab/c") && image_lookup(img, "/"),
	   "names that begin alike");
	ok(!image_lookup(img, "/app/b") && !image_lookup(img, "/app/a/x") &&
	   !image_lookup(img, "/application"), "names that are not there");
	for (uint32_t i = 0; i < img->index->nodes; i++) {
		const struct etlfs_node *back;

		paths &= !image_node_path(img, i, path, sizeof(path));
		back = image_lookup(img, path);
		paths &= back && back - image_lookup(img, "/") == i;
	}
	ok(paths, "every node is found by its path");
	ok(image_node_path(img, 1, path, 3) == -ENAMETOOLONG,
	   "a path that does not fit");
	free(data);
}

static void test_open(void)
{
	struct image *img = NULL;
	struct err err;
	int rc = image_open(&img, at("a.usetl"), &err);

	ok(!rc, "open: %s", rc ? err.msg : "");
	if (rc)
		return;
	ok(!strcmp(img->name, "test") && !strcmp(img->handler, "app.handler")
	   && !strcmp(img->interpreter, "/bin/py") &&
	   !strcmp(img->argv[1], "-I") && !img->argv[2] &&
	   !strcmp(img->env[0], "A=b") && !strcmp(img->egress[0], "http://a/")
	   && img->memory == 64 << 20 && img->files == 32 << 20 &&
	   img->timeout_ns == 5000000000ull, "the manifest");
	ok(!image_verify(img, &err), "the digest");
	ok(img->layer[0].files == 8 && img->layer[1].files == 127 &&
	   img->layer[2].files == 4, "the layers");
	ok(img->layer[1].off == img->layer[0].off + img->layer[0].len &&
	   img->layer[2].off == img->layer[1].off + img->layer[1].len,
	   "the layers follow each other");
	test_content(img);
	image_close(img);
	image_close(NULL);
}

/* a copy with one change: len bytes at off, or a new length */
static void damaged(const char *what, long off, const void *bytes, size_t len,
		    off_t size, const char *says)
{
	struct image *img = NULL;
	struct err err = { "" };
	char command[512];
	int fd, rc;

	snprintf(command, sizeof(command), "cp '%s' '%s'", at("a.usetl"),
		 at("b.usetl"));
	rc = system(command);
	fd = open(at("b.usetl"), O_RDWR | O_CLOEXEC);
	if (!rc && len)
		rc = pwrite(fd, bytes, len, off) != (ssize_t)len;
	if (!rc && size >= 0)
		rc = ftruncate(fd, size);
	close(fd);
	if (rc) {
		ok(0, "%s: the test cannot damage its image", what);
		return;
	}
	rc = image_open(&img, at("b.usetl"), &err);
	if (!rc) {
		rc = image_verify(img, &err);
		image_close(img);
	}
	ok(rc && strstr(err.msg, says) && strstr(err.msg, "b.usetl") &&
	   !strchr(err.msg, '\n'), "%s: %s", what, err.msg);
	memset(&err, 0, sizeof(err));
	rc = image_open_heads(&img, at("b.usetl"), &err);
	if (!rc) {
		rc = image_verify(img, &err);
		image_close(img);
	}
	ok(rc && strstr(err.msg, says), "%s: its heads alone: %s", what,
	   err.msg);
}

/* what is no file is refused, and nobody waits for who would write to it */
static void test_no_file(void)
{
	struct err err = { "" };
	struct image *img;

	if (mkfifo(at("pipe"), 0600) < 0)
		exit(1);
	ok(image_open(&img, at("pipe"), &err) == -EINVAL &&
	   strstr(err.msg, "not a usetl image"), "a pipe: %s", err.msg);
	ok(image_open_heads(&img, at("pipe"), &err) == -EINVAL &&
	   image_open_heads(&img, dir, &err) == -EISDIR,
	   "a pipe, a folder: their heads");
}

static void truncate_at(off_t size)
{
	if (truncate(at("b.usetl"), size))
		exit(1);
}

static int copied_from(const char *path)
{
	char command[512];

	snprintf(command, sizeof(command), "cp '%s' '%s'", at(path),
		 at("b.usetl"));
	return system(command);
}

/* whatever becomes of the file, a copy is what it was, and ends nobody */
static void test_copy(void)
{
	struct image *heads = NULL, *copy = NULL;
	struct err err = { "" };
	char folder[300];
	struct stat st;
	int fd;

	if (copied_from("a.usetl") ||
	    image_open_heads(&heads, at("b.usetl"), &err)) {
		ok(0, "heads: %s", err.msg);
		return;
	}
	ok(!strcmp(heads->name, "test") && heads->index->nodes > 100 &&
	   image_lookup(heads, "/app/ab/c"), "heads: manifest and index");
	snprintf(folder, sizeof(folder), "%s/copies", dir);
	fd = image_copy(heads, folder, &err);
	ok(fd == -ENOENT && strstr(err.msg, "copies': No such file"),
	   "copy: into no folder: %s", err.msg);
	mkdir(folder, 0700);
	fd = image_copy(heads, folder, &err);
	ok(fd >= 0 && !fstat(fd, &st) && !st.st_nlink &&
	   (st.st_mode & 0777) == 0400 && rmdir(folder) == 0,
	   "copy: it has no name, and nobody may write it");
	ok(fd >= 0 && write(fd, "x", 1) < 0 && errno == EBADF,
	   "copy: who has it may not write it");
	truncate_at(5000);
	ok(image_copy(heads, NULL, &err) == -EBADMSG &&
	   strstr(err.msg, "it was cut short"), "copy: of half: %s", err.msg);
	ok(image_lookup(heads, "/app/ab/c") != NULL,
	   "copy: of half: its heads are there");
	ok(fd >= 0 && !image_open_copy(&copy, at("b.usetl"), fd, &err) &&
	   !image_verify(copy, &err), "copy: is whole: %s", err.msg);
	test_content(copy);
	image_close(copy);
	image_close(heads);

	/* one that was longer when its heads were read, and one that grew */
	if (copied_from("a.usetl") ||
	    image_open_heads(&heads, at("b.usetl"), &err))
		exit(1);
	truncate_at(heads->size + 4096);
	fd = image_copy(heads, NULL, &err);
	ok(fd == -ESTALE || (fd >= 0 && !fstat(fd, &st) &&
			      (uint64_t)st.st_size == heads->size),
	   "copy: what was added meanwhile is not in it");
	if (fd >= 0)
		close(fd);
	image_close(heads);
}

/* offset in the file of a text that is there once */
static long find(const struct image *img, const char *text)
{
	const uint8_t *p = memmem(img->map, img->size, text, strlen(text));

	return p ? p - img->map : -1;
}

static void test_damage(void)
{
	struct image *img;
	uint64_t size, index;
	long manifest, version;

	if (image_open(&img, at("a.usetl"), NULL))
		return;
	size = img->size;
	index = img->index_off;
	manifest = find(img, "\"memory\":");
	version = find(img, "\"version\": 1");
	damaged("half of it", 0, "", 0, size / 2, "is truncated");
	damaged("one byte less", 0, "", 0, size - 1, "is truncated");
	damaged("one byte more", 0, "", 0, size + 1, "damaged");
	damaged("nothing", 0, "", 0, 0, "not a usetl image");
	damaged("its first block", 0, "", 0, 512, "not a usetl image");
	damaged("another name", 0, "x", 1, -1, "not a usetl image");
	damaged("newer", version + 11, "9", 1, -1, "by a newer usetl");
	damaged("no JSON", manifest, "}", 1, -1, "not JSON");
	damaged("a key is gone", manifest + 1, "M", 1, -1, "not whole");
	damaged("index magic", index, "x", 1, -1, "no index");
	damaged("index version", index + 8, "\2", 1, -1, "by a newer usetl");
	damaged("more nodes", index + 12, "\xff\xff", 2, -1, "not whole");
	damaged("root is a file", index + 64 + 8, "\0\x80", 2, -1, "no root");
	damaged("the last byte of a file", img->layer[2].off - 5000, "X", 1,
		-1, "was altered");
	damaged("digest", size - 1536, "x", 1, -1, "no digest");
	damaged("another digest", size - 1536, img->digest[0] == '0' ? "1" :
		"0", 1, -1, "was altered");
	image_close(img);
}

/* one bit of the index at a time: refused, or else found by the digest */
static void test_bits(void)
{
	struct image *img, *b;
	uint64_t index, len;
	uint8_t *data;
	int fd, whole = 1, refused = 0, n = 0;

	if (image_open(&img, at("a.usetl"), NULL))
		return;
	index = img->index_off;
	len = img->index->total_len;
	data = malloc(img->size);
	memcpy(data, img->map, img->size);
	fd = open(at("b.usetl"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		  0600);
	whole &= write(fd, data, img->size) == (ssize_t)img->size;
	for (uint64_t i = 0; i < len; i += 1 + i / 64) {
		uint8_t c = data[index + i] ^ (1 << i % 8);

		whole &= pwrite(fd, &c, 1, index + i) == 1;
		n++;
		if (image_open(&b, at("b.usetl"), NULL)) {
			refused++;
		} else {
			char path[4096];

			/* what is accepted can be walked to the end */
			for (uint32_t k = 0; k < b->index->nodes; k++)
				whole &= !image_node_path(b, k, path,
							  sizeof(path)) &&
					image_lookup(b, path);
			whole &= image_verify(b, NULL) != 0;
			image_close(b);
		}
		whole &= pwrite(fd, &data[index + i], 1, index + i) == 1;
	}
	ok(whole && refused > 20, "%d of %d flipped bits are refused at open, "
	   "the rest by the digest", refused, n);
	close(fd);
	free(data);
	image_close(img);
}

int main(void)
{
	char command[512];

	setlocale(LC_CTYPE, "C.UTF-8");
	snprintf(dir, sizeof(dir), "/tmp/usetl-image-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	ok(!write_image(at("a.usetl")), "an image is written");
	ok(!write_image(at("c.usetl")), "an image is written again");
	snprintf(command, sizeof(command), "cmp '%s' '%s'", at("a.usetl"),
		 at("c.usetl"));
	ok(!system(command), "an image written again has the same bytes");
	snprintf(command, sizeof(command), "LC_ALL=C.UTF-8 tar tf '%s' 2>&1 "
		 ">'%s' | grep . ; test $? = 1", at("a.usetl"), at("list"));
	ok(!system(command), "tar lists an image without a word");
	test_open();
	test_damage();
	test_bits();
	test_copy();
	test_no_file();
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command) || plan();
}
