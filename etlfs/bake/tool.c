/*
 * tool.c - a program of this host, run and heard
 *
 * Input and output are memory files, so that neither side ever waits for
 * the other to read.
 */
#include "etlfs/bake/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define LINES_SAID	20
#define WAIT_MS		250

/* a variable of ours that the tool is not to have as it is */
static int is_kept_back(const struct tool *t, const char *var)
{
	if (t->without && !strncmp(var, t->without, strlen(t->without)))
		return 1;
	for (const char *const *v = t->env; *v; v++)
		if (!strncmp(var, *v, strcspn(*v, "=") + 1))
			return 1;
	return 0;
}

/* this process's environment, but for what the tool says */
static char **environment(const struct tool *t)
{
	size_t n = 0, extra = 0, at = 0;
	char **env;

	while (environ[n])
		n++;
	while (t->env[extra])
		extra++;
	env = calloc(n + extra + 1, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!is_kept_back(t, environ[i]))
			env[at++] = environ[i];
	for (size_t i = 0; i < extra; i++)
		env[at++] = (char *)t->env[i];
	return env;
}

/* all of a memory file, NUL-terminated, or NULL */
static char *slurp(int fd)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st))
		return NULL;
	text = malloc(st.st_size + 1);
	if (!text)
		return NULL;
	for (off_t at = 0; at < st.st_size;) {
		ssize_t n = pread(fd, text + at, st.st_size - at, at);

		if (n <= 0) {
			free(text);
			return NULL;
		}
		at += n;
	}
	text[st.st_size] = 0;
	return text;
}

/* the last lines of text, which ends with no line feed */
static const char *last_lines(const char *text, int n)
{
	const char *at = text + strlen(text);

	while (at > text && (at[-1] != '\n' || --n > 0))
		at--;
	return at;
}

/*
 * Why a program failed: the last line that is not blank of what it said,
 * cut to what fits an error; several are for t->said().
 */
static void say_why(int fd, const struct tool *t, char *buf, size_t size)
{
	char *text = slurp(fd), *end;

	snprintf(buf, size, "it said nothing");
	if (!text)
		return;
	end = text + strlen(text);
	while (end > text && strchr(" \t\r\n", end[-1]))
		*--end = 0;
	if (*text)
		snprintf(buf, size, "%s", last_lines(text, 1));
	if (t->said && strchr(text, '\n'))
		t->said(t->arg, last_lines(text, LINES_SAID));
	free(text);
}

/*
 * The child's number when it has ended; 0 after a while, -EINTR after a
 * signal.  Without pidfds the while has no end.
 */
static pid_t wait_some(pid_t pid, int pidfd, int *status)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	pid_t rc;

	if (pidfd >= 0)
		poll(&p, 1, WAIT_MS);
	rc = waitpid(pid, status, pidfd >= 0 ? WNOHANG : 0);
	return rc < 0 ? -errno : rc;
}

/* status of the child as 0 or -errno; stopped from outside: -EINTR */
static int reap(pid_t pid, const struct tool *t, int *status)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int stop = 0;
	pid_t rc;

	while ((rc = wait_some(pid, pidfd, status)) == 0 || rc == -EINTR) {
		if (!stop && t->wait && t->wait(t->arg)) {
			stop = 1;
			kill(-pid, SIGTERM);
		}
	}
	if (pidfd >= 0)
		close(pidfd);
	return rc < 0 ? rc : stop ? -EINTR : 0;
}

static int spawn(const struct tool *t, const int fd[3], pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	char **env = environment(t);
	int rc;

	if (!env)
		return -ENOMEM;
	posix_spawn_file_actions_init(&fa);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&fa, fd[i], i);
	/* onto itself: glibc then clears close-on-exec */
	if (t->spool >= 0)
		posix_spawn_file_actions_adddup2(&fa, t->spool, t->spool);
	/* a group of its own, so that what it forks can be ended with it */
	posix_spawnattr_init(&at);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setpgroup(&at, 0);
	rc = -posix_spawnp(pid, t->argv[0], &fa, &at, t->argv, env);
	posix_spawnattr_destroy(&at);
	posix_spawn_file_actions_destroy(&fa);
	free(env);
	return rc;
}

static int put_input(int fd, const char *in)
{
	size_t len = strlen(in);

	while (len) {
		ssize_t n = write(fd, in, len);

		if (n < 0)
			return -errno;
		in += n;
		len -= n;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

int tool_run(const struct tool *t, char **out, struct err *err)
{
	int fd[3], rc = 0, status = 0;
	char why[800];
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		fd[i] = memfd_create("usetl-bake", MFD_CLOEXEC);
		if (fd[i] < 0)
			rc = -errno;
	}
	if (rc == 0)
		rc = put_input(fd[0], t->in);
	if (rc == 0)
		rc = spawn(t, fd, &pid);
	if (rc == 0)
		rc = reap(pid, t, &status);
	if (rc < 0)
		err_set(err, rc, "cannot run '%s': %s", t->argv[0],
			strerror(-rc));
	if (rc == 0 && status) {
		say_why(fd[2], t, why, sizeof(why));
		rc = err_set(err, -ECHILD, "'%s' failed: %s", t->argv[0], why);
	}
	if (rc == 0) {
		*out = slurp(fd[1]);
		if (!*out)
			rc = err_set(err, -ENOMEM, "out of memory");
	}
	for (int i = 0; i < 3; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return rc;
}
