/*
 * python_ops.c - Python as a runtime: what its layers leave out, what of an
 * archive goes where, and what starts it in a guest
 */
#include "etlfs/bake/python.h"

#include <string.h>

static const char *const not_stdlib[] = {
	"test", "tests", "idle_test", "__pycache__", "*.pyc", "*.pyo",
	"*.a", "*.o",
	"/idlelib", "/turtledemo", "/tkinter", "/ensurepip",
	"/site-packages", "/dist-packages", "/config-*",
	"/sitecustomize.py", "/usercustomize.py",
	"/EXTERNALLY-MANAGED",
	/* of lib-dynload, which has names of its own */
	"_tkinter*.so", "_test*.so", "_ctypes_test*.so",
	"_xxtestfuzz*.so", "xxlimited*.so", "xxsubtype*.so", NULL
};

/* what is compiled here is of this interpreter, and of the packed sources */
static const char *const compiled[] = {
	"__pycache__", "*.pyc", "*.pyo", NULL
};

/* import hooks, and whatever else changes what the interpreter does */
static const char *const site_runs[] = {
	"*.pth", "sitecustomize*", "usercustomize*", NULL
};

static const char *const options[] = {
	"-I", "-S", "-B", "/usetl/boot.py", NULL
};

static const char *const env[] = {
	/* one vCPU: threads of a BLAS and heaps of threads only cost memory */
	"OPENBLAS_NUM_THREADS=1", "MALLOC_ARENA_MAX=1", NULL
};

/*
 * Where pip would put a wheel's member relative to site-packages, or NULL
 * when it belongs elsewhere (scripts, headers, data).
 */
static const char *wheel_place(const char *name)
{
	size_t len = strcspn(name, "/");
	const char *rest = name + len;

	if (len < 5 || strncmp(rest - 5, ".data", 5) || !*rest)
		return name;
	if (!strncmp(rest, "/purelib/", 9) || !strncmp(rest, "/platlib/", 9))
		return rest + 9;
	return NULL;
}

static const char *place(const char *file, const char *name, int is_file)
{
	size_t len = strlen(file);

	if (len > 4 && !strcmp(file + len - 4, ".whl"))
		name = wheel_place(name);
	return name && is_file && strstr(name, "__pycache__/") ? NULL : name;
}

const struct runtime_ops runtime_python = {
	.name = "python",
	.commands = "python*",
	.not_stdlib = not_stdlib,
	.not_packages = compiled,
	.not_app = compiled,
	.tools_mark = "pyvenv.cfg",
	.scripts = "bin",
	.site_runs = site_runs,
	.options = options,
	.env = env,
	.boot = python_boot,
	.find = python_find,
	.destroy = python_destroy,
	.compile = python_compile,
	.installed = python_installed,
	.install = python_install,
	.needs = python_needs,
	.installing = "waiting for pip",
	.archive = python_archive,
	.place = place,
};
