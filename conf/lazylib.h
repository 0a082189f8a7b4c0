/*
 * lazylib.h - libraries that are loaded when one of their functions is called
 *
 * Loading libcurl, libarchive and what these bring takes longer than a function
 * that goes on from a snapshot, which needs none of them.  So the program is not
 * linked with those of lazylib.inc; conf/lazylib_stubs.S has a function of each
 * name, which loads its library, and is a jump from then on.  Whoever calls one
 * sees nothing of it: headers and types are the library's own.
 *
 * A library that is missing ends the process with the loader's line, as it
 * would have at start.  So who runs for long loads what it is going to need
 * before it says that it is ready, and nobody calls one where he is locked.
 */
#ifndef CONF_LAZYLIB_H
#define CONF_LAZYLIB_H

#define LIB(name)	LAZYLIB_##name,
#define FN(name)
enum lazylib {
#include "conf/lazylib.inc"
	LAZYLIBS
};
#undef LIB
#undef FN

/* all of its functions; any thread, any number of times */
void lazylib_load(enum lazylib lib);

#endif
