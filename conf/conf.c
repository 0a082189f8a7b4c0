/*
 * conf.c - usetl.conf(5)
 *
 * inih splits lines into names and values; what it would cut short in silence
 * (long lines, long section names, sections without a key) is caught in the
 * reader below, which sees every line first and so knows its number.
 *
 * Invariants: the first error wins and the rest of the file is only counted;
 * `seen` has one bit for each row of the key table that the current section
 * has set, and sections with fixed names occur once.
 */
#include "conf/conf.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/text.h"
#include "conf/value.h"
#include "etlfs/format.h"
#include "vmm/proto.h"

#define SEC		1000000000ull
#define FILE_MAX	((size_t)1 << 20) /* bytes of a configuration file */

enum conf_kind { STRING, SIZE, TIME, COUNT, RECYCLE, TENDER };

struct conf_key {
	const char *section, *name;
	enum conf_kind kind;
	size_t off;
	uint64_t min, max;
};

#define C(f)	offsetof(struct conf, f)
#define F(f)	offsetof(struct conf_function, f)

static const struct conf_key keys[] = {
	{ "serve", "listen", STRING, C(listen), 1, 255 },
	{ "serve", "user", STRING, C(user), 1, 64 },
	{ "serve", "tender", TENDER, C(tender), 0, 0 },
	{ "serve", "log", STRING, C(log), 1, 4095 },
	{ "serve", "copies", STRING, C(copies), 1, 4095 },
	{ "serve", "drain", TIME, C(drain_ns), 0, 3600 * SEC },
	{ "limits", "request.max", SIZE, C(request_max), 2,
	  ETLFS_EVENT_MAX - ETLFS_EVENT_OFF },
	{ "limits", "response.max", SIZE, C(response_max), 2,
	  MSG_PAYLOAD_MAX / 2 },
	{ "limits", "log.max", SIZE, C(log_max), 0, 1ull << 30 },
	{ "limits", "connections", COUNT, C(connections), 16, 65536 },
	{ "limits", "connections.address", COUNT, C(per_address), 0, 65536 },
	{ "limits", "log.rate", SIZE, C(log_rate), 0, 1ull << 30 },
	{ "limits", "queue", COUNT, C(queue), 1, 65536 },
	{ "limits", "wait", TIME, C(wait_ns), 1, 3600 * SEC },
	{ "limits", "boot", TIME, C(boot_ns), 1, 3600 * SEC },
	{ "pool", "min", COUNT, C(min), 0, 1024 },
	{ "pool", "max", COUNT, C(max), 1, 1024 },
	{ "pool", "idle", TIME, C(idle_ns), 0, 86400 * SEC },
	{ "pool", "refresh", TIME, C(refresh_ns), 0, 30 * 86400 * SEC },
	{ "fetch", "windows", COUNT, C(windows), 0, 256 },
	{ "fetch", "warm", SIZE, C(warm), 0, 1ull << 30 },
	{ "fetch", "timeout", TIME, C(fetch_timeout_ns), 1, 86400 * SEC },
	{ "fetch", "max", SIZE, C(fetch_max), 0, 15ull << 30 },
	{ "fetch", "total", SIZE, C(fetch_total), 1 << 20, 1ull << 50 },
	{ "function", "image", STRING, F(image), 1, 4095 },
	{ "function", "pool.min", COUNT, F(min), 0, 1024 },
	{ "function", "pool.max", COUNT, F(max), 1, 1024 },
	{ "function", "pool.refresh", TIME, F(refresh_ns), 0,
	  30 * 86400 * SEC },
	{ "function", "recycle", RECYCLE, F(recycle), 0, 0 },
	{ "function", "timeout", TIME, F(timeout_ns), 1, 86400 * SEC },
	{ "function", "memory", SIZE, F(memory), 32u << 20, 8ull << 30 },
};

#define KEYS	(sizeof(keys) / sizeof(keys[0]))

struct conf_parser {
	struct conf *conf;
	const char *name, *at, *end;
	struct err *err;
	int error;			/* first one */
	unsigned line;
	const char *section;		/* its first word, NULL: none yet */
	struct conf_function *function;	/* of a [function NAME] */
	uint64_t seen;
	uint64_t sections;		/* bit per keys[] row of a section */
};

static int fail(struct conf_parser *p, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct conf_parser *p, int code, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	if (p->error)
		return p->error;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->error = code;
	return err_set(p->err, code, "%s:%u: %s", p->name, p->line, text);
}

/* values */

static int set_string(struct conf_parser *p, const struct conf_key *k,
		      const char *value, char **to)
{
	const char *slash = strrchr(p->name, '/');
	int is_path = !strcmp(k->name, "image") || !strcmp(k->name, "log") ||
		      !strcmp(k->name, "copies");
	size_t len = strlen(value);
	char *s;

	if (len < k->min || len > k->max)
		return fail(p, -EINVAL, len ? "'%s' is too long" :
			    "'%s' needs a value", k->name);
	if (is_path && *value != '/' && slash) {
		if (asprintf(&s, "%.*s/%s", (int)(slash - p->name), p->name,
			     value) < 0)
			s = NULL;
	} else {
		s = strdup(value);
	}
	if (!s)
		return fail(p, -ENOMEM, "out of memory");
	free(*to);
	*to = s;
	return 0;
}

/* the number of one of three words */
static int find_word(struct conf_parser *p, const struct conf_key *k,
		     const char *value, const char *const *w)
{
	int i = words_find(w, value);

	return i >= 0 ? i : fail(p, -EINVAL, "%s '%s' is none of %s, %s, %s",
				 k->name, value, w[0], w[1], w[2]);
}

static int set_recycle(struct conf_parser *p, const struct conf_key *k,
		       const char *value, enum recycle *to)
{
	int i = find_word(p, k, value, recycle_words);

	if (i >= 0)
		*to = i;
	return i < 0 ? i : 0;
}

static int set_tender(struct conf_parser *p, const struct conf_key *k,
		      const char *value, enum tender_kind *to)
{
	int i = find_word(p, k, value, tender_words);

	if (i >= 0)
		*to = i;
	return i < 0 ? i : 0;
}

/* what follows a printed size that has no letter for its unit */
static const char *bytes(const char *size)
{
	return isdigit((unsigned char)size[strlen(size) - 1]) ? " bytes" : "";
}

static int out_of_range(struct conf_parser *p, const struct conf_key *k,
			const char *value)
{
	uint64_t unit = k->kind == TIME ? SEC : 1;
	char min[VALUE_SIZE_MAX], max[VALUE_SIZE_MAX];
	char meant[VALUE_SIZE_MAX];
	int hint;

	if (k->kind == SIZE) {
		value_print_size(min, k->min);
		value_print_size(max, k->max);
		hint = value_size_meant(meant, value, k->min, k->max);
		return fail(p, -ERANGE, "%s '%s' is out of range: %s%s to %s%s"
			    "%s%s", k->name, value, min, bytes(min), max,
			    bytes(max), hint ? "; write " : "",
			    hint ? meant : "");
	}
	return fail(p, -ERANGE, "%s '%s' is out of range: %s%llu to %llu%s",
		    k->name, value, k->min && k->min < unit ? "over " : "",
		    (unsigned long long)(k->min / unit),
		    (unsigned long long)(k->max / unit),
		    k->kind == TIME ? " seconds" : "");
}

static int set_number(struct conf_parser *p, const struct conf_key *k,
		      const char *value, void *to)
{
	static const struct {
		int (*parse)(const char *s, uint64_t *out);
		const char *like;
	} how[] = {
		[SIZE] = { value_size, "a size like 512K, 6M or 1G" },
		[TIME] = { value_time, "a time like 500ms, 10s or 5m" },
		[COUNT] = { value_count, "a number" },
	};
	uint64_t v;
	int r = how[k->kind].parse(value, &v);

	if (r == -EINVAL)
		return fail(p, r, "%s '%s' is not %s", k->name, value,
			    how[k->kind].like);
	if (r < 0 || v < k->min || v > k->max)
		return out_of_range(p, k, value);
	if (k->kind == COUNT)
		*(unsigned *)to = v;
	else
		*(uint64_t *)to = v;
	return 0;
}

static const struct conf_key *find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < KEYS; i++)
		if (!strcmp(keys[i].section, section) &&
		    (!name || !strcmp(keys[i].name, name)))
			return &keys[i];
	return NULL;
}

static int set(struct conf_parser *p, const struct conf_key *k,
	       const char *value)
{
	char *base = p->function ? (char *)p->function : (char *)p->conf;

	if (p->seen >> (k - keys) & 1)
		return fail(p, -EINVAL, "'%s' is given twice", k->name);
	p->seen |= 1ull << (k - keys);
	if (p->function && !strcmp(k->name, "pool.min"))
		p->function->has_min = 1;
	if (p->function && !strcmp(k->name, "pool.refresh"))
		p->function->has_refresh = 1;
	switch (k->kind) {
	case STRING:
		return set_string(p, k, value, (char **)(base + k->off));
	case RECYCLE:
		return set_recycle(p, k, value,
				   (enum recycle *)(base + k->off));
	case TENDER:
		return set_tender(p, k, value,
				  (enum tender_kind *)(base + k->off));
	default:
		return set_number(p, k, value, base + k->off);
	}
}

/* lines and sections */

static int on_key(void *user, const char *section, const char *name,
		  const char *value)
{
	struct conf_parser *p = user;
	const struct conf_key *k;

	if (p->error)
		return 0;
	if (!p->section) {
		fail(p, -EINVAL, "'%s' stands before any [section]", name);
		return 0;
	}
	k = find_key(p->section, name);
	if (!k && value_has_blank(name)) {
		fail(p, -EINVAL, "'%s' is no key: expected 'key = value'",
		     name);
		return 0;
	}
	if (!k) {
		fail(p, -EINVAL, "unknown key '%s' in [%s]", name, p->section);
		return 0;
	}
	if (value_has_comment(value)) {
		fail(p, -EINVAL, "%s '%s': a comment behind a value begins "
		     "with ';', one with '#' has a line of its own", name,
		     value);
		return 0;
	}
	return set(p, k, value) == 0;
}

static int end_function(struct conf_parser *p)
{
	struct conf_function *f = p->function;

	p->function = NULL;
	if (!f || p->error)
		return p->error;
	if (!f->image) {
		p->line = f->line;
		return fail(p, -EINVAL, "[function %s] has no 'image'",
			    f->name);
	}
	return 0;
}

static int begin_function(struct conf_parser *p, const char *name)
{
	struct conf *c = p->conf;
	struct conf_function *f;

	if (!value_name_ok(name))
		return fail(p, -EINVAL, "'%s' cannot name a function: letters, "
			    "digits and _.- only, at most %d", name,
			    VALUE_NAME_MAX);
	for (size_t i = 0; i < c->functions; i++)
		if (!strcmp(c->function[i].name, name))
			return fail(p, -EEXIST, "[function %s] is given twice,"
				    " first at line %u", name,
				    c->function[i].line);
	f = reallocarray(c->function, c->functions + 1, sizeof(*f));
	if (!f)
		return fail(p, -ENOMEM, "out of memory");
	c->function = f;
	f += c->functions;
	memset(f, 0, sizeof(*f));
	f->line = p->line;
	f->name = strdup(name);
	if (!f->name)
		return fail(p, -ENOMEM, "out of memory");
	c->functions++;
	p->function = f;
	return 0;
}

static int begin_section(struct conf_parser *p, char *text)
{
	static const char word[] = "function";
	const struct conf_key *k;
	char *name = text;

	if (end_function(p) < 0)
		return p->error;
	p->seen = 0;
	if (!strncmp(text, word, sizeof(word) - 1) &&
	    isspace((unsigned char)text[sizeof(word) - 1])) {
		name = text + sizeof(word);
		name += strspn(name, " \t");
		p->section = word;
		return begin_function(p, name);
	}
	k = find_key(text, NULL);
	if (!strcmp(text, word))
		return fail(p, -EINVAL, "[function] needs a name: "
			    "[function NAME]");
	if (!k)
		return fail(p, -EINVAL, "unknown section [%s]", text);
	if (p->sections >> (k - keys) & 1)
		return fail(p, -EINVAL, "[%s] is given twice", text);
	p->sections |= 1ull << (k - keys);
	p->section = k->section;
	return 0;
}

/* a line of the form [text], as inih would take it */
static void look_for_section(struct conf_parser *p, const char *line,
			     size_t len)
{
	char text[2 * VALUE_NAME_MAX];
	const char *end;

	while (len && isspace((unsigned char)*line)) {
		line++;
		len--;
	}
	if (!len || *line != '[')
		return;
	end = memchr(line, ']', len);
	if (!end) {
		fail(p, -EINVAL, "'[' without ']'");
		return;
	}
	line++;
	if ((size_t)(end - line) >= sizeof(text)) {
		fail(p, -EINVAL, "section name too long");
		return;
	}
	memcpy(text, line, end - line);
	text[end - line] = '\0';
	begin_section(p, text);
}

/* fgets over the text; num counts the NUL, inih wants "\r\n" to fit as well */
static char *read_line(char *buf, int num, void *stream)
{
	struct conf_parser *p = stream;
	const char *nl;
	size_t len;

	if (p->at == p->end || p->error)
		return NULL;
	nl = memchr(p->at, '\n', p->end - p->at);
	len = (nl ? nl + 1 : p->end) - p->at;
	p->line++;
	if (len >= (size_t)num - 2) {
		fail(p, -EINVAL, "line longer than %d bytes", num - 3);
		return NULL;
	}
	if (memchr(p->at, '\0', len)) {
		fail(p, -EINVAL, "NUL byte");
		return NULL;
	}
	memcpy(buf, p->at, len);
	buf[len] = '\0';
	look_for_section(p, p->at, len);
	p->at += len;
	return p->error ? NULL : buf;
}

static int check_pools(struct conf_parser *p)
{
	struct conf *c = p->conf;

	if (c->max && c->min > c->max)
		return err_set(p->err, p->error = -EINVAL,
			       "%s: [pool] min %u is more than max %u",
			       p->name, c->min, c->max);
	for (size_t i = 0; i < c->functions; i++) {
		struct conf_function *f = &c->function[i];
		unsigned min = f->has_min ? f->min : c->min;
		unsigned max = f->max ? f->max : c->max;

		p->line = f->line;
		if (max && min > max)
			return fail(p, -EINVAL, "[function %s] pool.min %u is "
				    "more than pool.max %u", f->name, min, max);
	}
	return 0;
}

int conf_parse(struct conf **out, const char *name, const char *text,
	       size_t len, struct err *err)
{
	struct conf_parser p = { .name = name, .at = text, .end = text + len,
			    .err = err };
	int r = conf_create(&p.conf);

	if (r < 0)
		return err_set(err, r, "%s: out of memory", name);
	r = ini_parse_stream(read_line, &p, on_key, &p);
	if (r > 0 && !p.error) {
		p.line = r;
		fail(&p, -EINVAL, "neither [section], 'key = value' nor "
		     "comment");
	} else if (r < 0) {
		fail(&p, -ENOMEM, "out of memory");
	}
	end_function(&p);
	if (!p.error)
		check_pools(&p);
	if (p.error) {
		conf_destroy(p.conf);
		return p.error;
	}
	*out = p.conf;
	return 0;
}

int conf_load(struct conf **out, const char *path, struct err *err)
{
	char *text;
	ssize_t len = text_load(path, FILE_MAX, &text, err);
	int r;

	if (len < 0)
		return len;
	r = conf_parse(out, path, text, len, err);
	free(text);
	return r;
}

int conf_create(struct conf **out)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (c)
		c->listen = strdup("127.0.0.1:8080");
	if (!c || !c->listen) {
		free(c);
		return -ENOMEM;
	}
	c->drain_ns = 30 * SEC;
	c->request_max = ETLFS_EVENT_MAX - ETLFS_EVENT_OFF;
	c->response_max = 6u << 20;
	c->log_max = 1u << 20;
	c->connections = 4096;
	c->per_address = 256;
	c->log_rate = 1u << 20;
	c->queue = 1024;
	c->wait_ns = 30 * SEC;
	c->boot_ns = 60 * SEC;
	c->min = 1;
	c->max = 2 * sysconf(_SC_NPROCESSORS_ONLN);
	if (c->max < 4)
		c->max = 4;
	c->idle_ns = 60 * SEC;
	c->refresh_ns = 3600 * SEC;
	c->windows = 2;
	c->warm = 64u << 20;
	c->fetch_timeout_ns = 60 * SEC;
	c->fetch_max = 1ull << 30;
	c->fetch_total = (uint64_t)sysconf(_SC_PHYS_PAGES) *
			 sysconf(_SC_PAGESIZE) / 2;
	*out = c;
	return 0;
}

void conf_destroy(struct conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->functions; i++) {
		free(c->function[i].name);
		free(c->function[i].image);
	}
	free(c->function);
	free(c->listen);
	free(c->user);
	free(c->log);
	free(c->copies);
	free(c);
}
