/*
 * cgroup_test.c - which cgroup this process is in, and whether it is its own
 *
 * A folder stands for /: its proc says where cgroups are mounted and which is
 * this process's, and what lies there has the files that are read.  The rest
 * takes a kernel: t/svm/cgroups.sh.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "vmm/host/cgroup.h"

#define MOUNT(root, at)	"31 23 0:26 " root " " at " rw,nosuid shared:4 - " \
			"cgroup2 cgroup2 rw,nsdelegate\n"

static char top[] = "/tmp/cgroup_test.XXXXXX";

static void put(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void put(const char *name, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	f = fopen(path, "w");
	if (!f)
		exit(1);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *fmt, ...)
{
	char command[PATH_MAX];
	va_list ap;
	int n = snprintf(command, sizeof(command), "cd '%s' && ", top);

	va_start(ap, fmt);
	vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, ap);
	va_end(ap);
	if (system(command))
		exit(1);
}

/* as in the cgroup of that name below a mount that is named c g */
static void whole(void)
{
	shell("rm -rf ./* && mkdir -p proc/self 'c g/s/u'");
	put("proc/self/cgroup", "4:cpu,cpuacct:/\n0::/s/u\n");
	put("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	    MOUNT("/", "/c\\040g"));
	put("c g/s/u/cpu.weight", "100\n");
	put("c g/s/u/cgroup.controllers", "cpuset cpu memory\n");
	put("c g/s/u/cgroup.subtree_control", "%s", "");
	put("c g/s/u/cgroup.type", "domain\n");
	put("c g/s/u/cgroup.procs", "%d\n", (int)getpid());
}

static enum cgroup_place place(char *path, struct err *why)
{
	static char unused[PATH_MAX];

	why->msg[0] = '\0';
	return cgroup_find(top, path ? path : unused, why);
}

static void is(const char *what, enum cgroup_place want, const char *says)
{
	struct err why;
	enum cgroup_place got = place(NULL, &why);

	ok(got == want && strstr(why.msg, says), "%s", what);
	if (got != want || !strstr(why.msg, says))
		printf("# got %d: %s\n# want %d: %s\n", got, why.msg, want,
		       says);
}

static void test_where(void)
{
	char path[PATH_MAX], want[PATH_MAX];
	struct err why;

	whole();
	snprintf(want, sizeof(want), "%s/c g/s/u", top);
	ok(place(path, &why) == CGROUP_OWN && !strcmp(path, want),
	   "a cgroup of its own, below a mount point with a blank");
	put("proc/self/mountinfo", MOUNT("/other", "/other")
	    MOUNT("/s\\134x", "/nowhere") MOUNT("/s", "/c\\040g/s"));
	ok(place(path, &why) == CGROUP_OWN && !strcmp(path, want),
	   "of some mounts, the one that shows the cgroup");
	put("proc/self/mountinfo", MOUNT("/s/u", "/c\\040g/s/u"));
	ok(place(path, &why) == CGROUP_OWN && !strcmp(path, want),
	   "the root of a mount");
	put("proc/self/cgroup", "0::/\n");
	put("proc/self/mountinfo", MOUNT("/", "/c\\040g/s/u"));
	ok(place(path, &why) == CGROUP_OWN && !strcmp(path, want),
	   "the root of a namespace");
}

static void test_none(void)
{
	whole();
	put("proc/self/mountinfo", MOUNT("/s/u2", "/c\\040g/s/u"));
	is("none: the mount shows another cgroup", CGROUP_NONE, "version 2");
	put("proc/self/mountinfo", MOUNT("/s", "/c\\040g"));
	is("none: the mount point lacks the cgroup", CGROUP_NONE, "version 2");
	whole();
	put("proc/self/cgroup", "0::/../s/u\n");
	is("none: the cgroup is another namespace's", CGROUP_NONE, "version 2");
	put("proc/self/cgroup", "4:cpu,cpuacct:/s/u\n1:name=systemd:/\n");
	is("none: there is version 1 alone", CGROUP_NONE, "version 2");
	shell("rm -r proc");
	is("none: there is no /proc", CGROUP_NONE, "version 2");
	whole();
	shell("rm 'c g/s/u/cpu.weight'");
	is("none: the cgroup has no cpu.weight", CGROUP_NONE, "share");
}

static void test_foreign(void)
{
	whole();
	shell("mv 'c g/s/u/cpu.weight' 'c g/s'");
	put("c g/s/u/cgroup.controllers", "cpuset memory\n");
	is("foreign: the cpu controller ends at a cgroup above", CGROUP_FOREIGN,
	   "cpu controller");
	whole();
	put("c g/s/u/cgroup.type", "threaded\n");
	is("foreign: a cgroup of threads", CGROUP_FOREIGN, "of threads");
	put("c g/s/u/cgroup.type", "domain invalid\n");
	is("foreign: a cgroup that can hold no process", CGROUP_FOREIGN,
	   "of threads");
	put("c g/s/u/cgroup.type", "domain threaded\n");
	is("own: a cgroup as a killed server leaves it", CGROUP_OWN, "");
	if (geteuid() == 0)
		return;
	shell("chmod 444 'c g/s/u/cgroup.subtree_control'");
	is("foreign: a cgroup that this user may not write", CGROUP_FOREIGN,
	   "not this user's");
}

/* root may write everywhere, so it asks whose the cgroup is */
static void test_systemd(void)
{
	char path[PATH_MAX];
	static const struct { const char *name; int root; } marks[] = {
		{ "trusted.delegate", 1 }, { "user.delegate", 0 },
	};

	for (int i = 0; i < 2; i++) {
		whole();
		shell("mkdir -p run/systemd/system");
		if (geteuid() != 0) {
			is("own: a user's, with systemd", CGROUP_OWN, "");
			return;
		}
		is("foreign: root's, with systemd", CGROUP_FOREIGN,
		   "by systemd");
		snprintf(path, sizeof(path), "%s/c g/s/u", top);
		if (setxattr(path, marks[i].name, "1", 1, 0) < 0)
			ok(1, "%s # SKIP %s", marks[i].name, strerror(errno));
		else
			is(marks[i].name, CGROUP_OWN, "");
	}
}

static void test_others(void)
{
	whole();
	put("c g/s/u/cgroup.procs", "%d\n%d\n", (int)getpid(), 1);
	is("crowded: the cgroup holds another process", CGROUP_CROWDED,
	   "other processes");
	put("c g/s/u/cgroup.procs", "0\n%d\n", (int)getpid());
	is("crowded: a process of another pid namespace", CGROUP_CROWDED,
	   "other processes");
	put("c g/s/u/cgroup.procs", "%d\n", (int)getpid());
	shell("mkdir 'c g/s/u/usetl-1.gateway' 'c g/s/u/usetl-1.gatewayed'");
	put("c g/s/u/usetl-1.gateway/cgroup.procs", "%s", "");
	put("c g/s/u/usetl-1.gatewayed/cgroup.procs", "1\n");
	is("own: below it a server's is empty", CGROUP_OWN, "");
	put("c g/s/u/usetl-1.gateway/cgroup.procs", "1\n");
	is("crowded: another server runs below it", CGROUP_CROWDED,
	   "another server's");
	shell("rm -r 'c g/s/u/usetl-1.gateway' 'c g/s/u/usetl-1.gatewayed'");
	put("c g/s/u/cgroup.procs", "%s", "");
	is("crowded: the cgroup does not hold this process", CGROUP_CROWDED,
	   "other processes");
}

/* folders that begin as a server's do */
static unsigned count(void)
{
	char path[PATH_MAX];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/c g/s/u", top);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += !strncmp(e->d_name, "usetl-", 6);
	if (d)
		closedir(d);
	return n;
}

/* here no kernel puts cgroup.procs into a new one */
static void test_undone(void)
{
	struct cgroup *c = (struct cgroup *)1;
	struct err err;

	whole();
	shell("cd 'c g/s/u' && mkdir usetl-1.gateway usetl-99999.f-1.7 "
	      "usetl-x usetl-12");
	ok(cgroup_open(&c, top, &err) == -ENOENT && !c &&
	   strstr(err.msg, "cannot move to one below: No such file"),
	   "what cannot be done is said");
	ok(count() == 2, "what cannot be done is undone; others' folders stay");
	shell("cd 'c g/s/u' && test -d usetl-x && test -d usetl-12 && "
	      "test ! -s cgroup.subtree_control");
	put("c g/s/u/cgroup.procs", "%d\n", (int)getpid());
	put("c g/s/u/cgroup.subtree_control", "memory cpu\n");
	cgroup_open(&c, top, &err);
	shell("grep -q '^-cpu' 'c g/s/u/cgroup.subtree_control'");
	ok(1, "a killed server's controller is disabled first");
	put("c g/s/u/cgroup.procs", "%d\n1\n", (int)getpid());
	ok(cgroup_open(&c, top, &err) == -EBUSY && !c,
	   "a cgroup with other processes: nothing is done");
	shell("rm 'c g/s/u/cpu.weight'");
	ok(cgroup_open(&c, top, &err) == 0 && !c,
	   "a system without the controller is no error");
	ok(cgroup_remove(NULL, "f", 1) == 0,
	   "without a cgroup there is none to remove");
	cgroup_close(NULL);
}

int main(void)
{
	if (!mkdtemp(top))
		return 1;
	test_where();
	test_none();
	test_foreign();
	test_systemd();
	test_others();
	test_undone();
	shell("rm -rf '%s'", top);
	return plan();
}
