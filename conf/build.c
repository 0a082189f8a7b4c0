/* build.c - which build of usetl this is (build.h) */
#include "conf/build.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* the note of this name and type in [at, end), or NULL */
static const uint8_t *find(const uint8_t *at, const uint8_t *end, size_t *len)
{
	while (at + sizeof(ElfW(Nhdr)) <= end) {
		const ElfW(Nhdr) *n = (const void *)at;
		const uint8_t *name = at + sizeof(*n);
		const uint8_t *desc = name + ((n->n_namesz + 3) & ~3u);

		if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 &&
		    !memcmp(name, "GNU", 4)) {
			*len = n->n_descsz;
			return desc;
		}
		at = desc + ((n->n_descsz + 3) & ~3u);
	}
	return NULL;
}

/* the program itself comes first */
static int on_object(struct dl_phdr_info *o, size_t size, void *arg)
{
	const uint8_t *id = NULL;
	char *hex = arg;
	size_t len = 0;

	for (int i = 0; !id && i < o->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &o->dlpi_phdr[i];
		const uint8_t *at = (const uint8_t *)(o->dlpi_addr +
						      p->p_vaddr);

		if (p->p_type == PT_NOTE)
			id = find(at, at + p->p_memsz, &len);
	}
	if (len > (BUILD_ID_MAX - 1) / 2)
		len = (BUILD_ID_MAX - 1) / 2;
	for (size_t i = 0; id && i < len; i++)
		sprintf(hex + 2 * i, "%02x", id[i]);
	return 1;
}

int build_id(char hex[BUILD_ID_MAX])
{
	*hex = '\0';
	dl_iterate_phdr(on_object, hex);
	return *hex ? 0 : -ENOENT;
}
