/* ctl.c - usetl ctl: orders to a server that runs, by its control socket */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/controlsock.h"
#include "cmd/output.h"
#include "cmd/verb.h"
#include "vmm/guest/saved.h"

#define ANSWER_MAX	(64u << 20)

struct ctl {
	const char *path;		/* of the socket; NULL: the usual one */
	int json, ready;
	char **argument;
	/* the answer */
	char *text;
	size_t len;
	int fds[CONTROL_FDS];
	unsigned nfds;
};

/* what is said */

static void fds_take(struct ctl *c, struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[CONTROL_FDS];

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds, CMSG_DATA(h), n * sizeof(int));
		for (size_t i = 0; i < n; i++)
			if (c->nfds < CONTROL_FDS)
				c->fds[c->nfds++] = fds[i];
			else
				close(fds[i]);
	}
}

/* bytes, 0 at the end, or -errno */
static ssize_t receive(struct ctl *c, int sock, void *buf, size_t size)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(c->fds))];
	} control;
	struct iovec iov = { buf, size };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		fds_take(c, &m);
	return n < 0 ? -errno : n;
}

/* all that comes, up to the end */
static int answer_read(struct ctl *c, int sock, struct err *err)
{
	size_t room = 0;
	ssize_t n;

	do {
		if (c->len + 1 >= room) {
			char *p = realloc(c->text, room += 65536);

			if (!p || room > ANSWER_MAX)
				return err_set(err, -ENOMEM, "the answer is "
					       "too long");
			c->text = p;
		}
		n = receive(c, sock, c->text + c->len, room - c->len - 1);
		if (n < 0 && n != -ECONNRESET)
			return err_set(err, n, "%s", strerror((int)-n));
		if (n > 0)
			c->len += (size_t)n;
	} while (n > 0);
	c->text[c->len] = '\0';
	return 0;
}

/* what the server says is text of its own, and of functions' */
static int answer_judge(struct ctl *c, struct err *err)
{
	if (!strncmp(c->text, "ok\n", 3))
		return 0;
	if (strncmp(c->text, "error ", 6))
		return err_set(err, -EPROTO, c->len ? "what answers there is "
			       "no usetl server" : "the server has closed the "
			       "connection");
	c->text[strcspn(c->text, "\n")] = '\0';
	return err_set(err, -EREMOTEIO, "%s", c->text + 6);
}

static int ask(struct ctl *c, const char *verb, const char *name,
	       struct err *err)
{
	char line[CONTROL_LINE];
	int len = snprintf(line, sizeof(line), "%s%s%s\n", verb,
			   name ? " " : "", name ? name : "");
	int sock, rc;

	if (len >= (int)sizeof(line))
		return err_set(err, -ENAMETOOLONG, "no function has so long a "
			       "name");
	sock = controlsock_connect(c->path, err);
	if (sock < 0)
		return sock;
	/* a line this short is taken whole; who does not take it says why */
	rc = send(sock, line, (size_t)len, MSG_NOSIGNAL) < 0 &&
	     errno != EPIPE ? err_set(err, -errno, "%s", strerror(errno)) : 0;
	if (rc == 0)
		rc = answer_read(c, sock, err);
	close(sock);
	return rc < 0 ? rc : answer_judge(c, err);
}

/* list */

static long long number(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

enum { NAME, BASE, STATE, IDLE, BUSY, COMING, QUEUED, PAGES, AGE, WARM, SHELL,
	CLONE, SNAPSHOT, BOOT, COLUMNS };

/* short, so that a row has 80 columns where names have a dozen */
static const char *const heads[COLUMNS] = {
	"FUNCTION", "BASE", "STATE", "IDLE", "BUSY", "NEW", "WAIT", "PAGES",
	"AGE", "WARM", "SHELL", "CLONE", "SNAP", "BOOT",
};

struct row {
	char cell[COLUMNS][CONTROL_LINE];
};

static void cell_number(char *cell, long long n)
{
	snprintf(cell, CONTROL_LINE, "%lld", n);
}

static void cell_age(char *cell, long long s)
{
	static const struct {
		long long s;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int i = 0;

	/* two of a unit before it is used: 90m, and not 1h */
	while (units[i].unit != 's' && s < 2 * units[i].s)
		i++;
	snprintf(cell, CONTROL_LINE, "%lld%c", s / units[i].s, units[i].unit);
}

/* what a runtime has none of, and will have none of, stays "-" */
static void row_fill(struct row *r, json_t *f)
{
	static const char *const starts[] = {
		"warm", "shell", "clone", "snapshot", "boot",
	};
	json_t *clones = json_object_get(f, "clones");
	int shared = !strcmp(json_string_value(json_object_get(f, "level")),
			     "runtime");
	long long base = number(f, shared ? "id" : "base");

	for (int i = 0; i < COLUMNS; i++)
		strcpy(r->cell[i], "-");
	snprintf(r->cell[NAME], CONTROL_LINE, "%s",
		 json_string_value(json_object_get(f, "name")));
	if (base)
		cell_number(r->cell[BASE], base);
	strcpy(r->cell[STATE], !json_is_true(json_object_get(f, "ready")) ?
	       "not ready" : json_is_true(json_object_get(f, "stored")) ?
	       "stored" : "ready");
	cell_number(r->cell[PAGES], number(f, "pages"));
	cell_age(r->cell[AGE],
		 (long long)json_number_value(json_object_get(f, "age")));
	cell_number(r->cell[IDLE], shared ? number(f, "shells") :
		    number(clones, "idle"));
	if (shared)
		return;
	cell_number(r->cell[BUSY], number(clones, "busy"));
	cell_number(r->cell[COMING], number(clones, "coming"));
	cell_number(r->cell[QUEUED], number(f, "queued"));
	for (int i = WARM; i < COLUMNS; i++)
		cell_number(r->cell[i], number(json_object_get(f, "starts"),
					       starts[i - WARM]));
}

static void row_print(const struct row *r, const int width[COLUMNS])
{
	for (int i = 0; i < COLUMNS; i++)
		printf("%s%*s", i ? " " : "", i == NAME || i == STATE ?
		       -width[i] : width[i], r->cell[i]);
	putchar('\n');
}

static void row_measure(const struct row *r, int width[COLUMNS])
{
	for (int i = 0; i < COLUMNS; i++) {
		int len = (int)strlen(r->cell[i]);

		width[i] = len > width[i] ? len : width[i];
	}
}

/* only what a server of this kind says has all of that */
static int is_row(json_t *f)
{
	return json_is_string(json_object_get(f, "name")) &&
	       json_is_string(json_object_get(f, "level"));
}

static void table(json_t *all)
{
	int width[COLUMNS] = { 0 };
	struct row head, r;
	size_t i;
	json_t *f;

	for (int k = 0; k < COLUMNS; k++)
		strcpy(head.cell[k], heads[k]);
	row_measure(&head, width);
	json_array_foreach(all, i, f)
		if (is_row(f)) {
			row_fill(&r, f);
			row_measure(&r, width);
		}
	row_print(&head, width);
	json_array_foreach(all, i, f)
		if (is_row(f)) {
			row_fill(&r, f);
			row_print(&r, width);
		}
}

static int do_list(struct ctl *c, struct err *err)
{
	int rc = ask(c, "list", NULL, err);
	json_t *all;

	if (rc < 0)
		return rc;
	if (c->json) {
		puts(c->text + 3);
		return 0;
	}
	all = json_loads(c->text + 3, 0, NULL);
	if (!json_is_array(all)) {
		json_decref(all);
		return err_set(err, -EPROTO, "what answers there is no usetl "
			       "server");
	}
	table(all);
	json_decref(all);
	return 0;
}

static int do_fork(struct ctl *c, struct err *err)
{
	return ask(c, "fork", c->argument[0], err);
}

/* snapshot */

static int head_take(struct ctl *c, struct saved_head *h, struct err *err)
{
	if (c->nfds < 2 || pread(c->fds[0], h, sizeof(*h), 0) != sizeof(*h) ||
	    h->parts != c->nfds - 1 || h->parts > SAVED_PARTS)
		return err_set(err, -EPROTO, "what answers there is another "
			       "usetl's server");
	return 0;
}

/* under its own name only when it is whole */
static int file_write(const struct ctl *c, struct saved_head *h,
		      const char *path, struct err *err)
{
	struct output out;
	struct err why;
	int fd = output_create(&out, path, err), rc;

	if (fd < 0)
		return fd;
	/* it has all that the function had in memory */
	rc = fchmod(fd, 0600) < 0 ? output_cannot(path, err) : 0;
	if (rc == 0 && saved_write(fd, h, c->fds + 1, &why) < 0)
		rc = err_set(err, -EIO, "cannot write '%s': %s", path,
			     why.msg);
	close(fd);
	if (rc == 0)
		rc = output_commit(&out, err);
	output_drop(&out);
	return rc;
}

static int do_snapshot(struct ctl *c, struct err *err)
{
	const char *path = c->argument[1];
	struct saved_head h;
	int rc;

	if (!saved_replaceable(path))
		return err_set(err, -EEXIST, "'%s' is there, and is no "
			       "snapshot: remove it first, or choose another "
			       "name", path);
	rc = ask(c, c->ready ? "snapshot-ready" : "snapshot", c->argument[0],
		 err);
	if (rc == 0)
		rc = head_take(c, &h, err);
	if (rc == 0)
		rc = file_write(c, &h, path, err);
	if (rc == 0)
		printf("wrote %s: %s, %s\n", path, c->argument[0],
		       saved_runs(&h) ? "in a request" : "ready");
	return rc;
}

static const struct verb {
	const char *name;
	int arguments;
	const char *names;		/* theirs */
	int (*fn)(struct ctl *c, struct err *err);
	const char *usage;
} verbs[] = {
	{ "list", 0, "", do_list,
	  "functions, and the runtimes that they share" },
	{ "fork", 1, "NAME", do_fork, "another snapshot of it, now" },
	{ "snapshot", 2, "NAME FILE", do_snapshot,
	  "of a request, or what it starts from" },
};

static void usage(FILE *to)
{
	fprintf(to, "usage: usetl ctl [OPTION]... COMMAND [ARGUMENT]...\n\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		fprintf(to, "  %-9s %-10s  %s\n", verbs[i].name,
			verbs[i].names, verbs[i].usage);
	fprintf(to,
		"\n"
		"      --control PATH    the server's control socket\n"
		"      --json            list: as JSON\n"
		"      --ready           snapshot: not of a request\n"
		"  -h, --help\n");
}

/* the command; or NULL, with what is wrong said */
static const struct verb *choose(struct ctl *c, int argc, char **argv)
{
	const struct verb *v;

	if (!argc) {
		fprintf(stderr, "usetl ctl: which command?\n");
		usage(stderr);
		return NULL;
	}
	v = VERB_FIND(verbs, argv[0]);
	if (!v)
		fprintf(stderr, "usetl ctl: unknown command '%s'; see `usetl "
			"help ctl`\n", argv[0]);
	else if (argc - 1 != v->arguments)
		fprintf(stderr, "usetl ctl: %s needs %s%s\n", v->name,
			v->arguments ? v->names : "no argument",
			v->arguments && argc - 1 > v->arguments ?
			", and no more" : "");
	else if (c->json && v->fn != do_list)
		fprintf(stderr, "usetl ctl: --json is for list\n");
	else if (c->ready && v->fn != do_snapshot)
		fprintf(stderr, "usetl ctl: --ready is for snapshot\n");
	else
		return v;
	return NULL;
}

static int run(struct ctl *c, const struct verb *v)
{
	struct err err = { "" };
	char path[PATH_MAX];
	int rc = 0;

	if (!c->path) {
		rc = controlsock_default(path, &err);
		c->path = path;
	}
	if (rc == 0)
		rc = v->fn(c, &err);
	if (rc == 0 && (fflush(stdout) || ferror(stdout)))
		rc = err_set(&err, -errno, "cannot write: %s",
			     strerror(errno));
	if (rc < 0)
		fprintf(stderr, "usetl ctl: %s\n", err.msg);
	for (unsigned i = 0; i < c->nfds; i++)
		close(c->fds[i]);
	free(c->text);
	return rc < 0 ? 1 : 0;
}

int cmd_ctl(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "control", required_argument, NULL, 'C' },
		{ "json", no_argument, NULL, 'j' },
		{ "ready", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl c = { NULL };
	const struct verb *v;
	int o;

	argv[0] = "usetl ctl";		/* for getopt's own messages */
	while ((o = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		switch (o) {
		case 'C':
			c.path = optarg;
			break;
		case 'j':
			c.json = 1;
			break;
		case 'r':
			c.ready = 1;
			break;
		default:
			usage(o == 'h' ? stdout : stderr);
			return o == 'h' ? 0 : 2;
		}
	v = choose(&c, argc - optind, argv + optind);
	c.argument = argv + optind + 1;
	return v ? run(&c, v) : 2;
}
