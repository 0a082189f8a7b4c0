/*
 * fuzz_image.c - an image that was cut short, altered or made up
 *
 * An input that begins with 'M' or 'I' is the manifest or the index of an
 * image that is good otherwise; any other one is the image.
 *
 * Whatever image_open() accepts can be followed without another look: every
 * name leads to its node and back, every file's bytes are there, and the
 * manifest's fields are in range.  An altered one does not pass
 * image_verify().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/value.h"
#include "etlfs/image/image.h"
#include "etlfs/image/image_impl.h"
#include "etlfs/bake/pack.h"
#include "t/fuzz/fuzz.h"

const unsigned fuzz_runs = 20000;

static uint8_t good[FUZZ_MAX];
static size_t good_len, manifest_off, manifest_len, index_off, index_len;

static unsigned sum(const uint8_t *p, uint64_t len)
{
	unsigned s = 0;

	for (uint64_t i = 0; i < len; i++)
		s += p[i];
	return s;
}

static void check_node(const struct image *img, uint32_t i)
{
	const struct etlfs_node *n = &image_nodes(img)[i];
	volatile unsigned seen = 0;
	char path[4096];
	int rc = image_node_path(img, i, path, sizeof(path));

	MUST(rc == 0 || rc == -ENAMETOOLONG);
	if (rc == 0)
		MUST(path[0] == '/' && image_lookup(img, path) == n);
	MUST(n->layer < ETLFS_LAYERS);
	MUST(!S_ISREG(n->mode) || n->off % IMAGE_PAGE == 0);
	if (S_ISREG(n->mode))
		seen = sum(img->map + n->off, n->size);
	else if (S_ISLNK(n->mode))
		seen = sum((const uint8_t *)image_names(img) + n->off,
			   n->size);
	(void)seen;
}

static void check_meta(const struct image *img)
{
	MUST(value_name_ok(img->name) && *img->handler && *img->version);
	MUST(!strcmp(img->argv[0], img->interpreter));
	MUST(img->memory && img->memory <= 8ull << 30);
	MUST(img->files && img->files <= 8ull << 30 && img->timeout_ns);
	MUST(strlen(img->digest) == 64);
	for (int i = 0; i < ETLFS_LAYERS; i++)
		MUST(img->layer[i].off <= img->size &&
		     img->layer[i].len <= img->size - img->layer[i].off);
}

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	return fd;
}

static void fill(struct tree *t)
{
	MUST(tree_add_data(t, "/bin/py", "#!", 2, 0, NULL) >= 0);
	MUST(tree_add_data(t, "/lib/empty", "", 0, 0, NULL) >= 0);
	MUST(tree_add_data(t, "/lib/text", "some text", 9, 0, NULL) >= 0);
	MUST(tree_add_link(t, "/lib64", "/lib", 0, NULL) >= 0);
	MUST(tree_add_data(t, "/packages/a/b/c", "deep", 4, 1, NULL) >= 0);
	MUST(tree_add_dir(t, "/packages/none", 1, NULL) >= 0);
	MUST(tree_add_data(t, "/app/app.py", "def", 3, 2, NULL) >= 0);
}

static void make_good(void)
{
	char *argv[] = { "/bin/py", "-I", NULL }, *env[] = { "A=b", NULL };
	char *egress[] = { "http://a/", NULL };
	struct image meta = {
		.name = "test", .handler = "app.handler",
		.interpreter = "/bin/py", .version = "3.11.2", .argv = argv,
		.env = env, .egress = egress, .memory = 64 << 20,
		.files = 32 << 20, .timeout_ns = 5000000000ull,
	};
	int fd = memfd_create("image", MFD_CLOEXEC);
	const struct etlfs_head *h;
	struct tree *t = NULL;
	struct err err;
	ssize_t len;
	uint8_t *p;

	MUST(fd >= 0 && tree_create(&t, &err) == 0);
	fill(t);
	MUST(pack_write(t, &meta, fd, NULL, NULL, &err) == 0);
	tree_destroy(t);
	len = pread(fd, good, sizeof(good), 0);
	close(fd);
	MUST(len > 0 && len < FUZZ_MAX);
	good_len = (size_t)len;
	p = memmem(good, good_len, "{", 1);
	MUST(p);
	manifest_off = (size_t)(p - good);
	manifest_len = strlen((char *)p);
	for (index_off = 0; index_off < good_len; index_off += IMAGE_PAGE) {
		h = (void *)(good + index_off);
		if (h->magic == ETLFS_INDEX_MAGIC)
			break;
	}
	MUST(index_off < good_len);
	index_len = h->total_len;
}

/* the image that an input stands for, in buf: its length */
static size_t image_of(const uint8_t *data, size_t size, uint8_t *buf)
{
	size_t room;

	if (!size || (data[0] != 'M' && data[0] != 'I')) {
		memcpy(buf, data, size);
		return size;
	}
	memcpy(buf, good, good_len);
	if (data[0] == 'M') {
		memset(buf + manifest_off, ' ', manifest_len);
		room = manifest_len;
		buf += manifest_off;
	} else {
		room = good_len - IMAGE_TAIL - index_off;
		buf += index_off;
	}
	memcpy(buf, data + 1, size - 1 < room ? size - 1 : room);
	return good_len;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
	static uint8_t data[FUZZ_MAX];
	struct err err = { "" };
	struct image *img = NULL, *heads = NULL;
	char path[64];
	size_t size;
	int fd, rc, again;

	if (!good_len)
		make_good();
	if (input_len > FUZZ_MAX)
		return 0;
	size = image_of(input, input_len, data);
	fd = file_of(data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = image_open_heads(&heads, path, &err);
	rc = image_open(&img, path, &err);
	close(fd);
	/* whoever reads the heads alone takes the same images */
	MUST(again == rc);
	if (heads)
		MUST(!strcmp(heads->name, img->name) &&
		     heads->index->nodes == img->index->nodes);
	image_close(heads);
	if (rc < 0) {
		/* a refusal names the file, in one line */
		MUST(!img && strstr(err.msg, path) && !strchr(err.msg, '\n'));
		return 0;
	}
	MUST(img->size == size && !memcmp(img->map, data, size));
	for (uint32_t i = 0; i < img->index->nodes; i++)
		check_node(img, i);
	check_meta(img);
	rc = image_verify(img, &err);
	/* under the good one's digest only the good one */
	if (size == good_len && !memcmp(img->digest, good + size - IMAGE_TAIL +
					512, 64))
		MUST(rc == (memcmp(data, good, size - IMAGE_TAIL) ?
			    -EBADMSG : 0));
	image_close(img);
	return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *out)
{
	if (!good_len)
		make_good();
	switch (n) {
	case 0:
		memcpy(out, good, good_len);
		return good_len;
	case 1:
		out[0] = 'M';
		memcpy(out + 1, good + manifest_off, manifest_len);
		return manifest_len + 1;
	case 2:
		out[0] = 'I';
		memcpy(out + 1, good + index_off, index_len);
		return index_len + 1;
	default:
		return 0;
	}
}
