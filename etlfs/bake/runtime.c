/*
 * runtime.c - the runtimes that there are
 */
#include "etlfs/bake/runtime.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* the first is asked about commands of any other name */
static const struct runtime_ops *const runtimes[] = {
	&runtime_python,
};

static const struct runtime_ops *by_command(const char *command)
{
	const char *slash = strrchr(command, '/');
	const char *name = slash ? slash + 1 : command;

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(*runtimes); i++)
		if (!fnmatch(runtimes[i]->commands, name, 0))
			return runtimes[i];
	return runtimes[0];
}

int runtime_find(struct runtime **out, const char *command, struct err *err)
{
	return by_command(command)->find(out, command, err);
}

void runtime_destroy(struct runtime *rt)
{
	if (!rt)
		return;
	free(rt->command);
	free(rt->program);
	free(rt->version);
	strings_free(&rt->stdlib);
	strings_free(&rt->site);
	rt->ops->destroy(rt);
}

static int executable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

int runtime_locate(const char *command, char *buf, size_t size)
{
	const char *path = getenv("PATH");
	char cwd[PATH_MAX];
	int n;

	if (*command == '/') {
		n = snprintf(buf, size, "%s", command);
		return (size_t)n < size && executable(buf) ? 0 : -ENOENT;
	}
	if (strchr(command, '/')) {
		if (!getcwd(cwd, sizeof(cwd)))
			return -errno;
		n = snprintf(buf, size, "%s/%s", cwd, command);
		return (size_t)n < size && executable(buf) ? 0 : -ENOENT;
	}
	if (!path)
		path = "/usr/bin:/bin";
	while (*path) {
		size_t len = strcspn(path, ":");

		n = snprintf(buf, size, "%.*s/%s", (int)len, path, command);
		if (*path == '/' && (size_t)n < size && executable(buf))
			return 0;
		path += len;
		path += *path == ':';
	}
	return -ENOENT;
}

void runtime_packages_free(struct runtime_packages *p)
{
	strings_free(&p->paths);
	strings_free(&p->folders);
}
