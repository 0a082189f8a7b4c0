/*
 * pack_runtime.c - the runtime layer: interpreter, ld.so, libraries, standard
 * library, usetl's own files, and the few of /etc that a C library asks for
 *
 * All of it lies where it lies on this host, because the interpreter finds
 * its library by looking around itself.  The layer depends on the
 * interpreter alone unless include or exclude name parts of it, so that all
 * functions of one runtime share it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/bake/elfdeps.h"
#include "etlfs/bake/elfmap.h"
#include "etlfs/bake/pack.h"

#define LAYER	ETLFS_LAYER_RUNTIME

struct runtime_filter {
	struct pack *p;
	const char *dir;		/* the folder, in the guest */
};

static int keep(void *arg, const char *rel, int is_dir)
{
	struct runtime_filter *r = arg;
	char guest[TREE_PATH_MAX];

	snprintf(guest, sizeof(guest), "%s/%s", r->dir, rel);
	if (pack_stdlib_keeps(r->p, rel, guest, is_dir))
		return 1;
	/*
	 * What the interpreter has compiled of its own library is not packed,
	 * but decides which of its constants are shared while it compiles
	 * here, and with that a few bits of what it writes.
	 */
	if (is_dir)
		tree_saw(r->p->t, guest, TREE_SAW_FOLDER);
	return 0;
}

static int add_folder(struct pack *p, const char *dir)
{
	struct runtime_filter r = { .p = p, .dir = dir };
	struct tree_folder f = { .host = dir, .guest = dir, .layer = LAYER,
				 .keep = keep, .arg = &r };

	return tree_add_folder(p->t, &f, p->err);
}

static int add_etc(struct pack *p)
{
	static const struct { const char *path, *text; } etc[] = {
		{ "/etc/passwd", "root:x:0:0:root:/tmp:/bin/sh\n"
		  "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n" },
		{ "/etc/group", "root:x:0:\nnogroup:x:65534:\n" },
		{ "/etc/hostname", "usetl\n" },
		{ "/etc/hosts", "127.0.0.1\tlocalhost usetl\n" },
		/*
		 * Keeps glibc from looking for plug-ins.  dns finds nothing:
		 * it asks for a socket, and the log says what is there instead.
		 */
		{ "/etc/nsswitch.conf", "passwd: files\ngroup: files\n"
		  "hosts: files dns\n" },
	};
	struct tree_file tz = { .layer = LAYER, .mode = 0644 };
	char real[PATH_MAX];
	struct stat st;
	int64_t rc = 0;

	for (size_t i = 0; i < sizeof(etc) / sizeof(*etc) && rc >= 0; i++)
		rc = tree_add_data(p->t, etc[i].path, etc[i].text,
				   strlen(etc[i].text), LAYER, p->err);
	if (rc < 0)
		return rc;
	/* the file itself: the zone files that it links to stay out */
	tree_saw(p->t, "/etc/localtime", TREE_SAW_REAL);
	if (!realpath("/etc/localtime", real))
		return 0;
	tree_saw(p->t, real, TREE_SAW_PATH);
	if (stat(real, &st) || !S_ISREG(st.st_mode) || access(real, R_OK))
		return 0;
	tz.host = real;
	tz.size = st.st_size;
	rc = tree_add_file(p->t, "/etc/localtime", &tz, p->err);
	return rc < 0 ? rc : 0;
}

/* both are the libOS's to load, so they must lie where it can */
static int add_interp(struct pack *p, uint32_t program)
{
	uint64_t memory = p->o->manifest->memory;
	struct elfmap at, ld;
	struct elf_info info = { 0 };
	int64_t n;
	int rc = elfmap_check(p->t, program, memory, &at, p->err);

	if (rc == 0)
		rc = elfdeps_info_read(p->t, program, &info, p->err);
	if (rc < 0)
		return rc;
	n = !info.interp ? err_set(p->err, -ENOEXEC, "'%s' is statically "
				   "linked; usetl needs an interpreter that "
				   "loads shared libraries", p->rt->program) :
	    tree_add_host(p->t, info.interp, LAYER, p->err);
	elfdeps_info_free(&info);
	if (n < 0)
		return n;
	rc = elfmap_check(p->t, n, memory, &ld, p->err);
	if (rc == 0 && at.lo < ld.hi && ld.lo < at.hi)
		rc = err_set(p->err, -ENOEXEC, "'%s' and its ld.so are both "
			     "linked to 0x%llx", p->rt->program,
			     (unsigned long long)(at.lo > ld.lo ? at.lo :
						  ld.lo));
	return rc;
}

/* the interpreter and its ld.so */
static int64_t add_program(struct pack *p)
{
	int64_t n = tree_add_host(p->t, p->rt->program, LAYER, p->err), rc;

	if (n < 0)
		return n;
	rc = add_interp(p, n);
	return rc < 0 ? rc : n;
}

/* the one locale that a guest has; without it programs fall back to C */
static int add_locale(struct pack *p)
{
	static const char *const dirs[] = {
		"/usr/lib/locale/C.UTF-8", "/usr/lib/locale/C.utf8", NULL
	};

	for (int i = 0; dirs[i]; i++) {
		tree_saw(p->t, dirs[i], TREE_SAW_PATH);
		if (!access(dirs[i], R_OK))
			return add_folder(p, dirs[i]);
	}
	return 0;
}

/*
 * What starts a function, and the folders that the libOS has of its own: where
 * the runtime has them too, those of other layers have the same number.
 */
static int add_boot(struct pack *p)
{
	static const char *const dirs[] = {
		"/dev", "/proc", "/sys", "/tmp", NULL
	};
	const struct runtime_file *boot = p->rt->ops->boot;
	int64_t rc = 0;

	for (int i = 0; rc >= 0 && dirs[i]; i++)
		rc = tree_add_dir(p->t, dirs[i], LAYER, p->err);
	for (; rc >= 0 && boot->path; boot++)
		rc = tree_add_data(p->t, boot->path, boot->data,
				   boot->end - boot->data, LAYER, p->err);
	return rc < 0 ? rc : 0;
}

/* all but the program, which is there */
static int make_layer(struct pack *p)
{
	const struct strings *stdlib = &p->rt->stdlib;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < stdlib->n; i++)
		rc = add_folder(p, stdlib->v[i]);
	if (rc == 0)
		rc = add_locale(p);
	if (rc == 0)
		rc = add_etc(p);
	if (rc == 0)
		rc = add_boot(p);
	/* the interpreter first: it says where libc and its like are */
	if (rc == 0)
		rc = elfdeps_add(p->elf, 0, LAYER, p->err);
	/* glibc loads it by name when a thread is cancelled */
	if (rc == 0) {
		rc = elfdeps_want(p->elf, "libgcc_s.so.1", LAYER, p->err);
		rc = rc < 0 ? rc : 0;
	}
	if (rc == 0)
		rc = pack_stage(p, "compiling the runtime");
	if (rc == 0)
		rc = p->rt->ops->compile(p->rt, p->t, 0, LAYER, 0, p->err);
	return rc < 0 ? rc : pack_store_keep(p, LAYER);
}

int pack_runtime(struct pack *p)
{
	int rc = pack_store_begin(p, LAYER);
	/* always: whether it fits into memory is the function's matter */
	int64_t program = rc < 0 ? rc : add_program(p);

	if (program < 0)
		return program;
	rc = elfdeps_create(&p->elf, p->t, program, p->err);
	rc = rc < 0 ? rc : pack_store_take(p, LAYER);
	if (rc == 0)
		rc = make_layer(p);
	pack_store_end(p);
	return rc < 0 ? rc : 0;
}
