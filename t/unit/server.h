/*
 * server.h - t/httpd.py in a child, for tests of etlfs/
 *
 * Runs at the top of the source tree, as `prove` is started there.
 */
#ifndef T_UNIT_SERVER_H
#define T_UNIT_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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

/*
 * The number that the server answers to that, asked beside all that is tested;
 * -1 when it says none.
 */
static long __attribute__((unused))
server_says(const struct server *s, const char *path)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buf[4096], *body = NULL;
	size_t len = 0;
	ssize_t n = -1;

	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0)
		n = dprintf(fd, "GET %s HTTP/1.1\r\nHost: x\r\n"
			    "Connection: close\r\n\r\n", path);
	while (n > 0 && len < sizeof(buf) - 1) {
		n = read(fd, buf + len, sizeof(buf) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	buf[len] = '\0';
	body = strstr(buf, "\r\n\r\n");
	return body ? strtol(body + 4, NULL, 10) : -1;
}

#endif
