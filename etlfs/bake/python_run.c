/*
 * python_run.c - runs the interpreter on the host and hears what it says
 *
 * Input and output are memory files, so that neither side ever waits for
 * the other to read.
 */
#include "etlfs/bake/python.h"

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

/* the text of bake.py, with a NUL behind it */
__asm__(".pushsection .rodata\n"
	".local bake_py\n"
	"bake_py:\n"
	"\t.incbin \"etlfs/bake/bake.py\"\n"
	"\t.byte 0\n"
	".popsection\n");
extern const char bake_py[] __attribute__((visibility("hidden")));

#define ENV_EXTRA	3
#define LINES_SAID	20
#define WAIT_MS		250

/* this process's environment without PYTHON*, fixed where bytes depend on it */
static char **child_environment(void)
{
	static char *const fixed[ENV_EXTRA] = {
		"PYTHONHASHSEED=0", "LC_ALL=C.UTF-8", "PYTHONUTF8=1",
	};
	size_t n = 0, at = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + ENV_EXTRA + 1, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "PYTHON", 6) &&
		    strncmp(environ[i], "LC_ALL=", 7))
			env[at++] = environ[i];
	for (size_t i = 0; i < ENV_EXTRA; i++)
		env[at++] = fixed[i];
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
static void say_why(int fd, struct tree *t, char *buf, size_t size)
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
	if (t && t->said && strchr(text, '\n'))
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
static int reap(pid_t pid, struct tree *t, int *status)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int stop = 0;
	pid_t rc;

	while ((rc = wait_some(pid, pidfd, status)) == 0 || rc == -EINTR) {
		if (!stop && t && t->wait && t->wait(t->arg)) {
			stop = 1;
			kill(-pid, SIGTERM);
		}
	}
	if (pidfd >= 0)
		close(pidfd);
	return rc < 0 ? rc : stop ? -EINTR : 0;
}

static int spawn(char *const argv[], const int fd[3], int spool, pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	char **env = child_environment();
	int rc;

	if (!env)
		return -ENOMEM;
	posix_spawn_file_actions_init(&fa);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&fa, fd[i], i);
	/* onto itself: glibc then clears close-on-exec */
	if (spool >= 0)
		posix_spawn_file_actions_adddup2(&fa, spool, spool);
	/* a group of its own, so that what it forks can be ended with it */
	posix_spawnattr_init(&at);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setpgroup(&at, 0);
	rc = -posix_spawn(pid, argv[0], &fa, &at, argv, env);
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

int python_run(char *const argv[], const char *in, int spool,
	       struct tree *t, char **out, struct err *err)
{
	int fd[3], rc = 0, status = 0;
	char why[512];
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		fd[i] = memfd_create("usetl-bake", MFD_CLOEXEC);
		if (fd[i] < 0)
			rc = -errno;
	}
	if (rc == 0)
		rc = put_input(fd[0], in);
	if (rc == 0)
		rc = spawn(argv, fd, spool, &pid);
	if (rc == 0)
		rc = reap(pid, t, &status);
	if (rc < 0)
		err_set(err, rc, "cannot run '%s': %s", argv[0],
			strerror(-rc));
	if (rc == 0 && status) {
		say_why(fd[2], t, why, sizeof(why));
		rc = err_set(err, -ECHILD, "'%s' failed: %s", argv[0], why);
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

int python_ask(const char *command, const char *verb, const json_t *ask,
	       int spool, struct tree *t, json_t **out, struct err *err)
{
	char *argv[] = {
		(char *)command, "-s", "-B", "-W", "ignore", "-c",
		(char *)bake_py, (char *)verb, NULL
	};
	char *in = ask ? json_dumps(ask, JSON_COMPACT) : strdup("null");
	char *text = NULL;
	json_error_t e;
	int rc;

	if (!in)
		return err_set(err, -ENOMEM, "out of memory");
	rc = python_run(argv, in, spool, t, &text, err);
	if (rc == 0) {
		*out = json_loads(text, 0, &e);
		if (!*out || !json_is_object(*out))
			rc = err_set(err, -EPROTO, "'%s' answered nonsense: "
				     "%s", command, e.text);
	}
	free(in);
	free(text);
	return rc;
}
