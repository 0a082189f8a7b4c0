/*
 * pack_seen.c - what a layer was made from, so that it can be looked at again
 */
#include "etlfs/bake/pack_seen.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RACY		2		/* s: no times of files are coarser */
#define LOOK_MAX	(PATH_MAX + 256)

static int64_t seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec;
}

/* times too: *changed becomes the later of it and the ctime */
static int put_stat(char *buf, size_t size, const struct stat *st,
		    int64_t *changed)
{
	if (st->st_ctim.tv_sec > *changed)
		*changed = st->st_ctim.tv_sec;
	return snprintf(buf, size, "%o %lld %lld.%09ld %lld.%09ld %llx %llu",
			st->st_mode, (long long)st->st_size,
			(long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			(long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec,
			(unsigned long long)st->st_dev,
			(unsigned long long)st->st_ino);
}

static int put_kind(char *buf, size_t size, const struct stat *st,
		    int64_t *changed)
{
	return S_ISDIR(st->st_mode) ? snprintf(buf, size, "folder") :
		put_stat(buf, size, st, changed);
}

static int put_error(char *buf, size_t size)
{
	return snprintf(buf, size, "error %d", errno);
}

static void look_path(const char *path, char *buf, size_t size,
		      int64_t *changed)
{
	struct stat st;
	ssize_t n;
	int at;

	if (lstat(path, &st)) {
		put_error(buf, size);
		return;
	}
	if (!S_ISLNK(st.st_mode)) {
		put_kind(buf, size, &st, changed);
		return;
	}
	at = snprintf(buf, size, "link ");
	n = readlink(path, buf + at, PATH_MAX);
	if (n < 0) {
		put_error(buf, size);
		return;
	}
	at += (int)n;
	buf[at++] = ' ';
	if (stat(path, &st))
		put_error(buf + at, size - at);
	else
		put_kind(buf + at, size - at, &st, changed);
}

/* buf: LOOK_MAX bytes; changed: the time of the last change, if it is later */
static void look_at(const char *path, enum tree_look how, char *buf,
		    int64_t *changed)
{
	struct stat st;
	char real[PATH_MAX];

	if (how == TREE_SAW_PATH)
		look_path(path, buf, LOOK_MAX, changed);
	else if (how == TREE_SAW_REAL && realpath(path, real))
		snprintf(buf, LOOK_MAX, "%s", real);
	else if (how == TREE_SAW_FOLDER && !stat(path, &st))
		put_stat(buf, LOOK_MAX, &st, changed);
	else
		put_error(buf, LOOK_MAX);
}

int seen_begin(struct seen *s)
{
	*s = (struct seen){
		.look = json_object(), .began = seconds(CLOCK_REALTIME),
		.steady = seconds(CLOCK_BOOTTIME),
	};
	return s->look ? 0 : -ENOMEM;
}

void seen_end(struct seen *s)
{
	json_decref(s->look);
	s->look = NULL;
}

/* a name in s->look: how, and an absolute path */
static int key_of(const char *path, enum tree_look how, char *buf, size_t size)
{
	char cwd[PATH_MAX];
	int n;

	if (*path == '/')
		n = snprintf(buf, size, "%d%s", how, path);
	else if (!getcwd(cwd, sizeof(cwd)))
		return -errno;
	else
		n = snprintf(buf, size, "%d%s/%s", how, cwd, path);
	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

void seen_add(struct seen *s, const char *path, enum tree_look how)
{
	char key[2 * PATH_MAX + 8], text[LOOK_MAX];
	int64_t changed = 0;

	if (s->doubt)
		return;
	if (how == TREE_SAW_UNKNOWN ||
	    key_of(path, how, key, sizeof(key)) < 0) {
		s->doubt = 1;
		return;
	}
	if (json_object_get(s->look, key))
		return;
	look_at(key + 1, how, text, &changed);
	/* names that are not UTF-8 cannot be put down */
	if (changed > s->began - RACY ||
	    json_object_set_new(s->look, key, json_string(text)))
		s->doubt = 1;
}

int seen_same(const json_t *look)
{
	const char *key, *was;
	json_t *v;
	int64_t changed = 0;
	char now[LOOK_MAX];

	json_object_foreach((json_t *)look, key, v) {
		was = json_string_value(v);
		if (!was || *key < '0' || *key > '0' + TREE_SAW_REAL)
			return 0;
		look_at(key + 1, (enum tree_look)(*key - '0'), now, &changed);
		if (strcmp(was, now))
			return 0;
	}
	return 1;
}

int seen_stands(const struct seen *s)
{
	int64_t now = seconds(CLOCK_REALTIME);
	int64_t lasted = seconds(CLOCK_BOOTTIME) - s->steady;

	/* where the clock was set meanwhile, times say nothing */
	if (s->doubt || llabs(now - s->began - lasted) > 1)
		return 0;
	return seen_same(s->look);
}
