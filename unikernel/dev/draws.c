/*
 * draws.c - /dev/usetl/draws: who drew randomness (draws.h)
 *
 * The file whose code asked is what the words on the program's stack say: the
 * C library keeps no frame pointers, but its functions that draw call nothing
 * else, so the return address to their caller is near.  A wrong guess costs a
 * line that names another file, in a hint.
 */
#include "unikernel/dev/draws.h"

#include "unikernel/mem/mem.h"
#include "unikernel/mem/module.h"
#include "unikernel/dev/proctext.h"
#include "unikernel/task/signal.h"
#include "unikernel/task/thread.h"
#include "unikernel/fs/vfs.h"

#define DRAWS_MAX	2000		/* more are not noted */
#define STACK_WORDS	64		/* looked at for a caller */

static struct proctext text;
static int watching, count;

static int is_libc(const char *path)
{
	static const char *const names[] = {
		"libc.so", "libc-", "ld-linux", "ld-2", "libpthread",
	};
	const char *base = strrchr(path, '/');
	size_t i;

	base = base ? base + 1 : path;
	for (i = 0; i < ARRAY_LEN(names); i++)
		if (!strncmp(base, names[i], strlen(names[i])))
			return 1;
	return 0;
}

static const char *caller(const struct regs *r)
{
	const struct module *m = module_at(r->rip);
	const u64 *sp = (const u64 *)r->rsp;
	int i;

	for (i = 0; i < STACK_WORDS && (!m || is_libc(m->path)); i++, sp++)
		m = user_ok(sp, sizeof(*sp), 0) ? module_at(*sp) : NULL;
	return m && !is_libc(m->path) ? m->path : "?";
}

void draws_note(void)
{
	struct k_siginfo info = { .signo = UK_DRAW_SIGNAL,
				  .code = SI_KERNEL };

	if (!watching || count == DRAWS_MAX)
		return;
	count++;
	proctext_printf(&text, "%s\n", caller(current->regs));
	if (signal_action(UK_DRAW_SIGNAL).handler > SIG_IGN)
		signal_send(current, UK_DRAW_SIGNAL, &info);
}

void draws_end(void)
{
	if (!watching)
		return;
	watching = 0;
	kfree(text.buf);
	memset(&text, 0, sizeof(text));
}

static long draws_read(struct file *f, void *buf, size_t len, u64 pos)
{
	if (pos >= text.len)
		return 0;
	len = MIN(len, text.len - pos);
	memcpy(buf, text.buf + pos, len);
	return (long)len;
}

static void draws_close(struct file *f)
{
}

static const struct file_ops draws_ops = {
	.name = "draws",
	.read = draws_read,
	.close = draws_close,
	.seekable = 1,
};

int draws_open(struct inode *ip, struct file *f)
{
	f->ops = &draws_ops;
	watching = 1;
	return 0;
}
