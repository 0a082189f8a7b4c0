/*
 * report.c - what a guest left to say about its end (report.h)
 *
 * The symbol table is read as machine.c reads the image, not by libelf: a clone
 * has no library but the C library (nofork.h).
 */
#include "vmm/guest/report.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/tender/blob.h"

/* len bytes of the libOS's code, as linked; NULL when it is none */
static const uint8_t *text_at(uint64_t addr, uint64_t len)
{
	const Elf64_Ehdr *eh = (const void *)blob_libos.data;
	const Elf64_Shdr *sh = (const void *)(blob_libos.data + eh->e_shoff);

	for (int i = 0; i < eh->e_shnum; i++)
		if ((sh[i].sh_flags & SHF_EXECINSTR) &&
		    addr - sh[i].sh_addr < sh[i].sh_size &&
		    len <= sh[i].sh_size - (addr - sh[i].sh_addr))
			return blob_libos.data + sh[i].sh_offset +
			       (addr - sh[i].sh_addr);
	return NULL;
}

/* of its sections, the one of that type; NULL when there is none */
static const Elf64_Shdr *section(const Elf64_Ehdr *eh, uint32_t type)
{
	const Elf64_Shdr *sh = (const void *)(blob_libos.data + eh->e_shoff);

	for (int i = 0; i < eh->e_shnum; i++)
		if (sh[i].sh_type == type)
			return &sh[i];
	return NULL;
}

/* the function that addr lies in: entry.S gives its own no sizes */
static const Elf64_Sym *function_at(uint64_t addr)
{
	const Elf64_Ehdr *eh = (const void *)blob_libos.data;
	const Elf64_Shdr *sh = (const void *)(blob_libos.data + eh->e_shoff);
	const Elf64_Shdr *tab = section(eh, SHT_SYMTAB);
	const Elf64_Sym *s, *best = NULL;

	if (!tab || !text_at(addr, 1))
		return NULL;
	s = (const void *)(blob_libos.data + tab->sh_offset);
	for (size_t n = tab->sh_size / sizeof(*s); n; n--, s++) {
		int type = ELF64_ST_TYPE(s->st_info);

		if ((type != STT_FUNC && type != STT_NOTYPE) ||
		    s->st_shndx == SHN_UNDEF || s->st_shndx >= eh->e_shnum ||
		    !(sh[s->st_shndx].sh_flags & SHF_EXECINSTR) ||
		    s->st_value > addr)
			continue;
		if (!best || s->st_value > best->st_value ||
		    (s->st_value == best->st_value && type == STT_FUNC))
			best = s;
	}
	return best;
}

int report_symbol(uint64_t addr, char *buf, size_t size)
{
	const Elf64_Ehdr *eh = (const void *)blob_libos.data;
	const Elf64_Shdr *sh = (const void *)(blob_libos.data + eh->e_shoff);
	const Elf64_Sym *s = function_at(addr);

	if (!s)
		return -ENOENT;
	snprintf(buf, size, "%s+0x%llx", (const char *)blob_libos.data +
		 sh[section(eh, SHT_SYMTAB)->sh_link].sh_offset + s->st_name,
		 (unsigned long long)(addr - s->st_value));
	return 0;
}

/* fn for each variable of the libOS, until it answers other than 0 */
static int objects(int (*fn)(void *arg, const Elf64_Sym *s, const char *name),
		   void *arg)
{
	const Elf64_Ehdr *eh = (const void *)blob_libos.data;
	const Elf64_Shdr *sh = (const void *)(blob_libos.data + eh->e_shoff);
	const Elf64_Shdr *tab = section(eh, SHT_SYMTAB);
	const Elf64_Sym *s;
	int rc = 0;

	if (!tab)
		return 0;
	s = (const void *)(blob_libos.data + tab->sh_offset);
	for (size_t n = tab->sh_size / sizeof(*s); n && rc == 0; n--, s++)
		if (ELF64_ST_TYPE(s->st_info) == STT_OBJECT)
			rc = fn(arg, s, (const char *)blob_libos.data +
				sh[tab->sh_link].sh_offset + s->st_name);
	return rc;
}

struct wanted {
	uint64_t addr;
	const char *name;
};

static int holds(void *arg, const Elf64_Sym *s, const char *name)
{
	struct wanted *w = arg;

	w->name = name;
	return w->addr - s->st_value < s->st_size;
}

int report_object(uint64_t addr, char *buf, size_t size)
{
	struct wanted w = { .addr = addr };

	if (!objects(holds, &w))
		return -ENOENT;
	snprintf(buf, size, "%s", w.name);
	return 0;
}

static int is_named(void *arg, const Elf64_Sym *s, const char *name)
{
	struct wanted *w = arg;

	w->addr = s->st_value;
	return !strcmp(name, w->name);
}

int report_variable(const char *name, uint64_t *addr)
{
	struct wanted w = { .name = name };

	if (!objects(is_named, &w))
		return -ENOENT;
	*addr = w.addr;
	return 0;
}

/* did the call before ret go to start (0: by a pointer)? */
static int called(uint64_t ret, uint64_t start)
{
	const uint8_t *p = text_at(ret - 7, 7);
	int32_t rel;

	if (!p || ret < 7)
		return 0;
	memcpy(&rel, p + 3, sizeof(rel));
	if (start)
		return p[2] == 0xe8 && ret + (int64_t)rel == start;
	/* ff /2: by a register, or memory with or without displacement */
	return (p[5] == 0xff && (p[6] & 0x38) == 0x10) ||
	       (p[4] == 0xff && (p[5] & 0x38) == 0x10) ||
	       (p[1] == 0xff && (p[2] & 0x38) == 0x10);
}

/*
 * The caller of where it crashed, when frame pointers do not show it: the
 * function has not made its frame yet, or, a leaf, makes none; or there is no
 * function, it jumped astray.  0: they do.
 */
static uint64_t hidden_caller(const struct uk_report *r)
{
	static const uint8_t prologue[] = { 0x55, 0x48, 0x89, 0xe5 };
	const Elf64_Sym *s = function_at(r->frame[0]);
	const uint8_t *code;

	if (!s)
		return called(r->stack[0], 0) ? r->stack[0] : 0;
	code = text_at(s->st_value, sizeof(prologue));
	if (!code || (!memcmp(code, prologue, sizeof(prologue)) &&
		      r->frame[0] - s->st_value >= sizeof(prologue)))
		return 0;
	for (int i = 0; i < UK_REPORT_STACK; i++)
		if (called(r->stack[i], s->st_value))
			return r->stack[i];
	return called(r->stack[0], 0) ? r->stack[0] : 0;
}

struct report_text {
	char *buf;
	size_t len, size;
};

static void put(struct report_text *t, const char *s, size_t n)
{
	for (; n && t->len + 1 < t->size; s++, n--)
		t->buf[t->len++] = (*s >= ' ' && *s <= '~') || *s == '\t' ||
				   *s == '\n' ? *s : '?';
	t->buf[t->len] = '\0';
}

static void put_line(struct report_text *t, const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	const char *nl = memchr(s, '\n', len);

	put(t, s, nl ? (size_t)(nl - s) : len);
	put(t, "\n", 1);
}

/* a return address is behind its call, which may be its function's end */
static void put_frame(struct report_text *t, uint64_t addr, int returns)
{
	char line[160];
	int n;

	n = snprintf(line, sizeof(line), "  libOS ");
	if (report_symbol(addr - (returns != 0), line + n,
			  sizeof(line) - (size_t)n) < 0)
		snprintf(line + n, sizeof(line) - (size_t)n, "0x%llx",
			 (unsigned long long)addr);
	put_line(t, line, strlen(line));
}

unsigned report_lines(const struct uk_report *r, const char *host, char *buf,
		      size_t size)
{
	struct report_text t = { buf, 0, size };
	unsigned n = r->n_frames;
	uint64_t hidden;
	size_t len = r->len < UK_REPORT_TEXT ? r->len : UK_REPORT_TEXT;

	buf[0] = '\0';
	if (n > UK_REPORT_FRAMES)
		n = UK_REPORT_FRAMES;
	if (r->head[0])
		put_line(&t, r->head, sizeof(r->head));
	else if (host[0])
		put_line(&t, host, strlen(host));
	for (unsigned i = 0; i < n; i++) {
		put_frame(&t, r->frame[i], i > 0);
		hidden = i == 0 ? hidden_caller(r) : 0;
		if (hidden)
			put_frame(&t, hidden, 1);
	}
	put(&t, r->text, len);
	if (len == UK_REPORT_TEXT)
		put(&t, "\n...", 4);
	while (t.len && t.buf[t.len - 1] == '\n')
		t.buf[--t.len] = '\0';
	return n;
}
