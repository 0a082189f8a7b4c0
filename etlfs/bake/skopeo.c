/*
 * skopeo.c - how skopeo is run, and the folder that it reads and writes
 */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "etlfs/bake/registry.h"
#include "etlfs/bake/tool.h"

#define ARGS_MAX	24
#define OPTIONS		4

#define DOCKER		"docker://"

/* what else images can be in: a name in a registry has no such beginning */
static int is_elsewhere(const char *ref)
{
	static const char *const transport[] = {
		"containers-storage:", "dir:", "docker-archive:",
		"docker-daemon:", "oci:", "oci-archive:", "ostree:", "sif:",
		"tarball:",
	};

	for (size_t i = 0; i < sizeof(transport) / sizeof(*transport); i++)
		if (!strncmp(ref, transport[i], strlen(transport[i])))
			return 1;
	return 0;
}

char *skopeo_ref(const struct registry *r, const char *digest)
{
	const char *name = r->ref, *last;
	char *ref = NULL;
	int len;

	if (is_elsewhere(name))
		return strdup(name);
	if (!strncmp(name, DOCKER, strlen(DOCKER)))
		name += strlen(DOCKER);
	last = strrchr(name, '/');
	last = last ? last + 1 : name;
	/* of a tag and a digest skopeo takes one */
	len = (int)(last - name + strcspn(last, ":@"));
	if (asprintf(&ref, DOCKER "%.*s%s%s", digest ? len : INT_MAX, name,
		     digest ? "@sha256:" : "", digest ? digest : "") < 0)
		return NULL;
	return ref;
}

const char *skopeo_digest(const struct registry *r)
{
	const char *at = is_elsewhere(r->ref) ? NULL : strchr(r->ref, '@');

	return at ? at + 1 : NULL;
}

/* msg="..." of its last line: what it says, without when it said so */
static void plain(char *text)
{
	char *from = strstr(text, "msg=\""), *to = text;

	if (!from)
		return;
	for (from += 5; *from && *from != '"'; from++) {
		if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
			from++;
		*to++ = *from;
	}
	*to = 0;
}

/* a registry's bytes must not control a terminal */
static void printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0177)
			*text = '?';
}

/* skopeo says so whatever is wrong with what the name is of */
static const char *reason(const char *text)
{
	static const char parsing[] = "Error parsing image name \"";
	const char *end = strstr(text, "\": ");

	return end && !strncmp(text, parsing, strlen(parsing)) ? end + 3 : text;
}

static int explain(const struct skopeo *s, int rc, struct err *why,
		   struct err *err)
{
	const char *hint = "";

	if (rc == -ENOENT)
		return err_set(err, rc, "there is no skopeo, which moves "
			       "images: apt-get install skopeo");
	if (rc == -EINTR)
		return err_set(err, rc, "stopped");
	plain(why->msg);
	printable(why->msg);
	if (strstr(why->msg, "HTTP response to HTTPS client"))
		hint = "; a registry without TLS needs --tls-verify=false";
	return err_set(err, rc, "'%.200s': %.700s%s", s->r->ref,
		       reason(why->msg), hint);
}

/* the options of the side that is a registry, behind argv[n] */
static size_t options(const struct skopeo *s, char **argv, size_t n,
		      char (*name)[32])
{
	const char *const value[OPTIONS] = {
		s->r->authfile, s->r->creds, s->r->cert_dir, NULL,
	};
	static const char *const word[OPTIONS] = {
		"authfile", "creds", "cert-dir", "tls-verify=false",
	};

	for (int i = 0; i < OPTIONS; i++) {
		if (i == 3 ? !s->r->insecure : !value[i])
			continue;
		snprintf(name[i], 32, "--%s%s", s->side, word[i]);
		argv[n++] = name[i];
		if (value[i])
			argv[n++] = (char *)value[i];
	}
	return n;
}

static int on_wait(void *arg)
{
	const struct skopeo *s = arg;

	return s->wait(s->arg);
}

static void on_said(void *arg, const char *text)
{
	const struct registry *r = ((const struct skopeo *)arg)->r;

	r->said(r->arg, text);
}

int skopeo_run(const struct skopeo *s, const char *const *args, char **out,
	       struct err *err)
{
	static const char *const env[] = { "LC_ALL=C.UTF-8", NULL };
	char *argv[ARGS_MAX] = { "skopeo" }, name[OPTIONS][32];
	struct tool tool = {
		.argv = argv, .in = "", .spool = -1, .env = env,
		.wait = on_wait, .said = on_said, .arg = (void *)s,
	};
	struct err why;
	size_t n = 1;
	int rc;

	if (s->temp) {
		argv[n++] = "--tmpdir";
		argv[n++] = (char *)s->temp;
	}
	argv[n++] = (char *)*args++;
	n = options(s, argv, n, name);
	while (*args && n < ARGS_MAX - 1)
		argv[n++] = (char *)*args++;
	rc = tool_run(&tool, out, &why);
	return rc < 0 ? explain(s, rc, &why, err) : 0;
}

int skopeo_folder(char *buf, size_t size, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	const char *const place[] = { tmp && *tmp ? tmp : "/var/tmp",
				      "/var/tmp", "/tmp" };
	char real[PATH_MAX];

	for (size_t i = 0; i < sizeof(place) / sizeof(*place); i++) {
		if (!realpath(place[i], real) || strchr(real, ':'))
			continue;
		if ((size_t)snprintf(buf, size, "%s/usetl-XXXXXX", real) <
		    size && mkdtemp(buf))
			return 0;
	}
	buf[0] = 0;
	return err_set(err, -EACCES, "there is no folder for temporary files; "
		       "TMPDIR names one, without a colon in its path");
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	return remove(path);
}

void skopeo_folder_remove(const char *path)
{
	if (*path)
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
