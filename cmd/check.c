/*
 * check.c - usetl check: can this host run functions?
 *
 * One line each: ok, warn (it works, but slower or with less room) or FAIL,
 * which says how to mend it.  What is asked is asked of the kernel, by doing
 * it, not read off a version number; the version only warns.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/tenderopt.h"
#include "conf/conf.h"
#include "vmm/host/choose.h"
#include "vmm/host/probe.h"
#include "vmm/host/hostshare.h"

#define DATA_USUAL	(2ull << 30)	/* a function of the default limits */
#define MAPS_LEAST	2048

enum verdict { OK, WARN, FAIL };

static int failures;

static void line(enum verdict v, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void line(enum verdict v, const char *what, const char *fmt, ...)
{
	static const char *const words[] = { "ok  ", "warn", "FAIL" };
	va_list ap;

	printf("%s %s: ", words[v], what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	failures += v == FAIL;
}

/* what serve and invoke would take without being told; its words for FAIL */
static void check_auto(struct err *err)
{
	struct err note = { "" };
	enum tender_kind kind;
	struct conf *conf;
	int rc = conf_create(&conf);

	if (rc == 0) {
		rc = tenderopt_resolve(NULL, conf, 0, &kind, &note, err);
		conf_destroy(conf);
	}
	if (rc < 0 && !err->msg[0])
		err_set(err, rc, "%s", strerror(-rc));
	if (rc < 0)
		line(FAIL, "tender", "%s", err->msg);
	else
		line(note.msg[0] ? WARN : OK, "tender", "%s%s%s",
		     tender_words[kind], note.msg[0] ? "; " : "", note.msg);
}

/* a way to run functions; what both ways lack has been said already */
static void check_tender(const struct tender_ops *ops, enum tender_kind kind,
			 const char *label, const char *means,
			 const struct err *said)
{
	struct err err = { "" };
	size_t len = strlen(label);

	if (choose_check(kind, &err) == 0)
		line(OK, label, "%s", means);
	else if (strcmp(err.msg, said->msg) || ops->check(&err) < 0)
		line(said->msg[0] ? FAIL : WARN, label, "%s",
		     !strncmp(err.msg, label, len) &&
		     !strncmp(err.msg + len, ": ", 2) ? err.msg + len + 2 :
		     err.msg);
}

static void check_tenders(void)
{
	struct err said = { "" };

	check_auto(&said);
	check_tender(&tender_kvm, TENDER_KVM, "/dev/kvm",
		     "virtual machines can run functions", &said);
	check_tender(&tender_process, TENDER_PROCESS, "process",
		     "locked processes can run functions", &said);
}

/* what a gateway does to send a clone's file */
static void check_files(void)
{
	struct err err = { "" };
	int files = 0;

	if (probe_check(TENDER_KVM, &files, &err) < 0)
		return;			/* has been said */
	if (files < 0)
		line(FAIL, "sending files", "a clone's memory cannot be read: "
		     "%s, so a request with a body fails; in a container: "
		     "--cap-add=SYS_PTRACE, else sudo sysctl "
		     "kernel.yama.ptrace_scope=1", strerror(-files));
	else
		line(OK, "sending files", "a clone's memory can be read");
}

/* kernel and CPU */

static void check_kernel(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2) {
		line(WARN, "kernel", "its version cannot be read");
		return;
	}
	if (strcmp(u.machine, "x86_64"))
		line(FAIL, "machine", "%s; only x86_64 is supported",
		     u.machine);
	/* close_range, pidfd_open, MADV_POPULATE_WRITE: 5.14 */
	if (major < 5 || (major == 5 && minor < 14))
		line(FAIL, "kernel", "%s; 5.14 or newer is needed", u.release);
	else
		line(OK, "kernel", "%s", u.release);
}

static void check_cpu(void)
{
	unsigned a, b = 0, c = 0, d;
	/* HWCAP2_FSGSBASE: the kernel lets programs use it */
	int fsgsbase = getauxval(AT_HWCAP2) >> 1 & 1;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_XSAVE)) {
		line(FAIL, "cpu", "no xsave");
		return;
	}
	if (!fsgsbase)
		line(FAIL, "cpu", "no fsgsbase; Intel since Ivy Bridge and AMD"
		     " since Steamroller have it, with kernel 5.9 or newer");
	else
		line(OK, "cpu", "xsave, fsgsbase");
	if (!(c & bit_AVX))
		line(WARN, "cpu", "no avx: numpy and hashing are slower");
	else
		line(OK, "cpu", "avx");
	if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & 1u << 8))
		line(WARN, "cpu", "the tsc is not invariant: guest clocks may "
		     "drift during a request");
}

/* memory */

#define SCAN_BYTES	96		/* struct pm_scan_arg, 6.7 */

static void check_rollback(void)
{
	static const char *const way = "finding written pages";
	struct { uint64_t v[SCAN_BYTES / 8]; } arg = { .v = { SCAN_BYTES } };
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			  MAP_ANONYMOUS, -1, 0);
	uint64_t entry;

	if (fd < 0 || page == MAP_FAILED) {
		line(FAIL, way, "cannot open /proc/self/pagemap: %s; mount "
		     "/proc", strerror(errno));
		goto out;
	}
	*page = 1;
	arg.v[2] = (uintptr_t)page;
	arg.v[3] = (uintptr_t)page + 4096;
	if (ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, SCAN_BYTES),
		  &arg) >= 0)
		line(OK, way, "PAGEMAP_SCAN");
	else if (pread(fd, &entry, 8, (uintptr_t)page / 4096 * 8) == 8 &&
		 entry >> 63)
		line(WARN, way, "/proc/self/pagemap; PAGEMAP_SCAN (kernel "
		     "6.7) is faster");
	else
		line(FAIL, way, "/proc/self/pagemap does not show pages; run "
		     "outside this sandbox");
out:
	if (page != MAP_FAILED)
		munmap(page, 4096);
	if (fd >= 0)
		close(fd);
}

static int read_number(const char *path, long *out)
{
	FILE *f = fopen(path, "re");
	int n = f ? fscanf(f, "%ld", out) : 0;

	if (f)
		fclose(f);
	return n == 1 ? 0 : -ENOENT;
}

static void check_overcommit(void)
{
	long v;

	if (read_number("/proc/sys/vm/overcommit_memory", &v) < 0)
		line(WARN, "overcommit", "not readable");
	else if (v == 2)
		line(WARN, "overcommit", "strict: each clone is charged three "
		     "times its memory limit and its files; sudo sysctl "
		     "vm.overcommit_memory=0");
	else
		line(OK, "overcommit", "%s", v ? "always" : "heuristic");
}

/* processes */

static void check_limits(void)
{
	struct rlimit r;
	long maps;

	getrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur < 1024)
		line(WARN, "RLIMIT_NOFILE", "%llu; a clone takes 4 and a "
		     "caller 1: ulimit -n 4096",
		     (unsigned long long)r.rlim_cur);
	else
		line(OK, "RLIMIT_NOFILE", "%llu",
		     (unsigned long long)r.rlim_cur);
	getrlimit(RLIMIT_NPROC, &r);
	if (r.rlim_cur != RLIM_INFINITY && r.rlim_cur < 256)
		line(WARN, "RLIMIT_NPROC", "%llu; each clone is a process or "
		     "two: ulimit -u 4096", (unsigned long long)r.rlim_cur);
	getrlimit(RLIMIT_DATA, &r);
	if (r.rlim_cur != RLIM_INFINITY && r.rlim_cur < DATA_USUAL)
		line(WARN, "RLIMIT_DATA", "%llu bytes; a clone maps three "
		     "times its memory limit and its files: ulimit -d "
		     "unlimited", (unsigned long long)r.rlim_cur);
	if (read_number("/proc/sys/vm/max_map_count", &maps) == 0 &&
	    maps < MAPS_LEAST)
		line(WARN, "max_map_count", "%ld; a reference has some "
		     "hundred mappings: sudo sysctl vm.max_map_count=65530",
		     maps);
}

/* what functions have of the machine, beside each other and the gateway */
static void check_shares(int each, const struct err *why)
{
	line(each ? OK : WARN, "shares of the processors", "%s", why->msg);
	if (access("/proc/self/oom_score_adj", W_OK) < 0)
		line(WARN, "out of memory", "the kernel may end the gateway "
		     "before its functions: /proc/self/oom_score_adj: %s",
		     strerror(errno));
	else
		line(OK, "out of memory", "the kernel ends functions before "
		     "the gateway");
}

/* guests are no place for a debugger that follows forks */
static void check_traced(void)
{
	struct err note;

	if (tenderopt_traced(&note))
		line(WARN, "debugger", "%s", note.msg);
}

static void usage(FILE *to)
{
	fprintf(to, "usage: usetl check\n\n"
		"  -h, --help\n\n"
		"ok: there; warn: works, but slower or with less room; FAIL: "
		"needed and missing\n");
}

int cmd_check(int argc, char **argv)
{
	struct err why;
	int each;

	if (argc > 1) {
		int help = !strcmp(argv[1], "-h") || !strcmp(argv[1], "--help");

		if (!help)
			fprintf(stderr, "usetl check: '%s': nothing is taken\n",
				argv[1]);
		usage(help ? stdout : stderr);
		return help ? 0 : 2;
	}
	/* before there are children, who are in its cgroup, too */
	each = hostshare_check(&why);
	/* a child must not print it again */
	setvbuf(stdout, NULL, _IOLBF, 0);
	check_tenders();
	check_files();
	check_kernel();
	check_cpu();
	check_rollback();
	check_limits();
	check_overcommit();
	check_shares(each, &why);
	check_traced();
	return failures ? 1 : 0;
}
