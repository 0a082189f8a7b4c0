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

struct file;

/*
 * Reads the headers of a 64-bit x86 program or shared object and checks every
 * PT_LOAD (filesz <= memsz, no overflow, offset and address agree within a
 * page).  0 or -ENOEXEC.  ph has room for ELF_PHDRS_MAX.
 */
int elf_read_headers(struct file *f, struct elf_ehdr *eh,
		     struct elf_phdr *ph);

/* a program or its interpreter in memory */
struct elf_image {
	u64 base;			/* added to every address of the file */
	u64 entry, phdr;		/* in memory */
	u64 phnum;
	char interp[256];		/* "" for none */
};

/* 0 or -errno; an ET_EXEC is loaded at its own addresses, inside EXEC */
int elf_load(struct file *f, struct elf_image *img);

#endif
