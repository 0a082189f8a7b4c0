/*
 * pagemap.h - what a process's page tables say of guest memory
 *
 * PAGEMAP_SCAN where the kernel has it (Linux 6.7) and lets it be called,
 * otherwise /proc/PID/pagemap is read (admin-guide/mm/pagemap.rst).
 */
#ifndef VMM_PAGEMAP_H
#define VMM_PAGEMAP_H

#include <stdint.h>
#include <sys/ioctl.h>

/* the ioctl PAGEMAP_SCAN, which headers before Linux 6.7 lack */
#define PAGEMAP_SCAN_CALL _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, 96)

/*
 * fn for each run of pages in [at, at + len) that are the process's own and
 * no longer a file's; addresses are the process's.  fd: an open pagemap.
 * Ends with fn's first value below 0, or -errno.  anonymous: there is no file
 * there, and where only zeros were read may be left out.  (In a file's place
 * the zero page is one's own, too: same-page merging puts it there.)
 */
int pagemap_private(int fd, uint64_t at, uint64_t len, int anonymous,
		    int (*fn)(void *arg, uint64_t from, uint64_t to),
		    void *arg);
/* the same, always by reading, and with the zero page where it was read */
int pagemap_read_private(int fd, uint64_t at, uint64_t len,
			 int (*fn)(void *arg, uint64_t from, uint64_t to),
			 void *arg);
/* adds the pages that are mapped at all */
int pagemap_present(int fd, uint64_t at, uint64_t len, uint64_t *n);

#endif
