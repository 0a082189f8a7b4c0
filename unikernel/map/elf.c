/*
 * elf.c - a program or shared object from a file into EXEC (elf.h)
 *
 * The file is the image's: hostile only to its own function, yet nothing in
 * it may crash the libOS.  Segments are copied; protection is the arena's.
 */
#include "unikernel/map/elf.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"
#include "unikernel/map/mman.h"
#include "unikernel/fs/vfs.h"

static int phdr_ok(const struct elf_phdr *p)
{
	return p->filesz <= p->memsz && p->memsz <= UK_EXEC_END &&
	       p->vaddr <= UK_EXEC_END && p->offset + p->filesz >= p->offset &&
	       p->offset % UK_PAGE == p->vaddr % UK_PAGE &&
	       !(p->align & (p->align - 1));
}

int elf_read_headers(struct file *f, struct elf_ehdr *eh, struct elf_phdr *ph)
{
	u64 size;
	int i;

	if (file_pread(f, eh, sizeof(*eh), 0) != sizeof(*eh) ||
	    memcmp(eh->ident, ELFMAG, SELFMAG) ||
	    eh->ident[4] != ELFCLASS64 || eh->ident[5] != ELFDATA2LSB ||
	    eh->machine != EM_X86_64 || eh->phentsize != sizeof(*ph) ||
	    (eh->type != ET_EXEC && eh->type != ET_DYN) ||
	    !eh->phnum || eh->phnum > ELF_PHDRS_MAX)
		return -ENOEXEC;
	size = eh->phnum * sizeof(*ph);
	if (file_pread(f, ph, size, eh->phoff) != (long)size)
		return -ENOEXEC;
	for (i = 0; i < eh->phnum; i++)
		if (ph[i].type == PT_LOAD && !phdr_ok(&ph[i]))
			return -ENOEXEC;
	return 0;
}

/* the pages that the segments span, and the strictest alignment */
static int extent(const struct elf_ehdr *eh, const struct elf_phdr *ph,
		  u64 *lo, u64 *hi, u64 *align)
{
	int i;

	*lo = ~0ull;
	*hi = 0;
	*align = UK_PAGE;
	for (i = 0; i < eh->phnum; i++) {
		if (ph[i].type != PT_LOAD)
			continue;
		*lo = MIN(*lo, ROUND_DOWN(ph[i].vaddr, UK_PAGE));
		*hi = MAX(*hi, ROUND_UP(ph[i].vaddr + ph[i].memsz, UK_PAGE));
		*align = MAX(*align, ph[i].align);
	}
	return *lo < *hi && *align <= UK_BIG ? 0 : -ENOEXEC;
}

/* room for a position-independent one, aligned; its first page, or 0 */
static u64 place(u64 npages, u64 align)
{
	u64 spare = align / UK_PAGE - 1, head;
	u64 addr = pages_alloc(UK_ARENA_EXEC, npages + spare);

	if (!addr)
		return 0;
	head = (ROUND_UP(addr, align) - addr) / UK_PAGE;
	pages_free(addr, head);
	addr += head * UK_PAGE;
	pages_free(addr + npages * UK_PAGE, spare - head);
	return addr;
}

static int load_segment(struct file *f, const struct elf_phdr *p, u64 base)
{
	u64 got = 0;
	long n;

	while (got < p->filesz) {
		n = file_pread(f, (void *)(base + p->vaddr + got),
			       p->filesz - got, p->offset + got);
		if (n <= 0)
			return n < 0 ? n : -ENOEXEC;
		got += n;
	}
	if (p->flags & PF_X)
		map_module(f, ROUND_DOWN(base + p->vaddr, UK_PAGE),
			   ROUND_UP(p->vaddr + p->memsz, UK_PAGE) -
			   ROUND_DOWN(p->vaddr, UK_PAGE),
			   ROUND_DOWN(p->offset, UK_PAGE));
	return 0;
}

static int read_interp(struct file *f, const struct elf_phdr *p, char *buf,
		       size_t len)
{
	if (p->filesz < 2 || p->filesz > len ||
	    file_pread(f, buf, p->filesz, p->offset) != (long)p->filesz ||
	    buf[p->filesz - 1])
		return -ENOEXEC;
	return 0;
}

/* where the program headers lie in memory; 0 when no segment has them */
static u64 phdr_address(const struct elf_ehdr *eh, const struct elf_phdr *ph)
{
	int i;

	for (i = 0; i < eh->phnum; i++)
		if (ph[i].type == PT_LOAD && eh->phoff >= ph[i].offset &&
		    eh->phoff - ph[i].offset < ph[i].filesz)
			return ph[i].vaddr + (eh->phoff - ph[i].offset);
	return 0;
}

static int elf_place(const struct elf_ehdr *eh, const struct elf_phdr *ph,
		     u64 *base)
{
	u64 lo, hi, align, npages;
	int rc = extent(eh, ph, &lo, &hi, &align);

	if (rc < 0)
		return rc;
	npages = (hi - lo) / UK_PAGE;
	*base = 0;
	if (eh->type == ET_EXEC) {
		if (lo < UK_EXEC_BASE || hi > UK_EXEC_END)
			return -ENOEXEC;
		return pages_take(lo, npages, PAGE_FILE, 1);
	}
	*base = place(npages, align);
	if (!*base)
		return -ENOMEM;
	pages_mark(*base, npages, PAGE_FILE);
	*base -= lo;
	return 0;
}

int elf_load(struct file *f, struct elf_image *img)
{
	struct elf_ehdr eh;
	struct elf_phdr ph[ELF_PHDRS_MAX];
	int rc, i;

	memset(img, 0, sizeof(*img));
	rc = elf_read_headers(f, &eh, ph);
	if (rc < 0)
		return rc;
	rc = elf_place(&eh, ph, &img->base);
	for (i = 0; rc == 0 && i < eh.phnum; i++) {
		if (ph[i].type == PT_LOAD)
			rc = load_segment(f, &ph[i], img->base);
		else if (ph[i].type == PT_INTERP)
			rc = read_interp(f, &ph[i], img->interp,
					 sizeof(img->interp));
	}
	if (rc < 0)
		return rc;
	img->entry = img->base + eh.entry;
	img->phnum = eh.phnum;
	img->phdr = phdr_address(&eh, ph);
	if (img->phdr)
		img->phdr += img->base;
	return 0;
}
