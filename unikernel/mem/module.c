/*
 * module.c - the list of files' code (module.h)
 *
 * A plain list: it is searched when something ends badly, and changes only
 * where code is mapped or unmapped.  Entries do not overlap.
 */
#include "unikernel/mem/module.h"
#include "unikernel/mem/mem.h"

struct module *modules;
static unsigned count;

static struct module *entry_new(const char *path, size_t len)
{
	struct module *m;

	if (count >= MODULES_MAX)
		return NULL;
	m = kzalloc(sizeof(*m) + len + 1);
	if (!m)
		return NULL;
	memcpy(m->path, path, len);
	m->next = modules;
	modules = m;
	count++;
	return m;
}

/* debuggers break here */
static __attribute__((noinline)) void module_added(const struct module *m)
{
	__asm__ volatile("" : : "r"(m) : "memory");
}

void module_add(const char *path, size_t n, u64 addr, u64 len, u64 off)
{
	struct module *m;

	module_remove(addr, len);
	if (!n)
		return;
	m = entry_new(path, n);
	if (!m)
		return;
	m->addr = addr;
	m->len = len;
	m->off = off;
	module_added(m);
}

/* what lies behind a hole; forgotten when there is no memory for an entry */
static void keep_rest(const struct module *m, u64 from, u64 end)
{
	struct module *rest = entry_new(m->path, strlen(m->path));

	if (!rest)
		return;
	rest->addr = from;
	rest->len = end - from;
	rest->off = m->off + (from - m->addr);
}

void module_remove(u64 addr, u64 len)
{
	struct module **mp = &modules, *m;
	u64 end = addr + len, stop;

	if (addr >= UK_EXEC_END)
		return;			/* no code is there, ever */
	while ((m = *mp)) {
		stop = m->addr + m->len;
		if (stop <= addr || m->addr >= end) {
			mp = &m->next;
		} else if (m->addr < addr) {
			if (stop > end)
				keep_rest(m, end, stop);
			m->len = addr - m->addr;
			mp = &m->next;
		} else if (stop > end) {
			m->off += end - m->addr;
			m->len = stop - end;
			m->addr = end;
			mp = &m->next;
		} else {
			*mp = m->next;
			count--;
			kfree(m);
		}
	}
}

const struct module *module_at(u64 addr)
{
	const struct module *m;

	for (m = modules; m; m = m->next)
		if (addr - m->addr < m->len)
			return m;
	return NULL;
}
