/*
 * server.h - t/httpd.py in a child, for tests of etlfs/
 *
 * Runs at the top of the source tree, as `prove` is started there.
 */
#ifndef T_UNIT_SERVER_H
#define T_UNIT_SERVER_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t/unit/tap.h"

struct server {
	pid_t pid;
	int port;
};

static void __attribute__((unused)) server_stop(struct server *s)
{
	kill(s->pid, SIGTERM);
	waitpid(s->pid, NULL, 0);
}

/* without it no test means anything: ends the test when it does not start */
static void __attribute__((unused))
server_start(struct server *s, const char *cert, const char *key)
{
	int fd[2];
	FILE *f;

	if (pipe(fd) < 0 || (s->pid = fork()) < 0)
		exit(1);
	if (!s->pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(fd[1], 1);
		close(fd[0]);
		close(fd[1]);
		execlp("python3", "python3", "t/httpd.py",
		       cert ? "--tls" : NULL, cert, key, NULL);
		_exit(127);
	}
	close(fd[1]);
	f = fdopen(fd[0], "r");
	if (!f || fscanf(f, "%d", &s->port) != 1) {
		ok(0, "t/httpd.py starts");
		server_stop(s);
		exit(plan());
	}
	fclose(f);
}

#endif
