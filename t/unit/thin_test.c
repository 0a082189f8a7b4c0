/*
 * thin_test.c - thin images: the same as whole ones, by layers of a store; and
 * those that somebody made by hand
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/bake/pack.h"
#include "etlfs/image/image_impl.h"
#include "etlfs/store/store.h"
#include "t/unit/tap.h"

#define TEXT "what a file of the runtime holds"

static char dir[64], store_path[96], thin_path[96], whole_path[96];
static struct image thin, whole;	/* as they were written */

static int remove_one(const char *name, const struct stat *st, int type,
		      struct FTW *ftw)
{
	return remove(name);
}

static void write_image(struct image *meta, struct store *s, const char *path)
{
	static char *argv[] = { "/bin/py", NULL }, *env[] = { "A=b", NULL };
	const struct image all = {
		.name = "test", .handler = "app.handler",
		.interpreter = "/bin/py", .version = "3.11.2", .argv = argv,
		.env = env, .memory = 64 << 20, .files = 32 << 20,
		.timeout_ns = 5000000000ull, .thin = s != NULL,
	};
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err err = { "" };
	struct tree *t = NULL;

	*meta = all;
	if (fd < 0 || tree_create(&t, &err) ||
	    tree_add_data(t, "/lib/text", TEXT, strlen(TEXT), 0, &err) < 0 ||
	    tree_add_data(t, "/packages/p", "p", 1, 1, &err) < 0 ||
	    tree_add_data(t, "/app/app.py", "app", 3, 2, &err) < 0 ||
	    pack_write(t, meta, fd, s, NULL, NULL, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	tree_destroy(t);
	close(fd);
}

static int opened(struct image **img, int heads, struct err *err)
{
	return heads ? image_open_heads(img, thin_path, store_path, err) :
		image_open(img, thin_path, store_path, err);
}

static void test_same(int heads)
{
	const char *how = heads ? "its heads alone" : "all of it";
	struct image *img = NULL, *other = NULL;
	struct err err = { "" };
	uint32_t n;

	ok(!opened(&img, heads, &err), "%s: it opens: %s", how, err.msg);
	if (!img)
		return;
	ok(!image_open(&other, whole_path, NULL, &err), "the whole one, too");
	n = image_lookup(img, "/lib/text");
	ok(!strcmp(img->digest, whole.digest) && img->nodes == other->nodes &&
	   n == image_lookup(other, "/lib/text"), "%s: it is the same", how);
	ok(heads || !memcmp(image_data(img, n), TEXT, strlen(TEXT)),
	   "%s: a file in the store", how);
	ok(!image_verify(img, &err), "%s: the digests: %s", how, err.msg);
	ok(image_bytes(img) > img->size && image_bytes(other) == other->size,
	   "%s: its bytes", how);
	image_close(img);
	image_close(other);
}

/* what is open stays what it was, whatever becomes of the store */
static void test_kept(void)
{
	struct image *img = NULL, *copy = NULL, *other = NULL;
	struct err err = { "" };
	struct store *s;
	char name[256];
	int fd = -1;

	if (opened(&img, 0, &err) || image_open(&other, whole_path, NULL, &err))
		return;
	snprintf(name, sizeof(name), "%s/layers/sha256-%s", store_path,
		 img->layer[0].digest);
	unlink(name);
	ok(!memcmp(image_data(img, image_lookup(img, "/lib/text")), TEXT,
		   strlen(TEXT)), "a file of a layer that is gone");
	ok(!image_verify(img, &err), "its digest: %s", err.msg);
	fd = image_copy(img, dir, &err);
	ok(fd >= 0 && !image_open_copy(&copy, thin_path, img, dup(fd), &err) &&
	   !image_verify(copy, &err), "a copy has the layers: %s", err.msg);
	image_close(copy);
	ok(fd >= 0 && image_open_copy(&copy, thin_path, other, fd, &err) ==
	   -ESTALE, "one of another image is none: %s", err.msg);
	image_close(img);
	image_close(other);
	ok(opened(&img, 0, &err) == -ENOENT && strstr(err.msg, store_path) &&
	   strstr(err.msg, "(runtime) is not in"), "who comes later: %s",
	   err.msg);
	if (store_open(&s, store_path, 0, &err) == 0) {
		write_image(&thin, s, thin_path);
		store_close(s);
	}
	err.msg[0] = '\0';
	ok(!opened(&img, 0, &err), "it is written again: %s", err.msg);
	image_close(img);
}

/* len bytes at off of the file, or another length; and as it was again */
static void changed(const char *what, uint64_t off, const char *bytes,
		    size_t len, off_t size, const char *says)
{
	int fd = open(thin_path, O_RDWR | O_CLOEXEC);
	struct image *img = NULL;
	struct err err = { "" };
	struct stat st;
	char *was = malloc(len + 1);
	int rc;

	if (fstat(fd, &st) || pread(fd, was, len, off) != (ssize_t)len ||
	    pwrite(fd, bytes, len, off) != (ssize_t)len ||
	    (size && ftruncate(fd, size)))
		exit(1);
	for (int heads = 0; heads < 2; heads++) {
		rc = opened(&img, heads, &err);
		ok(rc && strstr(err.msg, says) && !strchr(err.msg, '\n'),
		   "%s: %s", what, err.msg);
	}
	if (pwrite(fd, was, len, off) != (ssize_t)len ||
	    ftruncate(fd, st.st_size))
		exit(1);
	free(was);
	close(fd);
}

/* where a text is in the file, from off on */
static uint64_t find(uint64_t off, const char *text)
{
	static char buf[16384];
	int fd = open(thin_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = pread(fd, buf, sizeof(buf), (off_t)off);
	char *at = n > 0 ? memmem(buf, n, text, strlen(text)) : NULL;

	close(fd);
	if (!at) {
		printf("Bail out! no '%s'\n", text);
		exit(1);
	}
	return off + (uint64_t)(at - buf);
}

static void test_changed(void)
{
	uint64_t layers = find(thin.manifest.off, "\"layers\"");
	uint64_t runtime = find(layers, thin.layer[0].digest);
	uint64_t packages = find(layers, thin.layer[1].digest);
	uint64_t size = find(layers, "\"size\": ") + 8;
	char far[65], more[32];

	changed("another word for thin", find(0, "usetl.thin"), "usetl.thim",
		10, 0, "not a usetl image");
	changed("thin or not", find(0, "\"true\""), "\"tru\" ", 6, 0,
		"not a usetl image");
	changed("whole, without its layers", find(0, ",\"annotations\""),
		"}\n                                   ", 37, 0,
		"not a usetl image");
	changed("one byte less", 0, "", 0, (off_t)thin.size - 1,
		"is truncated");
	changed("one byte more", 0, "", 0, (off_t)thin.size + 1,
		"something behind its end");
	snprintf(more, sizeof(more), "%llu",
		 (unsigned long long)thin.layer[0].len + IMAGE_PAGE);
	changed("another length", size, more, strlen(more), 0,
		"cannot be used: it was cut short");
	memset(far, '/', 64);
	memcpy(far, "../../../", 9);
	changed("a digest that is a path", runtime, far, 64, 0,
		"not a usetl image");
	memset(far, 'a', 64);
	changed("a digest of nothing", runtime, far, 64, 0,
		"layer aaaaaaaaaaaa (runtime) is not in the store");
	ok(thin.layer[0].len == thin.layer[1].len, "both have one length");
	changed("one layer twice", packages, thin.layer[0].digest, 64, 0,
		"its index is not whole");
	changed("another layer in its place", runtime, thin.layer[1].digest,
		64, 0, "its index is not whole");
}

static void test_store(void)
{
	struct image *img = NULL;
	struct err err = { "" };

	setenv("XDG_DATA_HOME", dir, 1);
	ok(image_open(&img, thin_path, NULL, &err) == -ENOENT &&
	   strstr(err.msg, "there is no store"), "the user has none: %s",
	   err.msg);
	unsetenv("XDG_DATA_HOME");
	unsetenv("HOME");
	if (geteuid())
		ok(image_open(&img, thin_path, NULL, &err) < 0 &&
		   strstr(err.msg, "HOME is not set"), "nor a HOME: %s",
		   err.msg);
	ok(image_open(&img, thin_path, thin_path, &err) == -ENOTDIR,
	   "a store that is a file: %s", err.msg);
}

int main(void)
{
	struct err err = { "" };
	struct store *s;

	setlocale(LC_CTYPE, "C.UTF-8");
	snprintf(dir, sizeof(dir), "/tmp/usetl-t.XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(store_path, sizeof(store_path), "%s/store", dir);
	snprintf(thin_path, sizeof(thin_path), "%s/thin", dir);
	snprintf(whole_path, sizeof(whole_path), "%s/whole", dir);
	if (store_open(&s, store_path, 1, &err) < 0)
		return 1;
	write_image(&whole, NULL, whole_path);
	write_image(&thin, s, thin_path);
	store_close(s);
	ok(!strcmp(thin.digest, whole.digest) && thin.size < whole.size,
	   "a thin image has the whole one's digest");
	test_same(0);
	test_same(1);
	test_changed();
	test_kept();
	test_store();
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return plan();
}
