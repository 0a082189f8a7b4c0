/*
 * cgroup.c - a cgroup for each function, where one is delegated to the server
 *
 * Files of a cgroup: the kernel's Documentation/admin-guide/cgroup-v2.rst.
 * A cgroup that hands a controller on to those below it holds no processes
 * itself, so the server leaves it before that, and comes back after.
 */
#include "vmm/host/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "conf/value.h"

#define PREFIX		"usetl-"
#define SUBTREE		"cgroup.subtree_control"
#define NAME_ROOM	(VALUE_NAME_MAX + 64)
#define WAIT_MS		1000		/* for the last process to end */

struct cgroup {
	int dir;			/* PATH */
	pid_t pid;
};

/* files in a cgroup, and in proc */

/* text, without what does not fit; -errno */
static ssize_t read_at(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : read(fd, text, size - 1);

	if (fd >= 0 && n < 0)
		n = -errno;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n;
}

static int write_at(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

static int has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	while (*text) {
		if (strcspn(text, " \n") == len && !strncmp(text, word, len))
			return 1;
		text += strcspn(text, " \n");
		text += strspn(text, " \n");
	}
	return 0;
}

static int may_write(int dir, const char *name)
{
	return faccessat(dir, name, W_OK, AT_EACCESS) == 0;
}

/* what is in it; NULL: it cannot be read */
static DIR *list(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !d)
		close(fd);
	return d;
}

/* where this process is */

/* proc(5), mountinfo: \ooo stands for a blank, a backslash */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		*to = *s;
		if (*s == '\\' && s[1] && s[2] && s[3]) {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				     (s[3] - '0'));
			s += 3;
		}
	}
	*to = '\0';
}

static FILE *open_proc(const char *root, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/proc/self/%s", root, name);
	return fopen(path, "re");
}

/* cgroups(7), "/proc/pid/cgroup": 0::PATH; malloc'ed, or NULL */
static char *own_path(const char *root)
{
	FILE *f = open_proc(root, "cgroup");
	char *line = NULL, *path = NULL;
	size_t size = 0;

	while (f && !path && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		/* of another namespace's cgroup nothing here is the name */
		if (!strncmp(line, "0::/", 4) && strncmp(line, "0::/..", 6))
			path = strdup(line + 3);
	}
	free(line);
	if (f)
		fclose(f);
	return path;
}

/* what of path lies below a mount's root; NULL: it is not in that mount */
static const char *below(const char *path, const char *mounted)
{
	size_t len = strcmp(mounted, "/") ? strlen(mounted) : 0;

	if (strncmp(path, mounted, len) || (path[len] && path[len] != '/'))
		return NULL;
	return strcmp(path + len, "/") ? path + len : "";
}

/*
 * The directory of own where mountinfo's line says that cgroups are, "" when
 * it is another's; *top: the bytes of it that are the mount point.
 */
static void mounted_at(const char *root, const char *own, char *line,
		       char *path, size_t *top)
{
	char *rest = line, *field[5];
	const char *in;

	*path = '\0';
	for (int i = 0; i < 5; i++)
		field[i] = strsep(&rest, " ");
	if (!rest || !strstr(rest, " - cgroup2 "))
		return;
	unescape(field[3]);
	unescape(field[4]);
	in = below(own, field[3]);
	if (in && snprintf(path, PATH_MAX, "%s%s%s", root, field[4], in) >=
	    PATH_MAX)
		*path = '\0';
	*top = strlen(root) + strlen(field[4]);
}

/* a directory of own; -1 when there is none to be seen */
static int locate(const char *root, char *path, size_t *top)
{
	char *own = own_path(root), *line = NULL;
	FILE *f = own ? open_proc(root, "mountinfo") : NULL;
	size_t size = 0;
	int dir = -1;

	while (f && dir < 0 && getline(&line, &size, f) > 0) {
		mounted_at(root, own, line, path, top);
		if (*path)
			dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	free(line);
	free(own);
	if (f)
		fclose(f);
	return dir;
}

/*
 * Does a cgroup, or one above it, have a weight?  The root of all has none, by
 * which its processes are in the scheduler's groups by session.
 */
static int has_share(const char *path, size_t top)
{
	char file[PATH_MAX];
	size_t len = strlen(path);

	for (;;) {
		snprintf(file, sizeof(file), "%.*s/cpu.weight", (int)len, path);
		if (access(file, F_OK) == 0)
			return 1;
		if (len <= top)
			return 0;
		while (path[--len] != '/')
			;
	}
}

/* set by systemd where a unit has Delegate=; the second since its 251 */
static int is_marked(int dir)
{
	static const char *const marks[] = {
		"trusted.delegate", "user.delegate",
	};
	char value;

	for (int i = 0; i < 2; i++)
		if (fgetxattr(dir, marks[i], &value, 1) == 1 && value == '1')
			return 1;
	return 0;
}

/* NULL when a cgroup is this process's to divide, else what is missing */
static const char *not_delegated(const char *root, int dir)
{
	char text[256], systemd[PATH_MAX];

	if (read_at(dir, "cgroup.controllers", text, sizeof(text)) < 0 ||
	    !has_word(text, "cpu"))
		return "without the cpu controller";
	/* threads of one process, or a domain that holds such */
	if (read_at(dir, "cgroup.type", text, sizeof(text)) < 0 ||
	    !strncmp(text, "threaded", 8) || strstr(text, "invalid"))
		return "of threads";
	if (!may_write(dir, ".") || !may_write(dir, "cgroup.procs") ||
	    !may_write(dir, SUBTREE))
		return "not this user's to write";
	snprintf(systemd, sizeof(systemd), "%s/run/systemd/system", root);
	if (geteuid() == 0 && access(systemd, F_OK) == 0 && !is_marked(dir))
		return "not delegated by systemd";
	return NULL;
}

static int is_alone(int dir)
{
	char text[64], self[32];

	/* 0 is whoever has no number here */
	snprintf(self, sizeof(self), "%d\n", (int)getpid());
	return read_at(dir, "cgroup.procs", text, sizeof(text)) > 0 &&
	       !strcmp(text, self);
}

/* another server has moved to a cgroup below it */
static int has_server(int dir)
{
	DIR *d = list(dir);
	char file[NAME_ROOM + 16], text[64];
	struct dirent *e;
	int found = 0, end, pid;

	while (d && !found && (e = readdir(d))) {
		end = 0;
		if (sscanf(e->d_name, PREFIX "%d.gateway%n", &pid, &end) != 1 ||
		    !end || e->d_name[end])
			continue;
		snprintf(file, sizeof(file), "%.*s/cgroup.procs", NAME_ROOM,
			 e->d_name);
		found = read_at(dir, file, text, sizeof(text)) > 0;
	}
	if (d)
		closedir(d);
	return found;
}

/* and *dir, unless -1, is its directory */
static enum cgroup_place find(const char *root, char *path, int *dir,
			      struct err *why)
{
	const char *missing;
	size_t top = 0;

	*dir = locate(root, path, &top);
	if (*dir < 0 || !has_share(path, top)) {
		err_set(why, 0, "in no cgroup of version 2 that has a share");
		return CGROUP_NONE;
	}
	missing = not_delegated(root, *dir);
	if (missing) {
		err_set(why, 0, "the cgroup '%s' is %s", path, missing);
		return CGROUP_FOREIGN;
	}
	if (has_server(*dir)) {
		err_set(why, 0, "the cgroup '%s' is another server's", path);
		return CGROUP_CROWDED;
	}
	if (!is_alone(*dir)) {
		err_set(why, 0, "in the cgroup '%s' are other processes", path);
		return CGROUP_CROWDED;
	}
	return CGROUP_OWN;
}

enum cgroup_place cgroup_find(const char *root, char *path, struct err *why)
{
	int dir;
	enum cgroup_place place = find(root, path, &dir, why);

	if (dir >= 0)
		close(dir);
	return place;
}

/* what is made below it */

/* one that is there has been left by a server of the same number */
static int make(const struct cgroup *c, const char *name)
{
	return mkdirat(c->dir, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int remove_at(const struct cgroup *c, const char *name)
{
	return unlinkat(c->dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int procs_of(const struct cgroup *c, const char *name)
{
	char file[NAME_ROOM + 16];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", name);
	fd = openat(c->dir, file, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int enter(const struct cgroup *c, const char *name)
{
	int procs = procs_of(c, name), rc;

	if (procs < 0)
		return procs;
	rc = cgroup_enter(procs);
	close(procs);
	return rc;
}

/* removes what is empty of server pid's, of any when it is 0; returns how many
   are not */
static unsigned sweep(const struct cgroup *c, pid_t pid)
{
	DIR *d = list(c->dir);
	struct dirent *e;
	int of;
	unsigned left = 0;
	char dot;

	while (d && (e = readdir(d)))
		if (sscanf(e->d_name, PREFIX "%d%c", &of, &dot) == 2 &&
		    dot == '.' && (!pid || of == pid))
			left += remove_at(c, e->d_name) == -EBUSY;
	if (d)
		closedir(d);
	return left;
}

/* a process here and a controller below would make it a cgroup of threads */
static int disable_cpu(const struct cgroup *c)
{
	char text[256];

	if (read_at(c->dir, SUBTREE, text, sizeof(text)) <= 0 ||
	    !has_word(text, "cpu"))
		return 0;
	return write_at(c->dir, SUBTREE, "-cpu");
}

static void leave(const struct cgroup *c)
{
	disable_cpu(c);
	enter(c, ".");
	for (int ms = 0; sweep(c, c->pid) && ms < WAIT_MS; ms++)
		usleep(1000);
}

static int settle(const struct cgroup *c, const char *path, struct err *err)
{
	const char *what = "disable the cpu controller";
	char leaf[NAME_ROOM];
	int rc;

	sweep(c, 0);
	rc = disable_cpu(c);
	snprintf(leaf, sizeof(leaf), PREFIX "%d.gateway", (int)c->pid);
	if (rc == 0) {
		what = "make another below";
		rc = make(c, leaf);
	}
	if (rc == 0) {
		what = "move to one below";
		rc = enter(c, leaf);
	}
	if (rc == 0) {
		what = "enable the cpu controller";
		rc = write_at(c->dir, SUBTREE, "+cpu");
	}
	if (rc == 0)
		return 0;
	leave(c);
	return err_set(err, rc, "cgroup '%s': cannot %s: %s", path, what,
		       strerror(-rc));
}

int cgroup_open(struct cgroup **out, const char *root, struct err *err)
{
	struct cgroup c = { .pid = getpid() };
	enum cgroup_place place;
	char path[PATH_MAX];
	int rc = 0;

	*out = NULL;
	place = find(root, path, &c.dir, err);
	if (place == CGROUP_OWN)
		rc = settle(&c, path, err);
	else if (place == CGROUP_CROWDED)
		rc = -EBUSY;
	if (place == CGROUP_OWN && rc == 0) {
		*out = malloc(sizeof(c));
		if (*out) {
			**out = c;
			return 0;
		}
		leave(&c);
		rc = err_set(err, -ENOMEM, "out of memory");
	}
	if (c.dir >= 0)
		close(c.dir);
	return rc;
}

void cgroup_close(struct cgroup *c)
{
	if (!c)
		return;
	leave(c);
	close(c->dir);
	free(c);
}

/* functions */

static void name_of(const struct cgroup *c, const char *function, uint64_t id,
		    char name[NAME_ROOM])
{
	snprintf(name, NAME_ROOM, PREFIX "%d.%.*s.%llu", (int)c->pid,
		 VALUE_NAME_MAX, function, (unsigned long long)id);
}

int cgroup_add(struct cgroup *c, const char *function, uint64_t id)
{
	char name[NAME_ROOM];
	int rc, procs;

	name_of(c, function, id, name);
	rc = make(c, name);
	if (rc < 0)
		return rc;
	procs = procs_of(c, name);
	if (procs < 0)
		remove_at(c, name);
	return procs;
}

int cgroup_remove(struct cgroup *c, const char *function, uint64_t id)
{
	char name[NAME_ROOM];

	if (!c)
		return 0;
	name_of(c, function, id, name);
	return remove_at(c, name);
}

int cgroup_move(int procs, pid_t pid)
{
	return dprintf(procs, "%d", (int)pid) < 0 ? -errno : 0;
}

int cgroup_enter(int procs)
{
	return write(procs, "0", 1) < 0 ? -errno : 0;
}
