/*
 * gdb.c - gdb on a guest's process, for usetl invoke --gdb
 *
 * The first guest is attached by gdb's command line, a later one by gdb.py,
 * which waits for the process's number in the file `next`.  gdb reports to
 * nobody when it is attached, so the kernel is asked again and again who traces
 * the process (TracerPid in /proc/PID/status).
 */
#include "cmd/gdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/gdb_files.h"

#define LOOK_S		0.02

struct gdb {
	struct gdb_opts o;
	char dir[PATH_MAX];
	pid_t pid, guest;		/* gdb's; the guest's that it debugs */
	int pidfd;
	int leave;			/* wait until gdb detaches */
	int closing;
	struct ev_timer look;
	struct ev_io ended;
	struct ev_signal signal[4];
};

static const char *program(void)
{
	const char *name = getenv("USETL_GDB");

	return name && *name ? name : "gdb";
}

static int found(const char *name)
{
	const char *path = getenv("PATH"), *end;
	char file[PATH_MAX];

	if (strchr(name, '/'))
		return access(name, X_OK) == 0;
	for (; path && *path; path = *end ? end + 1 : end) {
		end = path + strcspn(path, ":");
		snprintf(file, sizeof(file), "%.*s/%s", (int)(end - path),
			 path, name);
		if (access(file, X_OK) == 0)
			return 1;
	}
	return 0;
}

/* see the kernel's Yama documentation; with 1 guests permit the tracer */
static int yama_check(struct err *err)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%d", &scope) != 1)
		scope = 0;
	fclose(f);
	if (scope == 2 && geteuid() != 0)
		return err_set(err, -EPERM, "no debugger may attach: "
			       "kernel.yama.ptrace_scope is 2; be root, or "
			       "sudo sysctl kernel.yama.ptrace_scope=1");
	if (scope > 2)
		return err_set(err, -EPERM, "no debugger may attach: "
			       "kernel.yama.ptrace_scope is %d until the next "
			       "boot", scope);
	return 0;
}

int gdb_check(struct err *err)
{
	if (!found(program()))
		return err_set(err, -ENOENT, "no '%s' to run: install gdb",
			       program());
	return yama_check(err);
}

/* who traces the process; 0: nobody; -1: it has ended */
static long tracer_of(pid_t pid)
{
	char path[64], line[256], state = 'X';
	long tracer = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && tracer < 0 && fgets(line, sizeof(line), f)) {
		sscanf(line, "State: %c", &state);
		if (sscanf(line, "TracerPid: %ld", &tracer) != 1)
			tracer = -1;
	}
	if (f)
		fclose(f);
	return state == 'X' || state == 'Z' ? -1 : tracer;
}

static void settled(struct gdb *g)
{
	ev_timer_stop(g->o.loop, &g->look);
	g->leave = 0;
	g->o.attached(g->o.arg, NULL);
}

static void on_look(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct gdb *g = w->data;
	long tracer = tracer_of(g->guest);

	if (g->leave ? tracer <= 0 : tracer > 0)
		settled(g);
}

static void reap(struct gdb *g)
{
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	g->pid = -1;
}

static void on_ended(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct gdb *g = w->data;
	struct err err;

	ev_io_stop(loop, w);
	reap(g);
	if (g->closing)
		return;
	if (tracer_of(g->guest) < 0) {
		/* its tender may be waiting for something else and not know */
		err_set(&err, -ESRCH, "the guest was killed in gdb");
	} else if (g->leave) {
		settled(g);
		return;
	} else if (ev_is_active(&g->look)) {
		err_set(&err, -ECHILD, "gdb ended before it was attached");
	} else {
		return;			/* the guest goes on without gdb */
	}
	ev_timer_stop(loop, &g->look);
	g->o.attached(g->o.arg, &err);
}

/* SIGINT and SIGQUIT of a terminal are for gdb, while it runs */
static void on_signal(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	struct gdb *g = w->data;
	struct err err;

	if (g->pid > 0 && (w->signum == SIGINT || w->signum == SIGQUIT))
		return;
	if (g->pid > 0)
		kill(g->pid, SIGTERM);
	if (g->closing)
		return;
	err_set(&err, -EINTR, "ended by signal %d", w->signum);
	g->o.attached(g->o.arg, &err);
}

static void signals_take(struct gdb *g)
{
	static const int taken[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };

	for (int i = 0; i < 4; i++) {
		ev_signal_init(&g->signal[i], on_signal, taken[i]);
		g->signal[i].data = g;
		ev_signal_start(g->o.loop, &g->signal[i]);
	}
}

int gdb_create(struct gdb **out, const struct gdb_opts *o, struct err *err)
{
	struct gdb *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return -ENOMEM;
	g->o = *o;
	g->pid = g->guest = g->pidfd = -1;
	ev_timer_init(&g->look, on_look, LOOK_S, LOOK_S);
	g->look.data = g;
	rc = gdb_files_create(o->img, g->dir, err);
	if (rc < 0) {
		free(g);
		return rc;
	}
	signals_take(g);
	*out = g;
	return 0;
}

/* does not return */
static void run(char **argv)
{
	/* only the result goes to standard output */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execvp(argv[0], argv);
	fprintf(stderr, "usetl invoke: cannot run '%s': %s\n", argv[0],
		strerror(errno));
	_exit(127);
}

static int start(struct gdb *g, struct err *err)
{
	static const char stub[] = "python import os; gdb.execute("
		"'add-symbol-file \"%s/stub.elf\"' % "
		"os.environ['USETL_GDB_DIR'], False, True)";
	char pid[16], search[PATH_MAX + 64], libos[PATH_MAX + 64];
	char script[PATH_MAX + 64];
	/*
	 * Set before gdb attaches: libthread_db does not know the guest's
	 * threads, and the stub where the guest waits needs its symbols.
	 */
	const char *const first[] = {
		program(), "-q", "-iex", "set exec-file-mismatch off",
		"-iex", search, "-iex", stub, "-p", pid, libos, "-ex",
		"handle SIGSYS SIGALRM nostop noprint pass", "-x", script,
	};
	const size_t n = sizeof(first) / sizeof(first[0]);
	char **argv = calloc(n + 2 * g->o.commands + 2, sizeof(*argv)), **a;

	if (!argv)
		return -ENOMEM;
	snprintf(pid, sizeof(pid), "%d", (int)g->guest);
	snprintf(search, sizeof(search), "set libthread-db-search-path %s",
		 g->dir);
	snprintf(libos, sizeof(libos), "%s/libos.elf", g->dir);
	snprintf(script, sizeof(script), "%s/gdb.py", g->dir);
	a = argv;
	for (size_t i = 0; i < n; i++)
		*a++ = (char *)first[i];
	if (!isatty(STDIN_FILENO))
		*a++ = "-batch";
	for (unsigned i = 0; i < g->o.commands; i++) {
		*a++ = "-ex";
		*a++ = g->o.command[i];
	}
	setenv("USETL_GDB_DIR", g->dir, 1);
	setenv("USETL_GDB_BOOT", g->o.boot ? "1" : "", 1);
	fflush(NULL);
	g->pid = fork();
	if (g->pid == 0)
		run(argv);
	free(argv);
	if (g->pid > 0)
		g->pidfd = (int)syscall(SYS_pidfd_open, g->pid, 0);
	if (g->pid < 0 || g->pidfd < 0)
		return err_set(err, -errno, "cannot start gdb: %s",
			       strerror(errno));
	ev_io_init(&g->ended, on_ended, g->pidfd, EV_READ);
	g->ended.data = g;
	ev_io_start(g->o.loop, &g->ended);
	return 0;
}

/* The file appears complete, by rename(2).  0 in it: no guest will follow. */
static int say_next(struct gdb *g, struct err *err)
{
	char path[PATH_MAX + 64], whole[PATH_MAX + 64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/next.new", g->dir);
	snprintf(whole, sizeof(whole), "%s/next", g->dir);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%d\n", (int)g->guest) < 0 || fclose(f) != 0 ||
	    rename(path, whole) < 0)
		return err_set(err, -errno, "cannot write '%s': %s", path,
			       strerror(errno));
	return 0;
}

int gdb_attach(struct gdb *g, pid_t guest, struct err *err)
{
	long tracer = tracer_of(guest);
	int rc = 0;

	g->leave = guest == g->guest;
	g->guest = guest;
	if (g->leave) {
		ev_timer_again(g->o.loop, &g->look);
		return 0;
	}
	if (tracer > 0)
		return err_set(err, -EBUSY, "process %ld is debugging the "
			       "guest's process %d already", tracer,
			       (int)guest);
	if (g->pidfd < 0)
		rc = start(g, err);
	else if (g->pid < 0)
		/* gdb was quit: the guest goes on without it */
		settled(g);
	else
		rc = say_next(g, err);
	if (rc == 0 && (g->pid > 0))
		ev_timer_again(g->o.loop, &g->look);
	return rc;
}

void gdb_destroy(struct gdb *g)
{
	if (!g)
		return;
	g->closing = 1;
	g->guest = 0;			/* 0, in case gdb waits for a guest */
	say_next(g, NULL);
	ev_timer_stop(g->o.loop, &g->look);
	while (g->pid > 0 && g->pidfd >= 0)
		ev_run(g->o.loop, EVRUN_ONCE);
	for (int i = 0; i < 4; i++)
		ev_signal_stop(g->o.loop, &g->signal[i]);
	if (g->pidfd >= 0)
		close(g->pidfd);
	gdb_files_remove(g->dir);
	free(g);
}
