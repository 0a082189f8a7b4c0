/* lazylib.c - loads a library, and fills the slots of its functions */
#include "conf/lazylib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/lazylib_names.h"

/* of lazylib_stubs.S, in the order of the list */
extern void *lazylib_slots[], *lazylib_slots_end[];
/* the stubs': the library of this slot */
void lazylib_first(void **slot);

#define LIB(name)	{ NULL, LAZYLIB_##name },
#define FN(name)	{ #name, LAZYLIBS },
/* a name each, with those of libraries between them as NULL */
static const struct {
	const char *fn;
	enum lazylib lib;
} list[] = {
#include "conf/lazylib.inc"
};
#define ROWS	(sizeof(list) / sizeof(list[0]))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int loaded[LAZYLIBS];

/* what the loader says, and how it ends, where it starts a program */
static _Noreturn void missing(void)
{
	fprintf(stderr, "usetl: error while loading shared libraries: %s\n",
		dlerror());
	_exit(127);
}

static void protect(int prot)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = (size_t)(lazylib_slots_end - lazylib_slots) *
		     sizeof(void *);

	mprotect(lazylib_slots, (len + page - 1) & ~(page - 1), prot);
}

static void fill(enum lazylib lib, void *handle)
{
	void **slot = lazylib_slots, *fn;
	enum lazylib of = LAZYLIBS;

	for (size_t i = 0; i < ROWS; i++) {
		if (!list[i].fn) {
			of = list[i].lib;
			continue;
		}
		fn = of == lib ? dlsym(handle, list[i].fn) : *slot;
		if (!fn)
			missing();
		*slot++ = fn;
	}
}

void lazylib_load(enum lazylib lib)
{
	void *handle;

	pthread_mutex_lock(&lock);
	if (!loaded[lib]) {
		handle = dlopen(lazylib_file[lib], RTLD_LAZY | RTLD_LOCAL);
		if (!handle)
			missing();
		protect(PROT_READ | PROT_WRITE);
		fill(lib, handle);
		protect(PROT_READ);
		loaded[lib] = 1;
	}
	pthread_mutex_unlock(&lock);
}

void lazylib_first(void **slot)
{
	enum lazylib of = LAZYLIBS;
	size_t i, n = (size_t)(slot - lazylib_slots) + 1;

	for (i = 0; n; i++)
		if (list[i].fn)
			n--;
		else
			of = list[i].lib;
	lazylib_load(of);
}
