/* saved.c - a snapshot in a file by itself (saved.h) */
#include "vmm/guest/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xxhash.h>

#include "conf/nstime.h"
#include "unikernel/abi.h"
#include "vmm/tender/signature.h"

#define CHUNK		((size_t)256 << 10)

int saved_here(struct saved_head *h, enum tender_kind tender)
{
	struct utsname u;

	memset(h, 0, sizeof(*h));
	h->magic = SAVED_MAGIC;
	h->tender = tender;
	h->processor = signature_here(0);
	h->made = (int64_t)nstime_of(CLOCK_REALTIME);
	if (uname(&u) == 0)
		snprintf(h->kernel, sizeof(h->kernel), "%s %s", u.release,
			 u.version);
	return build_id(h->build);
}

/* all of it, from and to any place; -EBADMSG: `from` ends before */
static int copy(int from, uint64_t at, int to, uint64_t to_at, uint64_t len,
		XXH3_state_t *sum)
{
	uint8_t *buf = malloc(CHUNK);
	int rc = buf ? 0 : -ENOMEM;

	while (rc == 0 && len) {
		ssize_t n = pread(from, buf, len < CHUNK ? len : CHUNK,
				  (off_t)at), done = 0, k;

		if (n <= 0)
			rc = n < 0 ? -errno : -EBADMSG;
		for (; rc == 0 && done < n; done += k) {
			k = pwrite(to, buf + done, (size_t)(n - done),
				   (off_t)to_at + done);
			if (k <= 0)
				rc = k < 0 ? -errno : -ENOSPC;
		}
		if (rc == 0) {
			XXH3_64bits_update(sum, buf, (size_t)n);
			at += (uint64_t)n;
			to_at += (uint64_t)n;
			len -= (uint64_t)n;
		}
	}
	free(buf);
	return rc;
}

static uint64_t head_sum(const struct saved_head *h)
{
	return XXH3_64bits(h, offsetof(struct saved_head, head_sum));
}

int saved_write(int fd, struct saved_head *h, const int from[], struct err *err)
{
	XXH3_state_t *sum = XXH3_createState();
	uint64_t at = SAVED_HEAD;
	int rc = sum && XXH3_64bits_reset(sum) == XXH_OK ? 0 : -ENOMEM;

	for (uint32_t i = 0; rc == 0 && i < h->parts; i++) {
		h->part[i].off = at;
		rc = copy(from[i], 0, fd, at, h->part[i].len, sum);
		at += h->part[i].len;
	}
	if (rc == 0)
		h->sum = XXH3_64bits_digest(sum);
	XXH3_freeState(sum);
	h->head_sum = head_sum(h);
	errno = ENOSPC;
	if (rc == 0 && (pwrite(fd, h, sizeof(*h), 0) != sizeof(*h) ||
			ftruncate(fd, (off_t)at) < 0 || fsync(fd) < 0))
		rc = -errno;
	return rc == 0 ? 0 : err_set(err, rc, "%s", strerror(-rc));
}

/* fd is closed */
static uint64_t magic_take(int fd)
{
	uint64_t magic;

	if (read(fd, &magic, sizeof(magic)) != sizeof(magic))
		magic = 0;
	close(fd);
	return magic;
}

int saved_replaceable(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return errno == ENOENT;
	fd = S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return 0;
	return magic_take(fd) == SAVED_MAGIC || !st.st_size;
}

int saved_no_image(const char *path, int rc, struct err *err)
{
	/* only to look: of a pipe nothing is waited for */
	int fd = rc != -EINVAL ? -1 :
		 open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || magic_take(fd) != SAVED_MAGIC)
		return rc;
	return err_set(err, rc, "'%.400s' is a snapshot, and no image; go on "
		       "from it: usetl invoke --from '%.400s'", path, path);
}

/* reading */

static int ends(const char *s, size_t size)
{
	return strnlen(s, size) < size;
}

/* BASE, any number of DELTA, and RUN and HOST or neither */
static int kind_ok(const struct saved_head *h, uint32_t i)
{
	uint32_t kind = h->part[i].kind, n = h->parts;

	if (kind == SAVED_HOST)
		return i == n - 1 && n > 2;
	return i <= RAM_DELTAS &&
	       kind == (!i ? SAVED_BASE : saved_runs(h) && i == n - 2 ?
			SAVED_RUN : SAVED_DELTA);
}

/* parts one after the other, to the file's end, and of a kind each */
static int parts_ok(const struct saved_head *h, uint64_t size)
{
	uint64_t at = SAVED_HEAD;

	if (!h->parts || h->parts > SAVED_PARTS)
		return 0;
	for (uint32_t i = 0; i < h->parts; i++) {
		const struct saved_part *p = &h->part[i];

		if (!kind_ok(h, i) || p->off != at || !p->len || p->len % UK_PAGE ||
		    p->len > size - at)
			return 0;
		at += p->len;
	}
	return at == size;
}

/* with the page that it has to itself */
union head_page {
	struct saved_head h;
	uint8_t bytes[SAVED_HEAD];
};

static int rest_is_zero(const union head_page *p)
{
	for (size_t i = sizeof(p->h); i < sizeof(*p); i++)
		if (p->bytes[i])
			return 0;
	return 1;
}

/* n bytes of it were read */
static const char *head_wrong(const union head_page *p, ssize_t n,
			      uint64_t size)
{
	const struct saved_head *h = &p->h;

	if (n < (ssize_t)sizeof(h->magic) || h->magic != SAVED_MAGIC)
		return "it is no snapshot of this version of usetl";
	if (n < (ssize_t)sizeof(*p) || !rest_is_zero(p) || h->head_sum != head_sum(h) ||
	    !ends(h->build, sizeof(h->build)) ||
	    !ends(h->kernel, sizeof(h->kernel)) ||
	    !ends(h->image, sizeof(h->image)) ||
	    !ends(h->digest, sizeof(h->digest)) ||
	    !ends(h->name, sizeof(h->name)) || !parts_ok(h, size))
		return "it was cut short or changed";
	return NULL;
}

/* what was summed is what is used */
static int part_take(struct saved *s, uint32_t i, int fd, XXH3_state_t *sum)
{
	const struct saved_part *p = &s->head.part[i];
	int rc;

	s->fd[i] = memfd_create("usetl-saved", MFD_CLOEXEC |
				MFD_ALLOW_SEALING);
	if (s->fd[i] < 0)
		return -errno;
	rc = copy(fd, p->off, s->fd[i], 0, p->len, sum);
	if (rc == 0 && fcntl(s->fd[i], F_ADD_SEALS, F_SEAL_SEAL |
			     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		rc = -errno;
	return rc;
}

static int parts_take(struct saved *s, int fd)
{
	XXH3_state_t *sum = XXH3_createState();
	int rc = sum && XXH3_64bits_reset(sum) == XXH_OK ? 0 : -ENOMEM;

	for (uint32_t i = 0; rc == 0 && i < s->head.parts; i++)
		rc = part_take(s, i, fd, sum);
	if (rc == 0 && XXH3_64bits_digest(sum) != s->head.sum)
		rc = -EBADMSG;
	XXH3_freeState(sum);
	return rc;
}

static const char *owner_wrong(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is no file";
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "it is another user's";
	return st->st_mode & 022 ? "others may write it" : NULL;
}

static int refuse(const char *path, const char *why, struct err *err)
{
	return err_set(err, -EINVAL, "snapshot '%s': %s", path, why);
}

static int take(struct saved *s, int fd, const char *path, struct err *err)
{
	union head_page page;
	const char *wrong;
	struct stat st;
	ssize_t n;
	int rc;

	if (fstat(fd, &st) < 0)
		return refuse(path, strerror(errno), err);
	wrong = owner_wrong(&st);
	if (wrong)
		return refuse(path, wrong, err);
	n = pread(fd, &page, sizeof(page), 0);
	if (n < 0)
		return refuse(path, strerror(errno), err);
	wrong = head_wrong(&page, n, (uint64_t)st.st_size);
	if (wrong)
		return refuse(path, wrong, err);
	s->head = page.h;
	rc = parts_take(s, fd);
	return rc == 0 ? 0 : refuse(path, rc == -EBADMSG ?
				    "it was cut short or changed" :
				    strerror(-rc), err);
}

int saved_open(struct saved **out, const char *path, struct err *err)
{
	/* no FIFO is waited for */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;
	struct saved *s;

	if (fd < 0)
		return refuse(path, strerror(errno), err);
	s = calloc(1, sizeof(*s));
	if (!s) {
		close(fd);
		return refuse(path, strerror(ENOMEM), err);
	}
	for (int i = 0; i < SAVED_PARTS; i++)
		s->fd[i] = -1;
	rc = take(s, fd, path, err);
	close(fd);
	if (rc < 0)
		saved_close(s);
	else
		*out = s;
	return rc;
}

void saved_close(struct saved *s)
{
	if (!s)
		return;
	for (int i = 0; i < SAVED_PARTS; i++)
		if (s->fd[i] >= 0)
			close(s->fd[i]);
	free(s);
}

int saved_fits(const struct saved *s, enum tender_kind tender,
	       const char *path, struct err *err)
{
	const struct saved_head *h = &s->head;
	struct saved_head here;

	if (saved_here(&here, tender) < 0 || strcmp(h->build, here.build))
		return refuse(path, "it is of another build of usetl", err);
	if (strcmp(h->kernel, here.kernel))
		return refuse(path, "it is of another kernel", err);
	if (h->processor != here.processor)
		return refuse(path, "it is of another processor", err);
	if (h->tender == here.tender)
		return 0;
	return err_set(err, -EINVAL, "snapshot '%s': it was made by another "
		       "tender; `usetl invoke --tender=%s --from %s` goes on "
		       "with that", path, tender_words[h->tender], path);
}
