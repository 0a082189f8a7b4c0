/*
 * elfmap_test.c - which programs bake refuses because of where they lie
 *
 * Each case is one change to a program that is right.
 */
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "etlfs/bake/elfmap.h"
#include "t/unit/tap.h"

#define MB	(1ull << 20)
#define FILE_SIZE 8192

struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];		/* interp, text, data */
	char interp[16];
	char rest[FILE_SIZE - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr) -
		  16];
};

static void good(struct image *m)
{
	memset(m, 0, sizeof(*m));
	memcpy(m->eh.e_ident, ELFMAG, SELFMAG);
	m->eh.e_ident[EI_CLASS] = ELFCLASS64;
	m->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	m->eh.e_type = ET_EXEC;
	m->eh.e_machine = EM_X86_64;
	m->eh.e_phoff = offsetof(struct image, ph);
	m->eh.e_phentsize = sizeof(Elf64_Phdr);
	m->eh.e_phnum = 3;
	strcpy(m->interp, "/lib64/ld.so");
	m->ph[0] = (Elf64_Phdr){
		.p_type = PT_INTERP, .p_offset = offsetof(struct image, interp),
		.p_filesz = 13, .p_memsz = 13,
	};
	m->ph[1] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X,
		.p_vaddr = 0x400000, .p_filesz = 4096, .p_memsz = 4096,
		.p_align = 4096,
	};
	m->ph[2] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 4096,
		.p_vaddr = 0x402000, .p_filesz = 100, .p_memsz = 20000,
		.p_align = 4096,
	};
}

static struct err err;
static struct elfmap map;

static int check_size(const struct image *m, size_t size, uint64_t memory)
{
	struct tree *t;
	int64_t n;
	int rc;

	err.msg[0] = '\0';
	if (tree_create(&t, &err))
		return -ENOMEM;
	n = tree_add_data(t, "/bin/python3", m, size, 0, &err);
	rc = n < 0 ? (int)n : elfmap_check(t, n, memory, &map, &err);
	tree_destroy(t);
	return rc;
}

static int check(const struct image *m)
{
	return check_size(m, sizeof(*m), 128 * MB);
}

/* refused, and the line has all of these words */
static void refused(const char *name, int rc, const char *a, const char *b)
{
	ok(rc == -ENOEXEC && strstr(err.msg, "'/bin/python3'") &&
	   strstr(err.msg, a) && strstr(err.msg, b) &&
	   !strchr(err.msg, '\n'), "%s", name);
	if (rc != -ENOEXEC || !strstr(err.msg, a) || !strstr(err.msg, b))
		printf("# %d: %s\n", rc, err.msg);
}

static void places(void)
{
	static const struct {
		uint64_t at;
		const char *hex, *what;
	} bad[] = {
		{ 0x10000, "0x10000-", "nothing may lie" },
		{ 0x1ff000, "0x1ff000-", "nothing may lie" },
		{ 0x6ffff000, "0x70001000-", "the libOS" },
		{ 0x70000000, "0x70000000-", "the libOS" },
		{ 0x707ff000, "0x707ff000-", "the libOS" },
		{ 0x80000000, "0x80000000-", "nothing may lie" },
		{ 0x90000000, "0x90000000-", "the stack" },
		{ 0x100000000, "0x100000000-", "the heap" },
		{ 0x300000000, "0x300000000-", "anonymous memory" },
		{ 0x500000000, "0x500000000-", "the function's files" },
		{ 0x800000000, "0x800000000-", "the image" },
		{ 0xc00000000, "0xc00000000-", "fetched bodies" },
		{ 0x1000000000, "0x1000000000-", "last address" },
		{ 0x7ffffff00000, "0x7ffffff00000-", "last address" },
	};
	struct image m;
	char name[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		good(&m);
		m.ph[1].p_vaddr = bad[i].at;
		m.ph[2].p_vaddr = bad[i].at + 0x2000;
		snprintf(name, sizeof(name), "linked to 0x%llx",
			 (unsigned long long)bad[i].at);
		/* the text ends before SYS there, the data does not */
		refused(name, check_size(&m, sizeof(m), 8192 * MB),
			bad[i].what, bad[i].at > UINT32_MAX ||
			bad[i].at != 0x6ffff000 ? bad[i].hex : "0x70001000-");
	}
	good(&m);
	m.ph[2].p_vaddr = 0x90000000;
	refused("only its data collides", check(&m), "segment 2", "the stack");
	m.ph[2].p_vaddr = 0x6fffe000;
	m.ph[2].p_memsz = 0x2001;
	refused("a tail that reaches into the libOS", check(&m), "the libOS",
		"0x70000001");
	m.ph[2].p_memsz = 0x2000;
	ok(check_size(&m, sizeof(m), 8192 * MB) == 0 && map.hi == 0x70000000,
	   "a segment up to the last byte: %s", err.msg);
}

static void limits(void)
{
	struct image m;

	good(&m);
	ok(check(&m) == 0 && map.lo == 0x400000 && map.hi == 0x407000,
	   "a program that is right, and where it lies: %s", err.msg);
	m.ph[1].p_vaddr = 0x10000000;
	m.ph[2].p_vaddr = 0x10002000;
	refused("beyond the memory limit", check(&m), "memory = 128M",
		"memory = 334M");
	ok(check_size(&m, sizeof(m), 334 * MB) == 0,
	   "a program with as much memory as it asks for: %s", err.msg);
	good(&m);
	m.eh.e_type = ET_DYN;
	m.ph[1].p_vaddr = 0;
	m.ph[2].p_vaddr = 0x2000;
	ok(check(&m) == 0 && map.lo == map.hi, "a PIE lies anywhere: %s",
	   err.msg);
	m.ph[2].p_memsz = 0x6fe00000;
	refused("a PIE with no room for it", check(&m), "PIE", "0x6fe02000");
	m.ph[2].p_memsz = 20000;
	m.ph[2].p_vaddr = 0x3000000000;
	refused("a prelinked one", check(&m), "shared object",
		"-0x3000005000");
}

static void segments(void)
{
	struct image m;

	good(&m);
	m.ph[2].p_memsz = UINT64_MAX - 0x1000;
	refused("p_memsz that overflows", check(&m), "segment 2", "last");
	m.ph[2].p_memsz = 99;
	refused("less in memory than in the file", check(&m), "segment 2",
		"more bytes in the file");
	good(&m);
	m.ph[2].p_offset = 4097;
	refused("not aligned alike", check(&m), "segment 2", "within a page");
	good(&m);
	m.ph[2].p_align = 3;
	refused("an odd alignment", check(&m), "segment 2", "power of 2");
	m.ph[2].p_align = 4 * MB;
	refused("a large alignment", check(&m), "segment 2", "2 MB");
	good(&m);
	m.ph[2].p_filesz = m.ph[2].p_memsz = 4097;
	refused("beyond the file's end", check(&m), "segment 2",
		"end of the file");
	m.ph[2].p_offset = UINT64_MAX - 4095;
	refused("an offset that overflows", check(&m), "segment 2",
		"end of the file");
	good(&m);
	m.ph[1].p_type = m.ph[2].p_type = PT_NOTE;
	refused("nothing to load", check(&m), "nothing to load", "");
	good(&m);
	m.ph[0].p_filesz = 12;
	refused("a PT_INTERP without its end", check(&m), "PT_INTERP", "");
	m.ph[0].p_filesz = 300;
	refused("a long PT_INTERP", check(&m), "PT_INTERP", "255");
}

static void headers(void)
{
	struct image m;

	good(&m);
	m.eh.e_ident[EI_CLASS] = ELFCLASS32;
	refused("a 32-bit program", check(&m), "32-bit", "");
	good(&m);
	m.eh.e_machine = EM_AARCH64;
	refused("another machine's", check(&m), "another machine", "");
	good(&m);
	m.eh.e_type = ET_REL;
	refused("an object file", check(&m), "neither a program", "");
	good(&m);
	m.eh.e_phnum = 65;
	refused("too many segments", check(&m), "too many", "");
	m.eh.e_phnum = 0;
	refused("none", check(&m), "no segments", "");
	good(&m);
	m.eh.e_phoff = UINT64_MAX - 8;
	refused("program headers nowhere", check(&m), "program headers", "");
	good(&m);
	refused("a file cut short", check_size(&m, 80, 128 * MB),
		"program headers", "");
	refused("an empty file", check_size(&m, 0, 128 * MB), "no ELF", "");
	refused("a script", check_size((void *)"#!/bin/sh\n", 10, 128 * MB),
		"no ELF", "");
}

int main(void)
{
	places();
	limits();
	segments();
	headers();
	return plan();
}
