/*
 * extent.c - memory of the USF region, in extents
 *
 * One bit for each extent that the address map has room for; how many may be
 * in use is the limit's, which may change and become less than what is.
 * Extents from `high` on were never used: they are zero and cost the host
 * nothing, so recycled ones are preferred.  The search for a run begins where
 * the last one ended (next fit), so that a growing file stays contiguous.
 *
 * Invariants: bits at and above `high` are clear; used counts set bits; the
 * arena's span covers every extent below `high`.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

#define EXTENTS_MAX	((UK_USF_END - UK_USF_BASE) / ETLFS_EXTENT)

static struct {
	u32 high;
	u32 used;
	u32 cursor;
	u64 bits[EXTENTS_MAX / 64];
} extents;

u32 extent_total(void)
{
	return MIN(uk_ctl->files_limit / ETLFS_EXTENT, EXTENTS_MAX);
}

u32 extent_used(void)
{
	return extents.used;
}

u32 extent_left(void)
{
	u32 total = extent_total();

	return total > extents.used ? total - extents.used : 0;
}

/* bits from here on are of no use: recycled ones may lie past the limit */
static u32 bits_end(void)
{
	return MAX(extent_total(), extents.high);
}

u8 *extent_addr(u32 ext)
{
	return (u8 *)(UK_USF_BASE + (u64)(ext - 1) * ETLFS_EXTENT);
}

static int bit_get(u32 i)
{
	return extents.bits[i / 64] >> (i % 64) & 1;
}

/* the first bit in [i, end) that is `set`, or end */
static u32 bit_next(u32 i, u32 end, int set)
{
	u64 w;

	while (i < end) {
		w = extents.bits[i / 64];
		w = (set ? w : ~w) >> (i % 64);
		if (w)
			return MIN(i + (u32)__builtin_ctzll(w), end);
		i = (i / 64 + 1) * 64;
	}
	return end;
}

/* takes the clear bits [i, i + n), and grows the arena's span to cover them */
static int take_run(u32 i, u32 n, u32 *fresh)
{
	u64 span = (u64)(i + n) * ETLFS_EXTENT;
	u32 k;

	if (i + n > extents.high && span > arena_span(UK_ARENA_USF) &&
	    arena_grow(UK_ARENA_USF, span) < 0)
		return -ENOSPC;
	*fresh = extents.high + 1;
	for (k = i; k < i + n; k++)
		extents.bits[k / 64] |= 1ull << (k % 64);
	extents.used += n;
	extents.high = MAX(extents.high, i + n);
	return 0;
}

/* a run of want clear bits in [from, end), or else the longest one there */
static u32 find_run(u32 from, u32 end, u32 want, u32 *len)
{
	u32 best = end, i = from, stop;

	*len = 0;
	while ((i = bit_next(i, end, 0)) < end) {
		stop = bit_next(i, MIN(end, i + want), 1);
		if (stop - i > *len) {
			best = i;
			*len = stop - i;
			if (*len == want)
				break;
		}
		i = stop;
	}
	return best;
}

/* tries recycled extents, then fresh ones, then the longest run there is */
static u32 find(u32 want, u32 *len)
{
	u32 at, len2, at2, end = bits_end();

	at = extents.high;
	*len = 0;
	if (extents.high - extents.used >= want) {
		at = find_run(MIN(extents.cursor, extents.high), extents.high,
			      want, len);
		if (*len < want) {
			at2 = find_run(0, extents.high, want, &len2);
			if (len2 > *len) {
				at = at2;
				*len = len2;
			}
		}
		if (*len == want)
			return at;
	}
	if (end - extents.high >= want) {
		*len = want;
		return extents.high;
	}
	return find_run(0, end, want, len);
}

/* the first time, a line names the limit and its key */
static void tell_full(void)
{
	static int told;

	if (!told)
		log_printf("usetl: files have reached their limit of %lu MB; "
			   "see files in function.ini(5)\n",
			   (u64)extent_total() * ETLFS_EXTENT >> 20);
	told = 1;
}

u32 extent_alloc(u32 after, u32 want, u32 *got, u32 *fresh)
{
	u32 at, len, left = extent_left(), end = bits_end();

	if (!left && want)
		tell_full();
	want = MIN(want, left);
	if (want == 0)
		return 0;
	/* extents count from 1, bits from 0: bit `after` is the next one */
	if (after && after < end && !bit_get(after)) {
		at = after;
		len = bit_next(at, MIN(end, at + want), 1) - at;
	} else {
		at = find(want, &len);
	}
	if (len == 0 || take_run(at, len, fresh) < 0)
		return 0;
	extents.cursor = at + len;
	*got = len;
	return at + 1;
}

u32 extent_alloc_run(u32 want, u32 *fresh)
{
	u32 at, len;

	if (want == 0 || want > extent_left())
		return 0;
	at = find(want, &len);
	if (len < want || take_run(at, want, fresh) < 0)
		return 0;
	return at + 1;
}

int extent_is_free(u32 ext)
{
	return extent_left() && ext >= 1 && ext <= bits_end() &&
	       !bit_get(ext - 1);
}

int extent_claim(u32 ext, u32 *fresh)
{
	return extent_is_free(ext) ? take_run(ext - 1, 1, fresh) : -ENOSPC;
}

void extent_free(u32 ext)
{
	assert(ext >= 1 && ext <= EXTENTS_MAX && bit_get(ext - 1));
	ext--;
	extents.bits[ext / 64] &= ~(1ull << (ext % 64));
	extents.used--;
}
