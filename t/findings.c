/*
 * findings.c - what a sanitizer found, in whatever process
 *
 * Linked into all that SANITIZE instruments.  A finding ends the process that
 * it is in, but what it says on standard error may go anywhere, and a locked
 * process opens no file.  So a program maps the file that $USETL_FINDINGS
 * names at its start, its descendants share that memory, and t/findings.sh
 * reads it at the end: text, then zeros, and in the last word its length.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *text;
static _Atomic uint64_t *used;
static uint64_t room;

__attribute__((constructor)) static void findings_open(void)
{
	const char *path = getenv("USETL_FINDINGS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	struct stat st;
	void *p;

	if (!path)
		return;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 4096 ||
	    (p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0)) == MAP_FAILED) {
		fprintf(stderr, "cannot map '%s': %s\n", path,
			strerror(errno));
		_exit(2);
	}
	close(fd);
	text = p;
	room = (uint64_t)st.st_size - sizeof(*used);
	used = (void *)(text + room);
}

/* sanitizer/common_interface_defs.h: called with everything that is printed */
void __sanitizer_on_print(const char *s);
void __sanitizer_on_print(const char *s)
{
	uint64_t len = strlen(s), at;

	if (!text)
		return;
	at = atomic_fetch_add(used, len);
	if (at < room)
		memcpy(text + at, s, len < room - at ? len : room - at);
}
