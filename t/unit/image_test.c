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
	rc |= tree_add_data(t, "/lib/size1", "2", 1, 2, NULL) < 0;
	rc |= tree_add_link(t, "/lib/size511", "size0", 1, NULL) < 0;
	rc |= tree_add_data(t, "/packages/n/more", "m", 1, 2, NULL) < 0;
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
	rc = pack_write(t, &meta, fd, NULL, NULL, NULL, &err);
	if (rc)
		printf("# %s\n", err.msg);
	tree_destroy(t);
	close(fd);
	return rc;
}

/* a file's bytes, or NULL */
static const uint8_t *file(const struct image *img, const char *path,
			   uint64_t size)
{
	uint32_t n = image_lookup(img, path);

	return n != ETLFS_NONE && S_ISREG(image_node(img, n)->mode) &&
		image_node(img, n)->size == size ? image_data(img, n) : NULL;
}

static int is_kind(const struct image *img, const char *path, uint32_t kind,
		   uint64_t size)
{
	uint32_t n = image_lookup(img, path);

	return n != ETLFS_NONE && (image_node(img, n)->mode & S_IFMT) == kind &&
		image_node(img, n)->size == size;
}

static int here(const struct image *img, const char *path)
{
	return image_lookup(img, path) != ETLFS_NONE;
}

static int list_one(void *arg, uint32_t node)
{
	const struct image *img = ((void **)arg)[0];
	char *to = ((void **)arg)[1];
	size_t len, at = strlen(to);
	const char *name = image_name(img, node, &len);

	snprintf(to + at, 256 - at, "%.*s ", (int)len, name);
	return 0;
}

/* a file over another's, a link over a file, a directory of two layers */
static void test_union(const struct image *img)
{
	const uint8_t *p = file(img, "/lib/size1", 1);
	char names[256] = "";
	void *arg[] = { (void *)img, names };
	uint32_t hidden = 0;
	char path[4096];

	ok(p && *p == '2', "the uppermost layer's file is seen");
	ok(is_kind(img, "/lib/size511", S_IFLNK, 5), "a link over a file");
	ok(here(img, "/packages/n/n") && here(img, "/packages/n/more"),
	   "a directory has the names of two layers");
	ok(!image_list(img, image_lookup(img, "/lib"), list_one, arg) &&
	   !strcmp(names, "size0 size1 size100000 size4095 size4096 size4097 "
		   "size511 size512 "), "a list has each name once");
	for (uint32_t i = 0; i < img->nodes; i++)
		hidden += image_node_path(img, i, path, sizeof(path)) ==
			-ENOENT;
	/* two roots, lib twice, packages and packages/n; two files */
	ok(hidden == 8, "what is not seen has no path");
}

static void test_content(const struct image *img)
{
	char *data = fill(100000), path[4096];
	int good = 1, paths = 1;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const uint8_t *p;

		if (sizes[i] == 1 || sizes[i] == 511)
			continue;
		snprintf(path, sizeof(path), "/lib/size%zu", sizes[i]);
		p = file(img, path, sizes[i]);
		good &= p && (!sizes[i] || (p - img->map) % 4096 == 0) &&
			!memcmp(p, data, sizes[i]);
	}
	ok(good, "files of every size are there, on a page");
	ok(is_kind(img, "/app/link", S_IFLNK, 12), "a symlink");
	ok(is_kind(img, "/app/empty/", S_IFDIR, 0), "an empty directory");
	ok(here(img, "/app/a") && here(img, "/app/a-b") &&
	   here(img, "/app/ab/c") && here(img, "/"),
	   "names that begin alike");
	ok(!here(img, "/app/b") && !here(img, "/app/a/x") &&
	   !here(img, "/application"), "names that are not there");
	for (uint32_t i = 0; i < img->nodes; i++) {
		int rc = image_node_path(img, i, path, sizeof(path));

		paths &= rc == -ENOENT ||
			(!rc && image_lookup(img, path) == i);
	}
	ok(paths, "every node that is seen is found by its path");
	ok(image_node_path(img, 1, path, 3) == -ENAMETOOLONG,
	   "a path that does not fit");
	free(data);
}

static void test_open(void)
{
	struct image *img = NULL;
	struct err err;
	int rc = image_open(&img, at("a.usetl"), NULL, &err);

	ok(!rc, "open: %s", rc ? err.msg : "");
	if (rc)
		return;
	ok(!strcmp(img->name, "test") && !strcmp(img->handler, "app.handler")
	   && !strcmp(img->interpreter, "/bin/py") &&
	   !strcmp(img->argv[1], "-I") && !img->argv[2] &&
	   !strcmp(img->env[0], "A=b") && !strcmp(img->egress[0], "http://a/")
	   && img->memory == 64 << 20 && img->files == 32 << 20 &&
	   img->timeout_ns == 5000000000ull, "the manifest");
	ok(!image_verify(img, &err), "the digests");
	ok(img->layer[0].files == 8 && img->layer[1].files == 127 &&
	   img->layer[2].files == 6, "the layers");
	ok(img->layer[0].addr == 0x800000000 &&
	   img->layer[1].addr == 0x800200000 &&
	   img->layer[2].addr == 0x800400000,
	   "the layers lie behind each other, 2 MB apart or more");
	ok(img->layer[0].off % 4096 == 0 && img->layer[1].off % 4096 == 0 &&
	   img->layer[2].off % 4096 == 0, "each begins on a page of the file");
	test_content(img);
	test_union(img);
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
	rc = image_open(&img, at("b.usetl"), NULL, &err);
	if (!rc) {
		rc = image_verify(img, &err);
		image_close(img);
	}
	ok(rc && strstr(err.msg, says) && strstr(err.msg, "b.usetl") &&
	   !strchr(err.msg, '\n'), "%s: %s", what, err.msg);
	memset(&err, 0, sizeof(err));
	rc = image_open_heads(&img, at("b.usetl"), NULL, &err);
	if (!rc) {
		rc = image_verify(img, &err);
		image_close(img);
	}
	ok(rc && strstr(err.msg, says), "%s: its heads alone: %s", what,
	   err.msg);
}

/* one that is open, once more: each goes by itself, and the last takes all */
static void test_again(int first)
{
	struct image *img[2] = { NULL, NULL }, *last;
	struct err err = { "" };
	int fd, rc;

	rc = image_open(&img[0], at("a.usetl"), NULL, &err);
	if (!rc) {
		img[0]->upper = 1;
		rc = image_again(&img[1], img[0], &err);
	}
	ok(!rc && !img[1]->upper && img[1]->fd == img[0]->fd &&
	   !strcmp(img[1]->digest, img[0]->digest),
	   "again: the same image, but for what one has copied: %s", err.msg);
	if (rc)
		exit(1);
	last = img[!first];
	fd = last->fd;
	image_close(img[first]);
	ok(!image_verify(last, &err), "again: number %d is closed", first);
	image_close(last);
	ok(fcntl(fd, F_GETFD) < 0, "again: and the other, and the file");
}

/* what is no file is refused, and nobody waits for who would write to it */
static void test_no_file(void)
{
	struct err err = { "" };
	struct image *img;

	if (mkfifo(at("pipe"), 0600) < 0)
		exit(1);
	ok(image_open(&img, at("pipe"), NULL, &err) == -EINVAL &&
	   strstr(err.msg, "not a usetl image"), "a pipe: %s", err.msg);
	ok(image_open_heads(&img, at("pipe"), NULL, &err) == -EINVAL &&
	   image_open_heads(&img, dir, NULL, &err) == -EISDIR,
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
	    image_open_heads(&heads, at("b.usetl"), NULL, &err)) {
		ok(0, "heads: %s", err.msg);
		return;
	}
	ok(!strcmp(heads->name, "test") && heads->nodes > 100 &&
	   here(heads, "/app/ab/c"), "heads: manifest and index");
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
	ok(here(heads, "/app/ab/c"),
	   "copy: of half: its heads are there");
	ok(fd >= 0 && !image_open_copy(&copy, at("b.usetl"), heads, fd, &err) &&
	   !image_verify(copy, &err), "copy: is whole: %s", err.msg);
	test_content(copy);
	image_close(copy);
	image_close(heads);

	/* one that was longer when its heads were read, and one that grew */
	if (copied_from("a.usetl") ||
	    image_open_heads(&heads, at("b.usetl"), NULL, &err))
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

static unsigned long layer_nodes_of(const struct image *img, int layer)
{
	return img->layer[layer].index->nodes;
}

static void test_damage(void)
{
	struct image *img;
	uint64_t size, index, upper;
	long config, version;

	if (image_open(&img, at("a.usetl"), NULL, NULL))
		return;
	size = img->size;
	index = img->layer[0].off + img->layer[0].index_off;
	upper = img->layer[1].off + img->layer[1].index_off;
	config = find(img, "\"memory\":");
	version = find(img, "\"version\": 2");
	damaged("half of it", 0, "", 0, size / 2, "is truncated");
	damaged("one byte less", 0, "", 0, size - 1, "is truncated");
	damaged("one byte more", 0, "", 0, size + 1, "damaged");
	damaged("nothing", 0, "", 0, 0, "not a usetl image");
	damaged("its first block", 0, "", 0, 512, "not a usetl image");
	damaged("another name", 0, "x", 1, -1, "not a usetl image");
	damaged("another time", 136, "1", 1, -1, "not a usetl image");
	damaged("format 1", 0, "usetl/manifest.json", 20, -1,
		"by an older usetl (format 1, this one reads 2); bake it "
		"again");
	damaged("newer", version + 11, "9", 1, -1, "by a newer usetl");
	damaged("older", version + 11, "1", 1, -1, "bake it again");
	damaged("no JSON", config, "}", 1, -1, "not JSON");
	damaged("a key is gone", config + 1, "M", 1, -1, "not whole");
	damaged("a layer's header", img->layer[1].off - 512, "x", 1, -1,
		"not where it belongs");
	damaged("a pad before a layer", img->layer[1].off - 600, "x", 1, -1,
		"not where it belongs");
	damaged("its end", size - 1, "x", 1, -1, "behind its layers");
	damaged("index magic", index, "x", 1, -1, "no index");
	damaged("index version", index + 8, "\1", 1, -1, "bake it again");
	damaged("more nodes", index + 12, "\xff\xff", 2, -1, "not whole");
	damaged("an upper layer of other lower ones", upper + 40, "\xff", 1,
		-1, "not whole");
	damaged("root is a file", index + 64 + 8, "\0\x80", 2, -1, "no root");
	damaged("a root below another", upper + 64 + 40, "\1", 1, -1,
		"damaged: node");
	damaged("merges", upper + 64 + 64ul * layer_nodes_of(img, 1), "\1", 1,
		-1, "do not fit together");
	damaged("the last byte of a file", file(img, "/lib/size4097", 4097) +
		4096 - img->map, "X", 1, -1, "the digest of its runtime is");
	damaged("a byte of the config", find(img, "app.handler"), "X", 1, -1,
		"the digest of its config is");
	damaged("a byte of the manifest", img->manifest.off +
		img->manifest.len - 1, " ", 1, -1,
		"the digest of its manifest is");
	damaged("another digest of the config", find(img, img->config.digest),
		img->config.digest[0] == '0' ? "1" : "0", 1, -1, "no config");
	damaged("another digest", find(img, img->digest), img->digest[0] ==
		'0' ? "1" : "0", 1, -1, "no manifest");
	image_close(img);
}

/* what is accepted can be walked to the end, and is not what was baked */
static int walked(struct image *b)
{
	char path[4096];
	int whole = 1;

	for (uint32_t k = 0; k < b->nodes; k++) {
		int rc = image_node_path(b, k, path, sizeof(path));

		whole &= rc == -ENOENT || (!rc && here(b, path));
	}
	return whole && image_verify(b, NULL) != 0;
}

/* one bit of an index at a time: refused, or else found by the digest */
static void test_bits(int layer)
{
	struct image *img, *b;
	uint64_t index, len;
	uint8_t *data;
	int fd, whole = 1, refused = 0, n = 0;

	if (image_open(&img, at("a.usetl"), NULL, NULL))
		return;
	index = img->layer[layer].off + img->layer[layer].index_off;
	len = img->layer[layer].index->total_len;
	data = malloc(img->size);
	memcpy(data, img->map, img->size);
	fd = open(at("b.usetl"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		  0600);
	whole &= write(fd, data, img->size) == (ssize_t)img->size;
	for (uint64_t i = 0; i < len; i += 1 + i / 64) {
		uint8_t c = data[index + i] ^ (1 << i % 8);

		whole &= pwrite(fd, &c, 1, index + i) == 1;
		n++;
		if (image_open(&b, at("b.usetl"), NULL, NULL)) {
			refused++;
		} else {
			whole &= walked(b);
			image_close(b);
		}
		whole &= pwrite(fd, &data[index + i], 1, index + i) == 1;
	}
	ok(whole && refused > 20, "layer %d: %d of %d flipped bits are refused "
	   "at open, the rest by the digest", layer, refused, n);
	close(fd);
	free(data);
	image_close(img);
}

static struct tree *tree_of(uint16_t upper, const char *text)
{
	struct tree *t = NULL;
	struct err err;

	if (tree_create(&t, &err) || fill_tree(t) ||
	    (upper && tree_add_data(t, "/lib/own/x", text, strlen(text), upper,
				    NULL) < 0) ||
	    (upper && tree_add_data(t, "/lib/size4097", text, strlen(text),
				    upper, NULL) < 0))
		exit(1);
	return t;
}

/* a layer is the same, whatever is in those above it */
static void test_lower(uint16_t upper)
{
	struct image a = { .name = "a", .handler = "a.a", .interpreter = "/a",
			   .version = "3", .argv = (char *[]){ "/a", NULL },
			   .env = (char *[]){ "A=b", NULL } }, b = a;
	struct tree *t = tree_of(0, ""), *u = tree_of(upper, "text");
	int fd = open(at("d.usetl"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct err err;
	int same = 1;

	if (pack_write(t, &a, fd, NULL, NULL, NULL, &err) < 0 || ftruncate(fd, 0) ||
	    pack_write(u, &b, fd, NULL, NULL, NULL, &err) < 0)
		exit(1);
	for (int i = 0; i < upper; i++)
		same &= !strcmp(a.layer[i].digest, b.layer[i].digest) &&
			a.layer[i].addr == b.layer[i].addr;
	ok(same, "layer %d does not change those below it", upper);
	ok(strcmp(a.layer[upper].digest, b.layer[upper].digest),
	   "layer %d changes", upper);
	tree_destroy(t);
	tree_destroy(u);
	close(fd);
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
	test_bits(0);
	test_bits(1);
	test_lower(1);
	test_lower(2);
	test_copy();
	test_again(0);
	test_again(1);
	test_no_file();
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command) || plan();
}
