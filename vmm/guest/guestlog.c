/*
 * guestlog.c - what a guest logs, on its way to the gateway
 *
 * A guest may ring DB_LOG as often as it can, with a byte each time.  So what
 * it logs gathers here and goes out in messages of UK_LOG_SIZE and more, the
 * last with the result; and what is past its limit stays here: beyond one byte,
 * by which the gateway sees that there was more, nothing is sent but the number
 * of lines.  What a child says before its request comes is that request's.
 */
#include <string.h>

#include "vmm/guest/chan.h"
#include "vmm/guest/guest.h"

/* a function that floods pays for that itself, before its next doorbell */
static void lose(struct guest *g, const char *text, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		g->log_lost += text[i] == '\n';
	g->log_torn = len > 0 && text[len - 1] != '\n';
}

void guest_log_limit(struct guest *g, uint64_t max)
{
	uint64_t left = max && max < UINT64_MAX ? max + 1 : max;

	if (g->log_len > left) {
		lose(g, g->log + left, g->log_len - (uint32_t)left);
		g->log_len = (uint32_t)left;
	}
	g->log_left = left - g->log_len;
}

uint64_t guest_log_lost(struct guest *g)
{
	uint64_t lines = g->log_lost + g->log_torn;

	g->log_lost = g->log_torn = 0;
	return lines;
}

static void gather(struct guest *g)
{
	struct uk_out *out = ram_sys(g->ram, UK_OUT);
	const char *text = ram_sys(g->ram, UK_LOG);
	uint32_t n, all;

	if (g->ram->torn)
		return;
	n = *(volatile uint32_t *)&out->log_len;
	out->log_len = 0;
	if (n > UK_LOG_SIZE)
		n = UK_LOG_SIZE;
	all = n;
	if (n > g->log_left)
		n = (uint32_t)g->log_left;
	if (n > sizeof(g->log) - g->log_len)
		n = sizeof(g->log) - g->log_len;
	memcpy(g->log + g->log_len, text, n);
	if (n < all)
		lose(g, text + n, all - n);
	g->log_len += n;
	g->log_left -= n;
}

uint32_t guest_log(struct guest *g, const char **log)
{
	uint32_t n;

	gather(g);
	n = g->log_len;
	g->log_len = 0;
	*log = g->log;
	return n;
}

int guest_log_rung(struct guest *g)
{
	struct msg m = { .type = MSG_LOG };
	struct iovec iov = { .iov_base = g->log };

	gather(g);
	if (g->log_len < UK_LOG_SIZE || g->phase == PHASE_CHILD)
		return 0;
	iov.iov_len = g->log_len;
	g->log_len = 0;
	return chan_send(g->sock, &m, &iov, 1);
}
