/*
 * elf.h - as much of ELF as the loader reads (ELF gABI, chapters 4 and 5)
 */
#ifndef UNIKERNEL_ELF_H
#define UNIKERNEL_ELF_H

#include "unikernel/lib/lib.h"

#define ELFMAG		"\177ELF"
#define SELFMAG		4
#define ELFCLASS64	2
#define ELFDATA2LSB	1
#define EM_X86_64	62
#define ET_EXEC		2
#define ET_DYN		3
#define PT_LOAD		1
#define PT_INTERP	3
#define PT_PHDR		6
#define PF_X		1
#define ELF_PHDRS_MAX	64

struct elf_ehdr {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

#define AT_NULL		0
#define AT_PHDR		3
#define AT_PHENT	4
#define AT_PHNUM	5
#define AT_PAGESZ	6
#define AT_BASE		7
#define AT_FLAGS	8
#define AT_ENTRY	9
#define AT_UID		11
#define AT_EUID		12
#define AT_GID		13
#define AT_EGID		14
#define AT_PLATFORM	15
#define AT_HWCAP	16
#define AT_CLKTCK	17
#define AT_SECURE	23
#define AT_RANDOM	25
#define AT_HWCAP2	26
#define AT_EXECFN	31
#define AT_SYSINFO_EHDR	33
#define AT_MINSIGSTKSZ	51

struct file;

/*
 * Headers of a 64-bit x86 program or shared object; every PT_LOAD is checked
 * (filesz <= memsz, no overflow, offset and address agree within a page).
 * 0 or -ENOEXEC.  ph has room for ELF_PHDRS_MAX.
 */
int elf_read_headers(struct file *f, struct elf_ehdr *eh,
		     struct elf_phdr *ph);

/* a program or its interpreter in memory */
struct elf_image {
	u64 base;			/* added to every address of the file */
	u64 entry, phdr;		/* in memory */
	u64 phnum;
	char interp[256];		/* "": none */
};

/* 0 or -errno; an ET_EXEC lies at its own addresses, which must be EXEC's */
int elf_load(struct file *f, struct elf_image *img);

#endif
