/*
 * elfmap.c - can a guest's loader place a program? (elfmap.h)
 *
 * Read by hand and not by libelf, which mends or skips what a loader with
 * rules of its own would stumble over.
 */
#include "etlfs/bake/elfmap.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unikernel/abi.h"

#define PHDRS_MAX	64	/* ELF_PHDRS_MAX of unikernel/map/elf.h */
#define INTERP_MAX	256		/* struct elf_image's */
#define BEGIN_SPAN	(16ull << 20)	/* of memory, which a boot takes */
#define RUN_SPAN	(64ull << 20)	/* and an interpreter that runs */

struct subject {
	const struct tree *t;
	uint32_t node;
	char path[TREE_PATH_MAX];
	Elf64_Ehdr eh;
	Elf64_Phdr ph[PHDRS_MAX];
	struct err *err;
};

/* what lies at the first address of [lo, hi) that is no program's */
static const char *taken_by(uint64_t lo, uint64_t hi)
{
	static const struct {
		uint64_t end;
		const char *what;
	} map[] = {
		{ UK_EXEC_BASE, "where nothing may lie" },
		{ UK_EXEC_END, NULL },
		{ UK_SYS_END, "where the libOS lies" },
		{ UK_STACK_BASE, "where nothing may lie" },
		{ UK_STACK_END, "where the stack lies" },
		{ UK_HEAP_BASE, "where nothing may lie" },
		{ UK_HEAP_END, "where the heap lies" },
		{ UK_DATA_END, "where anonymous memory lies" },
		{ UK_USF_END, "where the function's files lie" },
		{ UK_IMAGE_END, "where the image lies" },
		{ UK_HOST_END, "where events and fetched bodies lie" },
	};
	size_t n = sizeof(map) / sizeof(map[0]);
	uint64_t begin = 0;

	for (size_t i = 0; i < n; begin = map[i++].end)
		if (map[i].what && lo < map[i].end && hi > begin)
			return map[i].what;
	return hi > UK_END ? "beyond a guest's last address" : NULL;
}

static int broken(const struct subject *s, unsigned i, const char *why)
{
	const Elf64_Phdr *p = &s->ph[i];

	return err_set(s->err, -ENOEXEC, "'%s' cannot be loaded: segment %u "
		       "(0x%llx, 0x%llx bytes) %s", s->path, i,
		       (unsigned long long)p->p_vaddr,
		       (unsigned long long)p->p_memsz, why);
}

/* addresses of its own: they must be free */
static int fixed_check(const struct subject *s, unsigned i)
{
	uint64_t lo = s->ph[i].p_vaddr & ~(UK_PAGE - 1ull);
	uint64_t hi = s->ph[i].p_vaddr + s->ph[i].p_memsz;
	const char *what = taken_by(lo, hi);

	return !what ? 0 : err_set(s->err, -ENOEXEC, "'%s' cannot be loaded: "
				   "segment %u is linked to 0x%llx-0x%llx, %s; "
				   "programs lie between 0x%x and 0x%x, or are "
				   "linked with -pie", s->path, i,
				   (unsigned long long)lo,
				   (unsigned long long)hi, what, UK_EXEC_BASE,
				   UK_EXEC_END);
}

static int segment_check(const struct subject *s, unsigned i)
{
	const Elf64_Phdr *p = &s->ph[i];
	uint64_t size = s->t->node[s->node].size;

	if (p->p_filesz > p->p_memsz)
		return broken(s, i, "has more bytes in the file than in "
			      "memory");
	if (p->p_vaddr + p->p_memsz < p->p_vaddr)
		return broken(s, i, "ends beyond the last address there is");
	if (p->p_filesz && (p->p_offset > size ||
			    p->p_filesz > size - p->p_offset))
		return broken(s, i, "lies beyond the end of the file");
	if (p->p_offset % UK_PAGE != p->p_vaddr % UK_PAGE)
		return broken(s, i, "has an offset in the file that does not "
			      "agree with its address within a page");
	if (p->p_align & (p->p_align - 1))
		return broken(s, i, "has an alignment that is no power of 2");
	if (p->p_align > UK_BIG)
		return broken(s, i, "wants to be aligned to more than 2 MB");
	return s->eh.e_type == ET_EXEC ? fixed_check(s, i) : 0;
}

static int interp_check(const struct subject *s, const Elf64_Phdr *p)
{
	char name[INTERP_MAX];

	if (p->p_filesz < 2 || p->p_filesz > sizeof(name) ||
	    tree_read(s->t, s->node, name, p->p_filesz, p->p_offset) !=
	    (ssize_t)p->p_filesz || name[p->p_filesz - 1])
		return err_set(s->err, -ENOEXEC, "'%s' cannot be loaded: its "
			       "PT_INTERP is no path of up to %d bytes",
			       s->path, INTERP_MAX - 1);
	return 0;
}

static int header_check(const struct subject *s)
{
	const Elf64_Ehdr *eh = &s->eh;
	const char *what = NULL;

	if (memcmp(eh->e_ident, ELFMAG, SELFMAG))
		what = "it is no ELF file";
	else if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		what = "it is a 32-bit program";
	else if (eh->e_ident[EI_DATA] != ELFDATA2LSB ||
		 eh->e_machine != EM_X86_64)
		what = "it was built for another machine than x86-64";
	else if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		what = "it is neither a program nor a shared object";
	else if (eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum ||
		 eh->e_phnum > PHDRS_MAX)
		what = "it has no segments, or too many";
	return what ? err_set(s->err, -ENOEXEC, "'%s' cannot be loaded: %s",
			      s->path, what) : 0;
}

static int read_headers(struct subject *s)
{
	size_t size;
	int rc;

	if (tree_path(s->t, s->node, s->path, sizeof(s->path)) < 0)
		strcpy(s->path, "?");
	/* what a short file lacks reads as zeros, which are refused */
	memset(&s->eh, 0, sizeof(s->eh));
	tree_read(s->t, s->node, &s->eh, sizeof(s->eh), 0);
	rc = header_check(s);
	if (rc < 0)
		return rc;
	size = s->eh.e_phnum * sizeof(Elf64_Phdr);
	if (tree_read(s->t, s->node, s->ph, size, s->eh.e_phoff) !=
	    (ssize_t)size)
		return err_set(s->err, -ENOEXEC, "'%s' cannot be loaded: its "
			       "program headers lie beyond the end of the file",
			       s->path);
	return 0;
}

/* the arena reaches up to it, and all below counts as the program's */
static int memory_check(const struct subject *s, const struct elfmap *m,
			uint64_t memory)
{
	uint64_t need = m->hi - UK_EXEC_BASE + BEGIN_SPAN;

	if (need <= memory)
		return 0;
	return err_set(s->err, -ENOEXEC, "'%s' cannot be loaded: it is linked "
		       "to 0x%llx-0x%llx, and memory = %lluM ends before that; "
		       "memory = %lluM would do", s->path,
		       (unsigned long long)m->lo, (unsigned long long)m->hi,
		       (unsigned long long)memory >> 20,
		       (unsigned long long)(need + RUN_SPAN) >> 20);
}

/* one that has no addresses of its own is only moved up */
static int moved_check(const struct subject *s, const struct elfmap *m)
{
	if (m->hi <= UK_EXEC_END && m->hi - m->lo <= UK_EXEC_END - UK_EXEC_BASE)
		return 0;
	return err_set(s->err, -ENOEXEC, "'%s' cannot be loaded: it lies at "
		       "0x%llx-0x%llx, and a shared object or PIE has room "
		       "for 0x%x bytes", s->path, (unsigned long long)m->lo,
		       (unsigned long long)m->hi, UK_EXEC_END - UK_EXEC_BASE);
}

int elfmap_check(const struct tree *t, uint32_t node, uint64_t memory,
		 struct elfmap *out, struct err *err)
{
	struct subject s = { .t = t, .node = node, .err = err };
	struct elfmap m = { UINT64_MAX, 0 };
	int rc = read_headers(&s);

	*out = (struct elfmap){ 0, 0 };
	for (unsigned i = 0; rc == 0 && i < s.eh.e_phnum; i++) {
		const Elf64_Phdr *p = &s.ph[i];
		uint64_t end = p->p_vaddr + p->p_memsz;

		if (p->p_type == PT_INTERP)
			rc = interp_check(&s, p);
		if (p->p_type != PT_LOAD)
			continue;
		rc = segment_check(&s, i);
		if (p->p_vaddr < m.lo)
			m.lo = p->p_vaddr & ~(UK_PAGE - 1ull);
		if (end > m.hi)
			m.hi = (end + UK_PAGE - 1) & ~(UK_PAGE - 1ull);
	}
	if (rc < 0)
		return rc;
	if (m.lo >= m.hi)
		return err_set(err, -ENOEXEC, "'%s' cannot be loaded: it has "
			       "nothing to load", s.path);
	if (s.eh.e_type == ET_DYN)
		return moved_check(&s, &m);
	*out = m;
	return memory_check(&s, &m, memory);
}
