/*
 * fuzz_image.c - an image that was cut short, altered or made up
 *
 * An input that begins with 'M' or 'C' is the manifest or the config of an
 * image that is good otherwise, one with '0', '1' or '2' the index of a layer;
 * one with 'I' or 'T' is index.json or the manifest of a thin one, whose layers
 * are in a store; any other one is the image.
 *
 * Whatever image_open() accepts can be followed without another look: every
 * name leads to its node and back, every file's bytes are there, and the
 * manifest's fields are in range.  An altered one does not pass
 * image_verify().
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/value.h"
#include "etlfs/image/image.h"
#include "etlfs/image/image_impl.h"
#include "etlfs/bake/pack.h"
#include "etlfs/store/store.h"
#include "t/fuzz/fuzz.h"

const unsigned fuzz_runs = 20000;

struct good {
	uint8_t data[FUZZ_MAX];
	size_t len;
	struct image meta;
};
static struct good whole, thin;
static char store[64];

/* what an input can begin with, and what it then lies over */
static const char kinds[] = "MC012IT";
static struct part {
	const struct good *of;
	struct image_blob at;
	int text;			/* what is over is blank, and no rest */
} part[sizeof(kinds) - 1];

static unsigned sum(const uint8_t *p, uint64_t len)
{
	unsigned s = 0;

	for (uint64_t i = 0; i < len; i++)
		s += p[i];
	return s;
}

static void check_node(const struct image *img, uint32_t i)
{
	const struct etlfs_node *n = image_node(img, i);
	volatile unsigned seen = 0;
	char path[4096];
	size_t len;
	int rc = image_node_path(img, i, path, sizeof(path));
	const char *target;

	MUST(rc == 0 || rc == -ENAMETOOLONG || rc == -ENOENT);
	if (rc == 0)
		MUST(path[0] == '/' && image_lookup(img, path) == i);
	MUST(n->layer < ETLFS_LAYERS);
	MUST(!S_ISREG(n->mode) || n->off % IMAGE_PAGE == 0);
	if (S_ISREG(n->mode)) {
		seen = sum(image_data(img, i), n->size);
	} else if (S_ISLNK(n->mode)) {
		target = image_target(img, i, &len);
		seen = sum((const uint8_t *)target, len);
	}
	(void)seen;
}

struct walk {
	const struct image *img;
	uint32_t seen;
};

/* what is listed is found by its path, and there is an end of it */
static int check_list(void *arg, uint32_t node)
{
	struct walk *w = arg;
	char path[8192];
	int rc = image_node_path(w->img, node, path, sizeof(path));

	MUST(rc == 0 || rc == -ENAMETOOLONG);
	MUST(++w->seen <= w->img->nodes);
	return S_ISDIR(image_node(w->img, node)->mode) ?
		image_list(w->img, node, check_list, w) : 0;
}

static void check_meta(const struct image *img)
{
	MUST(value_name_ok(img->name) && *img->handler && *img->version);
	MUST(!strcmp(img->argv[0], img->interpreter));
	MUST(img->memory && img->memory <= 8ull << 30);
	MUST(img->files && img->files <= 8ull << 30 && img->timeout_ns);
	MUST(strlen(img->digest) == 64);
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		MUST(l->stored ? img->thin && !l->off : l->off <= img->size &&
		     l->len <= img->size - l->off);
		MUST(l->off % IMAGE_PAGE == 0 && l->addr % ETLFS_ALIGN == 0);
		MUST(!l->len || (l->addr >= UK_IMAGE_BASE &&
				 l->addr + l->len <= UK_IMAGE_END));
	}
}

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	return fd;
}

/* few files: each takes two pages */
static void fill(struct tree *t)
{
	MUST(tree_add_data(t, "/lib/empty", "", 0, 0, NULL) >= 0);
	MUST(tree_add_data(t, "/lib/text", "some text", 9, 0, NULL) >= 0);
	MUST(tree_add_link(t, "/lib64", "/lib", 0, NULL) >= 0);
	MUST(tree_add_link(t, "/packages/a/b/c", "deep", 1, NULL) >= 0);
	MUST(tree_add_data(t, "/lib/text", "other", 5, 1, NULL) >= 0);
	MUST(tree_add_dir(t, "/packages/none", 1, NULL) >= 0);
	MUST(tree_add_link(t, "/packages/a/d", "d", 2, NULL) >= 0);
	MUST(tree_add_data(t, "/app/app.py", "def", 3, 2, NULL) >= 0);
}

static int remove_one(const char *name, const struct stat *st, int type,
		      struct FTW *ftw)
{
	return remove(name);
}

static void remove_store(void)
{
	nftw(store, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* with a store it is thin */
static void make(struct good *g, struct store *s)
{
	static char *argv[] = { "/bin/py", "-I", NULL }, *env[] = { "A=b", NULL };
	static char *egress[] = { "http://a/", NULL };
	const struct image full = {
		.name = "test", .handler = "app.handler",
		.interpreter = "/bin/py", .version = "3.11.2", .argv = argv,
		.env = env, .egress = egress, .memory = 64 << 20,
		.files = 32 << 20, .timeout_ns = 5000000000ull,
		.thin = s != NULL,
	};
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct tree *t = NULL;
	struct err err;
	ssize_t len;

	g->meta = full;
	MUST(fd >= 0 && tree_create(&t, &err) == 0);
	fill(t);
	MUST(pack_write(t, &g->meta, fd, s, NULL, NULL, &err) == 0);
	tree_destroy(t);
	len = pread(fd, g->data, sizeof(g->data), 0);
	close(fd);
	MUST(len > 0 && len < FUZZ_MAX);
	g->len = (size_t)len;
}

static void make_good(void)
{
	struct store *s;
	struct err err;
	char *at;

	strcpy(store, "/tmp/usetl-fuzz.XXXXXX");
	MUST(mkdtemp(store) && store_open(&s, store, 1, &err) == 0);
	atexit(remove_store);
	make(&whole, NULL);
	make(&thin, s);
	store_close(s);
	part[0] = (struct part){ &whole, whole.meta.manifest, 1 };
	part[1] = (struct part){ &whole, whole.meta.config, 1 };
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &whole.meta.layer[i];
		const struct etlfs_head *h;

		part[2 + i].of = &whole;
		part[2 + i].at.off = l->off + l->index_off;
		h = (void *)(whole.data + part[2 + i].at.off);
		MUST(h->magic == ETLFS_INDEX_MAGIC);
		part[2 + i].at.len = h->total_len;
	}
	at = memmem(thin.data, thin.len, "{\"schemaVersion", 15);
	MUST(at);
	part[5] = (struct part){ &thin, {
		.off = (uint64_t)((uint8_t *)at - thin.data),
		.len = strcspn(at, "\n") }, 1 };
	part[6] = (struct part){ &thin, thin.meta.manifest, 1 };
}

/* the image that an input stands for, in buf: its length */
static size_t image_of(const uint8_t *data, size_t size, uint8_t *buf)
{
	const char *kind = size && data[0] ? strchr(kinds, data[0]) : NULL;
	const struct image_blob *b;
	const struct part *p;

	if (!kind) {
		memcpy(buf, data, size);
		return size;
	}
	p = &part[kind - kinds];
	b = &p->at;
	memcpy(buf, p->of->data, p->of->len);
	if (p->text)
		memset(buf + b->off, ' ', b->len);
	memcpy(buf + b->off, data + 1, size - 1 < b->len ? size - 1 : b->len);
	return p->of->len;
}

static int is_good(const uint8_t *data, size_t size)
{
	const struct good *const all[] = { &whole, &thin };

	for (int i = 0; i < 2; i++)
		if (size == all[i]->len && !memcmp(data, all[i]->data, size))
			return 1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
	static uint8_t data[FUZZ_MAX];
	struct err err = { "" };
	struct image *img = NULL, *heads = NULL;
	char path[64];
	size_t size;
	int fd, rc, again;

	if (!whole.len)
		make_good();
	if (input_len > FUZZ_MAX)
		return 0;
	size = image_of(input, input_len, data);
	fd = file_of(data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = image_open_heads(&heads, path, store, &err);
	rc = image_open(&img, path, store, &err);
	close(fd);
	/* whoever reads the heads alone takes the same images */
	MUST(again == rc);
	if (heads)
		MUST(!strcmp(heads->name, img->name) &&
		     heads->nodes == img->nodes);
	image_close(heads);
	if (rc < 0) {
		/* a refusal names the file, in one line */
		MUST(!img && strstr(err.msg, path) && !strchr(err.msg, '\n'));
		return 0;
	}
	MUST(img->size == size && !memcmp(img->map, data, size));
	for (uint32_t i = 0; i < img->nodes; i++)
		check_node(img, i);
	MUST(check_list(&(struct walk){ .img = img }, 0) == 0);
	check_meta(img);
	rc = image_verify(img, &err);
	/* under the good ones' digest only these */
	if (!memcmp(img->digest, whole.meta.digest, 64))
		MUST(size == (img->thin ? &thin : &whole)->len &&
		     rc == (is_good(data, size) ? 0 : -EBADMSG));
	image_close(img);
	return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *out)
{
	const struct part *p;

	if (!whole.len)
		make_good();
	if (n < 2) {
		const struct good *g = n ? &thin : &whole;

		memcpy(out, g->data, g->len);
		return g->len;
	}
	n -= 2;
	if (n >= sizeof(kinds) - 1)
		return 0;
	p = &part[n];
	out[0] = (uint8_t)kinds[n];
	memcpy(out + 1, p->of->data + p->at.off, p->at.len);
	return p->at.len + 1;
}
