/*
 * elfdeps_read.c - what ld.so reads in an ELF object, by libelf
 */
#include "etlfs/bake/elfdeps.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* a file's bytes, mapped; off is page-aligned down, as mmap wants it */
struct mapped {
	void *base;
	size_t len;
	char *data;
};

static int map_file(const struct tree *t, uint32_t node, struct mapped *m)
{
	uint64_t off, down;
	int fd = tree_open(t, node, &off), rc = 0;

	if (fd < 0)
		return fd;
	down = off & 4095;
	m->len = t->node[node].size + down;
	/* private and writable: libelf may convert in place */
	m->base = mmap(NULL, m->len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		       off - down);
	if (m->base == MAP_FAILED)
		rc = -errno;
	m->data = (char *)m->base + down;
	close(fd);
	return rc;
}

static int add_needed(struct elf_info *out, const char *name)
{
	size_t n = 0;
	char **v;

	while (out->needed && out->needed[n])
		n++;
	v = realloc(out->needed, (n + 2) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	out->needed = v;
	v[n] = strdup(name);
	v[n + 1] = NULL;
	return v[n] ? 0 : -ENOMEM;
}

static int replace(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	return *field ? 0 : -ENOMEM;
}

static int read_dynamic(Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh,
			struct elf_info *out)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Dyn dyn;

	out->dynamic = 1;
	for (int i = 0; data && gelf_getdyn(data, i, &dyn); i++) {
		const char *s;
		int rc = 0;

		if (dyn.d_tag == DT_NULL)
			return 0;
		if (dyn.d_tag != DT_NEEDED && dyn.d_tag != DT_SONAME &&
		    dyn.d_tag != DT_RPATH && dyn.d_tag != DT_RUNPATH)
			continue;
		s = elf_strptr(elf, sh->sh_link, dyn.d_un.d_val);
		if (!s)
			return -ENOEXEC;
		if (dyn.d_tag == DT_NEEDED)
			rc = add_needed(out, s);
		else
			rc = replace(dyn.d_tag == DT_SONAME ? &out->soname :
				     dyn.d_tag == DT_RPATH ? &out->rpath :
				     &out->runpath, s);
		if (rc < 0)
			return rc;
	}
	return data ? 0 : -ENOEXEC;
}

static int read_interp(const struct mapped *m, uint64_t size,
		       const GElf_Phdr *ph, struct elf_info *out)
{
	const char *s = m->data + ph->p_offset;

	if (ph->p_offset > size || ph->p_filesz > size - ph->p_offset ||
	    strnlen(s, ph->p_filesz) == ph->p_filesz)
		return -ENOEXEC;
	return replace(&out->interp, s);
}

static int read_elf(Elf *elf, const struct mapped *m, uint64_t size,
		    struct elf_info *out)
{
	Elf_Scn *scn = NULL;
	GElf_Ehdr eh;
	GElf_Phdr ph;
	GElf_Shdr sh;
	size_t n;
	int rc = 0;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh))
		return -ENOEXEC;
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64 ||
	    (eh.e_type != ET_DYN && eh.e_type != ET_EXEC))
		return 0;
	if (elf_getphdrnum(elf, &n))
		return -ENOEXEC;
	for (size_t i = 0; i < n && rc == 0; i++)
		if (gelf_getphdr(elf, i, &ph) && ph.p_type == PT_INTERP)
			rc = read_interp(m, size, &ph, out);
	while (rc == 0 && (scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_DYNAMIC)
			rc = read_dynamic(elf, scn, &sh, out);
	return rc < 0 ? rc : 1;
}

int elfdeps_info_read(const struct tree *t, uint32_t node, struct elf_info *out,
		      struct err *err)
{
	char magic[SELFMAG], path[TREE_PATH_MAX];
	uint64_t size = t->node[node].size;
	struct mapped m;
	Elf *elf;
	int rc;

	*out = (struct elf_info){ 0 };
	if (tree_read(t, node, magic, sizeof(magic), 0) != SELFMAG ||
	    memcmp(magic, ELFMAG, SELFMAG))
		return 0;
	elf_version(EV_CURRENT);
	rc = map_file(t, node, &m);
	if (rc == 0) {
		elf = elf_memory(m.data, size);
		rc = elf ? read_elf(elf, &m, size, out) : -ENOEXEC;
		elf_end(elf);
		munmap(m.base, m.len);
	}
	if (rc >= 0)
		return rc;
	elfdeps_info_free(out);
	if (tree_path(t, node, path, sizeof(path)) < 0)
		strcpy(path, "?");
	return err_set(err, rc, "cannot read '%s' as an ELF file: %s", path,
		       rc == -ENOEXEC ? "it is broken" : strerror(-rc));
}

void elfdeps_info_free(struct elf_info *e)
{
	free(e->interp);
	free(e->soname);
	free(e->rpath);
	free(e->runpath);
	for (size_t i = 0; e->needed && e->needed[i]; i++)
		free(e->needed[i]);
	free(e->needed);
	*e = (struct elf_info){ 0 };
}
