/*
 * fetchtext.c - what a program reads of /dev/usetl/fetch (see dev.h)
 *
 *	STATUS SP BODY_LEN SP PATH SP FINAL_URL LF headers
 *	ERROR SP ERRNO LF why
 */
#include "unikernel/dev/fetchtext.h"
#include "unikernel/fs/vfs.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"

#define FIRST_LINE	128		/* all of it but the URL */

static int error(struct fetchtext *x, u32 err, const void *why, size_t len)
{
	char line[FIRST_LINE];
	size_t n = (size_t)k_snprintf(line, sizeof(line), "ERROR %u\n", err);

	x->text = kmalloc(n + len + 1);
	if (!x->text)
		return -ENOMEM;
	memcpy(x->text, line, n);
	memcpy(x->text + n, why, len);
	x->len = n + len;
	return 0;
}

/* [off, off + len) of window 0, or NULL when it is not all there */
static const void *window_text(u64 off, u64 len)
{
	u64 size = uk_ctl->host_size;

	if (off > size || len > size - off)
		return NULL;
	return (const u8 *)UK_HOST_BASE + off;
}

static int done(struct fetchtext *x, u32 ticket, const struct etlfs_ticket *t,
		const void *head, const void *url)
{
	char line[FIRST_LINE];
	size_t n, len;

	n = (size_t)k_snprintf(line, sizeof(line), "%u %lu /usetl/in/%u ",
			       t->status, t->body_len, ticket);
	len = n + t->url_len + 1 + t->head_len;
	x->text = kmalloc(len);
	if (!x->text)
		return -ENOMEM;
	memcpy(x->text, line, n);
	memcpy(x->text + n, url, t->url_len);
	x->text[n + t->url_len] = '\n';
	memcpy(x->text + n + t->url_len + 1, head, t->head_len);
	x->len = len;
	return 0;
}

int fetchtext_ended(struct fetchtext *x, u32 ticket,
		    const struct etlfs_ticket *t)
{
	static const char broken[] = "the host table is broken";
	static const char unmapped[] = "the host has no memory to show the "
				       "body in";
	const void *head = window_text(t->head_off, t->head_len);
	const void *url = window_text(t->url_off, t->url_len);

	if (!head || (!url && t->state == ETLFS_DONE))
		return error(x, EIO, broken, sizeof(broken) - 1);
	if (t->state == ETLFS_DONE && !hostfs_there(t->body_off))
		return error(x, ENOMEM, unmapped, sizeof(unmapped) - 1);
	if (t->state == ETLFS_DONE)
		return done(x, ticket, t, head, url);
	return error(x, t->error, head, t->head_len);
}

int fetchtext_lost(struct fetchtext *x)
{
	static const char lost[] = "the fetch did not end in its invocation";

	return error(x, ECANCELED, lost, sizeof(lost) - 1);
}
