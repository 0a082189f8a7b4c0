/*
 * share_test.c - what functions have in common leaves something for each
 */
#include <errno.h>

#include "etlfs/fetch/share.h"
#include "t/unit/server.h"

#define LIMIT	1200

static struct share share = { .limit = LIMIT };

/* one after the other takes one as long as any gets it */
static void take_all(struct share_part **part, unsigned n)
{
	unsigned i, got;

	do {
		for (i = got = 0; i < n; i++)
			got += !share_take(part[i], 1);
	} while (got);
}

static void give_all(struct share_part **part, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		share_give(part[i], part[i]->used);
}

static void test_greedy(void)
{
	struct share_part *part[100], *last;
	unsigned i, n, fair = 0;

	for (i = 0; i < 100; i++)
		part[i] = share_join(&share, i + 1);
	last = share_join(&share, 1000);
	for (n = 1; n <= 100; n++) {
		take_all(part, n);
		for (i = 0; i < n; i++)
			fair += part[i]->used >= LIMIT / (n + 1) - 1 &&
				part[i]->used <= LIMIT / (n + 1) + 1;
		fair -= n;
		if (share_take(last, LIMIT / (n + 1) / 2))
			break;
		give_all(&last, 1);
		give_all(part, n);
	}
	ok(!fair, "n greedy ones have one part in n + 1 each");
	ok(n == 101, "another gets half of what 100 leave");
	ok(!share.used, "all that was taken comes back");
	for (i = 0; i < 100; i++)
		share_leave(part[i]);
	share_leave(last);
	ok(!share.parts, "no owner is left");
}

static void test_edges(void)
{
	struct share one = { .limit = 1 }, none = { .limit = 0 };
	struct share_part *a = share_join(&one, 1), *b = share_join(&one, 2);
	struct share_part *n = share_join(&none, 1);

	ok(share_join(&one, 1) == a && a != b, "an owner has one part");
	share_leave(a);
	ok(!share_take(a, 1) && share_take(a, 1) == -EAGAIN &&
	   share_take(b, 1) == -EAGAIN, "of one thing there is one");
	share_give(a, 1);
	ok(!share_take(b, 1), "of one thing there is one for each in turn");
	one.limit = 0;
	ok(!share_take(b, UINT64_MAX / 2), "a share without a limit");
	one.limit = 5;
	ok(share_take(a, 1) == -EAGAIN, "a limit below what is used");
	give_all(&b, 1);
	ok(share_take(a, UINT64_MAX) == -EAGAIN && !share_take(n, 1 << 20),
	   "more than there is cannot be taken");
	give_all(&n, 1);
	share_leave(a);
	share_leave(b);
	share_leave(n);
	share_leave(NULL);
}

int main(void)
{
	test_greedy();
	test_edges();
	return plan();
}
