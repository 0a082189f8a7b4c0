/*
 * python_pip.c - what decides which files pip installs
 *
 * The text is for a key: where it is the same, pip is not run again.  What an
 * index has by now is not in it: nobody asks the network when nothing else has
 * changed.  Whatever is not known here to be harmless is answered by -ENOTSUP,
 * which costs one run of pip.
 */
#include "etlfs/bake/python.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX	((size_t)1 << 20)
#define DEPTH_MAX	8		/* files that name files */

extern char **environ;

struct needs {
	const struct python *py;
	struct tree *t;
	FILE *to;
};

/* a whole file, NUL-terminated, the caller's; 0, -ENOENT or -ENOTSUP */
static int read_text(const char *path, char **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT :
			-ENOTSUP;
	text = calloc(1, FILE_MAX + 1);
	n = text ? read(fd, text, FILE_MAX) : -1;
	close(fd);
	if (n >= 0 && (size_t)n < FILE_MAX && strlen(text) == (size_t)n) {
		*out = text;
		return 0;
	}
	free(text);
	return -ENOTSUP;
}

static int is_url(const char *s)
{
	return !strncmp(s, "https://", 8) || !strncmp(s, "http://", 7);
}

static int in(const char *const *patterns, const char *name)
{
	for (; *patterns; patterns++)
		if (!fnmatch(*patterns, name, 0))
			return 1;
	return 0;
}

/* --- folders of archives */

/* beside the file that names it; as pip does, an absolute one is itself */
static int beside(const char *file, const char *name, char *buf, size_t size)
{
	const char *slash = strrchr(file, '/');
	int dir = *name == '/' || !slash ? 0 : (int)(slash + 1 - file);

	return snprintf(buf, size, "%.*s%s", dir, file, name) < (int)size ? 0 :
		-ENOTSUP;
}

/* a folder of archives: its files are looked at */
static int put_links(struct needs *n, const char *file, const char *name)
{
	char dir[PATH_MAX], path[2 * PATH_MAX];
	struct dirent *e;
	DIR *d;
	int rc = beside(file, name, dir, sizeof(dir));

	if (rc < 0 || is_url(name))
		return rc;
	tree_saw(n->t, dir, TREE_SAW_PATH);
	tree_saw(n->t, dir, TREE_SAW_FOLDER);
	d = opendir(dir);
	/* one that begins nowhere may be looked for elsewhere */
	if (!d)
		return errno == ENOENT && *name == '/' ? 0 : -ENOTSUP;
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		tree_saw(n->t, path, TREE_SAW_PATH);
		/* a page of links may lead anywhere */
		if (strcasestr(e->d_name, ".htm"))
			rc = -ENOTSUP;
	}
	closedir(d);
	return rc;
}

/* --- variables */

/* what a session has of its own, and no build reads */
static const char *const no_matter[] = {
	"PYTHON*", "LC_ALL=*", "_=*", "PWD=*", "OLDPWD=*", "SHLVL=*", "TERM=*",
	"TERM_*", "COLORTERM=*", "LINES=*", "COLUMNS=*", "LS_COLORS=*",
	"SSH_*", "DISPLAY=*", "WAYLAND_DISPLAY=*", "XAUTHORITY=*",
	"DBUS_SESSION_BUS_ADDRESS=*", "XDG_SESSION_*", "XDG_RUNTIME_DIR=*",
	"XDG_DATA_HOME=*", "TMUX*", "STY=*", "WINDOWID=*", "MAIL=*",
	"HIST*", "TMPDIR=*", "USETL_*", NULL
};

/* they name files, which may have anything in them */
static const char *const names_files[] = {
	"PIP_*CONSTRAINT*=?*", "PIP_REQUIREMENT*=?*",
	"PIP_EDITABLE*=?*", "PIP_*=*file:*",
	"PIP_*INDEX_URL=[!h]*", "PIP_*INDEX_URL=* [!h]*",
	"PIP_PYPI_URL=[!h]*", NULL
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* folders and addresses, with blanks between them */
static int put_find_links(struct needs *n)
{
	const char *links = getenv("PIP_FIND_LINKS");
	char *copy = links ? strdup(links) : NULL, *save;
	int rc = links && !copy ? -ENOMEM : 0;

	for (char *name = copy ? strtok_r(copy, " \t\n", &save) : NULL;
	     rc == 0 && name; name = strtok_r(NULL, " \t\n", &save))
		rc = *name == '/' || is_url(name) ? put_links(n, "", name) :
			-ENOTSUP;
	free(copy);
	return rc;
}

static int put_environment(struct needs *n)
{
	size_t len = 0;
	char **v;
	int rc = 0;

	while (environ[len])
		len++;
	v = malloc((len + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	memcpy(v, environ, len * sizeof(*v));
	qsort(v, len, sizeof(*v), by_text);
	for (size_t i = 0; rc == 0 && i < len; i++) {
		if (in(names_files, v[i]))
			rc = -ENOTSUP;
		if (!in(no_matter, v[i]))
			fprintf(n->to, "%s%c", v[i], 0);
	}
	free(v);
	return rc < 0 ? rc : put_find_links(n);
}

/* --- pip.conf */

static int is_blank(const char *line)
{
	return !line[strspn(line, " \t\r")];
}

/* "key = value", or a further line of a value */
static int check_line(const char *line)
{
	static const char *const words[] = {
		"*find[-_]links*", "*constraint*", "*requirement*",
		"*editable*", "*file:*", "*%(*", NULL
	};
	size_t key = isspace((unsigned char)*line) ? 0 : strcspn(line, "=:");
	const char *value = line[key] && key ? line + key + 1 : line;

	value += strspn(value, " \t");
	if (in(words, line))
		return -ENOTSUP;
	if (key && !is_blank(value) && !is_url(value) &&
	    !fnmatch("*index*", line, 0) && strncmp(line, "no-index", 8))
		return -ENOTSUP;
	if (!fnmatch("cache*", line, 0) || !fnmatch("*cert*", line, 0))
		return 0;
	return strchr("/.~", *value) && *value ? -ENOTSUP : 0;
}

static int put_config(struct needs *n, const char *format, const char *dir)
{
	char path[PATH_MAX], *text, *save;
	int rc;

	if (snprintf(path, sizeof(path), format, dir) >= (int)sizeof(path))
		return -ENOTSUP;
	rc = read_text(path, &text);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	fprintf(n->to, "config %s %s%c", path, text, 0);
	for (char *line = strtok_r(text, "\n", &save); rc == 0 && line;
	     line = strtok_r(NULL, "\n", &save))
		if (*line != '#' && *line != ';' && *line != '[' &&
		    !is_blank(line))
			rc = check_line(line);
	free(text);
	return rc;
}

/* all that pip reads, in no order: the files are in the text by their names */
static int put_configs(struct needs *n)
{
	const char *home = getenv("HOME"), *own = getenv("XDG_CONFIG_HOME");
	const char *dirs = getenv("XDG_CONFIG_DIRS");
	const char *named = getenv("PIP_CONFIG_FILE");
	char dir[PATH_MAX];
	int rc = home && *home ? 0 : -ENOTSUP;

	rc = rc < 0 ? rc : put_config(n, "%s", "/etc/pip.conf");
	rc = rc < 0 ? rc : put_config(n, "%s/.pip/pip.conf", home);
	rc = rc < 0 ? rc : own && *own ? put_config(n, "%s/pip/pip.conf", own) :
		put_config(n, "%s/.config/pip/pip.conf", home);
	rc = rc < 0 ? rc : put_config(n, "%s/pip.conf", n->py->prefix);
	if (rc == 0 && named && *named)
		rc = put_config(n, "%s", named);
	for (dirs = dirs && *dirs ? dirs : "/etc/xdg"; rc == 0 && *dirs;
	     dirs += *dirs == ':') {
		size_t len = strcspn(dirs, ":");

		snprintf(dir, sizeof(dir), "%.*s", (int)len, dirs);
		rc = put_config(n, "%s/pip/pip.conf", dir);
		dirs += len;
	}
	return rc;
}

/* --- requirements */

static int put_file(struct needs *n, const char *path, int depth);

enum value { NONE, ANY, URL, LINKS, MORE };

static const struct option_of_pip {
	const char *name;
	enum value value;
} options[] = {
	{ "-r", MORE }, { "--requirement", MORE },
	{ "-c", MORE }, { "--constraint", MORE },
	{ "-i", URL }, { "--index-url", URL }, { "--extra-index-url", URL },
	{ "-f", LINKS }, { "--find-links", LINKS },
	{ "--no-index", NONE }, { "--pre", NONE }, { "--prefer-binary", NONE },
	{ "--require-hashes", NONE }, { "--only-binary", ANY },
	{ "--no-binary", ANY }, { "--trusted-host", ANY },
};

static int put_option(struct needs *n, const char *file, char *line, int depth)
{
	size_t len = strcspn(line, " \t=");
	char *value = line + len + strspn(line + len, " \t="), path[PATH_MAX];
	enum value what = NONE;
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (strlen(options[i].name) == len &&
		    !strncmp(options[i].name, line, len))
			break;
	/* one option with one value, and nothing behind it */
	if (i == sizeof(options) / sizeof(*options) ||
	    strpbrk(value, " \t'\"\\"))
		return -ENOTSUP;
	what = options[i].value;
	if (what == NONE || what == ANY)
		return what == ANY || !*value ? 0 : -ENOTSUP;
	if (what == URL)
		return is_url(value) ? 0 : -ENOTSUP;
	if (what == LINKS)
		return put_links(n, file, value);
	if (strstr(value, "://") ||
	    beside(file, value, path, sizeof(path)) < 0)
		return -ENOTSUP;
	return put_file(n, path, depth + 1);
}

/* "name [extras] versions; marker --hash=...", and no place of its own */
static int check_requirement(const char *line)
{
	static const char *const places[] = {
		"*/*", "*@*", "*\\\\*", "*.whl*", "*.zip*", "*.gz*", "*.bz2*",
		"*.xz*", "*.tar*", "*.t[bglx]z*", "*.lzma*", "*.egg*", NULL
	};

	return isalnum((unsigned char)*line) && !in(places, line) ? 0 :
		-ENOTSUP;
}

static int put_line(struct needs *n, const char *file, char *line, int depth)
{
	size_t len;

	for (char *c = line; (c = strchr(c, '#')); c++)
		if (c == line || isspace((unsigned char)c[-1])) {
			*c = 0;
			break;
		}
	line += strspn(line, " \t\r\f\v");
	len = strlen(line);
	while (len && isspace((unsigned char)line[len - 1]))
		line[--len] = 0;
	if (!len)
		return 0;
	if (strstr(line, "${"))
		return -ENOTSUP;
	return *line == '-' ? put_option(n, file, line, depth) :
		check_requirement(line);
}

/*
 * A line that ends with a backslash goes on: made one line.  Where pip could
 * see other lines than this does, -ENOTSUP.
 */
static int join_lines(char *text)
{
	static const char *const breaks[] = {
		"\302\205", "\342\200\250", "\342\200\251"
	};

	for (const char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c) && !strchr("\n\r\t", *c))
			return -ENOTSUP;
	for (size_t i = 0; i < sizeof(breaks) / sizeof(*breaks); i++)
		if (strstr(text, breaks[i]))
			return -ENOTSUP;
	for (char *c = text; (c = strstr(c, "\\\n"));) {
		const char *line = c;

		/* a comment ends with its line in any case */
		while (line > text && line[-1] != '\n')
			if (*--line == '#')
				return -ENOTSUP;
		c[0] = c[1] = ' ';
	}
	return 0;
}

static int put_file(struct needs *n, const char *path, int depth)
{
	char *text, *save;
	int rc = depth < DEPTH_MAX ? read_text(path, &text) : -ENOTSUP;

	if (rc < 0)
		return -ENOTSUP;
	fprintf(n->to, "requirements %s%c", text, 0);
	rc = join_lines(text);
	for (char *line = strtok_r(text, "\n\r", &save); rc == 0 && line;
	     line = strtok_r(NULL, "\n\r", &save))
		rc = put_line(n, path, line, depth);
	free(text);
	return rc;
}

int python_needs(const struct runtime *rt, const char *file, struct tree *t,
		 FILE *to)
{
	struct needs n = { .py = python_of(rt), .t = t, .to = to };
	/* without a pip the installation says so */
	int rc = n.py->pip ? put_environment(&n) : -ENOTSUP;

	rc = rc < 0 ? rc : put_configs(&n);
	rc = rc < 0 ? rc : put_file(&n, file, 0);
	/* pip itself; its folder is one of the site folders */
	if (rc == 0)
		tree_saw(t, n.py->pip, TREE_SAW_PATH);
	return rc;
}
