/* transfer.c - what push and pull have in common */
#include "cmd/transfer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/loglines.h"

static volatile sig_atomic_t stopped;

static void on_signal(int signo)
{
	stopped = 1;
}

static int on_progress(void *arg, const struct pack_progress *p)
{
	struct transfer *t = arg;

	if (stopped)
		return -EINTR;
	progress_tell(&t->progress, p);
	return 0;
}

static void on_said(void *arg, const char *text)
{
	struct transfer *t = arg;

	free(t->log);
	t->log = strdup(text);
}

/* an option that has a value; false when that cannot be */
static int take(struct transfer *t, const char *who, int c)
{
	struct registry *r = &t->registry;

	switch (c) {
	case 'a':
		r->authfile = optarg;
		return 1;
	case 'c':
		r->creds = optarg;
		return 1;
	case 'd':
		r->cert_dir = optarg;
		return 1;
	case 'o':
		t->output = optarg;
		return 1;
	case 's':
		t->store = optarg;
		return 1;
	case 'S':
		t->no_store = 1;
		return 1;
	case 'T':
		r->thin = 1;
		return 1;
	case 't':
		r->insecure = optarg && !strcmp(optarg, "false");
		if (r->insecure || !optarg || !strcmp(optarg, "true"))
			return 1;
		fprintf(stderr, "%s: --tls-verify '%s' is not true or false\n",
			who, optarg);
	}
	return 0;
}

int transfer_begin(struct transfer *t, int argc, char **argv,
		   const char *usage)
{
	/* those of pull begin earlier */
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "no-store", no_argument, NULL, 'S' },
		{ "thin", no_argument, NULL, 'T' },
#define PULL_ALONE 3
		{ "store", required_argument, NULL, 's' },
		{ "authfile", required_argument, NULL, 'a' },
		{ "creds", required_argument, NULL, 'c' },
		{ "cert-dir", required_argument, NULL, 'd' },
		{ "tls-verify", optional_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct sigaction sa = { .sa_handler = on_signal };
	int pull = !strcmp(argv[0], "usetl pull"), c;

	while ((c = getopt_long(argc, argv, pull ? "ho:" : "h",
				longs + (pull ? 0 : PULL_ALONE),
				NULL)) != -1) {
		if (c != 'h' && take(t, argv[0], c))
			continue;
		fputs(usage, c == 'h' ? stdout : stderr);
		return c == 'h' ? 0 : 2;
	}
	t->registry.progress = on_progress;
	t->registry.said = on_said;
	t->registry.arg = t;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	progress_begin(&t->progress, argv[0]);
	return -1;
}

int transfer_end(struct transfer *t, int rc, const struct err *err)
{
	progress_erase(&t->progress);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", t->progress.who, stopped ?
			"stopped" : err->msg);
		if (t->log && !stopped)
			loglines_write(STDERR_FILENO, NULL, t->log,
				       strlen(t->log));
	}
	free(t->log);
	return rc < 0 ? 1 : 0;
}
