/*
 * kmalloc.c - the libOS's small objects (mem.h)
 *
 * Objects of one size share a page of DATA; larger ones have pages of their
 * own.  Either way the page of an object's address begins with struct slab,
 * which says which.  Free objects are linked through their first word.  An
 * object is aligned to 16 bytes; to 64 when its size is a multiple of 64.
 */
#include "unikernel/mem/mem.h"

#define SLAB_MAGIC	0x62616c73u		/* "slab" */
#define LARGE		255

struct slab {
	u32 magic;
	u8 class;			/* index in sizes, or LARGE */
	u16 used, unused;		/* objects taken; objects never taken */
	u32 pages;			/* for LARGE */
	void *free;
	struct slab *next, *prev;	/* list of slabs of a class with room */
	u64 pad[3];
};

_Static_assert(sizeof(struct slab) == 64, "objects begin at 64 bytes");

#define ROOM	(UK_PAGE - sizeof(struct slab))

static const u16 sizes[] = {
	16, 32, 48, 64, 96, 128, 192, 256, 336, 448, 576, 672, 800, 1008,
	1344, 2016,
};

/* slabs with room, by class */
static struct slab *partial[ARRAY_LEN(sizes)];

static struct slab *slab_of(void *p)
{
	struct slab *s = (struct slab *)ROUND_DOWN((u64)p, UK_PAGE);

	assert(s->magic == SLAB_MAGIC);
	return s;
}

static void slab_link(struct slab *s)
{
	struct slab **head = &partial[s->class];

	s->prev = NULL;
	s->next = *head;
	if (*head)
		(*head)->prev = s;
	*head = s;
}

static void slab_unlink(struct slab *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		partial[s->class] = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

static struct slab *slab_create(u8 class, u64 pages)
{
	struct slab *s = (void *)pages_alloc_dirty(UK_ARENA_DATA, pages);

	if (!s)
		return NULL;
	*s = (struct slab){
		.magic = SLAB_MAGIC, .class = class, .pages = pages,
	};
	if (class == LARGE)
		return s;
	s->unused = ROOM / sizes[class];
	slab_link(s);
	return s;
}

static void slab_destroy(struct slab *s)
{
	s->magic = 0;
	pages_free((u64)s, s->pages);
}

static void *object_get(struct slab *s)
{
	void *p = s->free;

	if (p)
		s->free = *(void **)p;
	else
		p = (u8 *)(s + 1) + --s->unused * sizes[s->class];
	s->used++;
	if (!s->free && !s->unused)
		slab_unlink(s);
	return p;
}

void *kmalloc(size_t len)
{
	struct slab *s;
	u8 class = 0;

	if (len > (size_t)1 << 40)
		return NULL;
	if (len > sizes[ARRAY_LEN(sizes) - 1]) {
		len = ROUND_UP(len + sizeof(*s), UK_PAGE);
		s = slab_create(LARGE, len / UK_PAGE);
		return s ? s + 1 : NULL;
	}
	while (sizes[class] < len)
		class++;
	s = partial[class];
	if (!s)
		s = slab_create(class, 1);
	return s ? object_get(s) : NULL;
}

void *kzalloc(size_t len)
{
	void *p = kmalloc(len);

	return p ? memset(p, 0, len) : NULL;
}

static size_t object_size(const struct slab *s)
{
	if (s->class == LARGE)
		return (u64)s->pages * UK_PAGE - sizeof(*s);
	return sizes[s->class];
}

void *krealloc(void *p, size_t len)
{
	size_t old;
	void *to;

	if (!p)
		return kmalloc(len);
	old = object_size(slab_of(p));
	if (len <= old && len >= old / 2)
		return p;
	to = kmalloc(len);
	if (!to)
		return len <= old ? p : NULL;
	memcpy(to, p, MIN(old, len));
	kfree(p);
	return to;
}

/* an empty page is freed, unless it is its class's last page with room */
void kfree(void *p)
{
	struct slab *s;
	int full;

	if (!p)
		return;
	s = slab_of(p);
	if (s->class == LARGE) {
		slab_destroy(s);
		return;
	}
	assert(s->used);
	full = !s->free && !s->unused;
	*(void **)p = s->free;
	s->free = p;
	s->used--;
	if (full)
		slab_link(s);
	if (!s->used && (s->next || s->prev)) {
		slab_unlink(s);
		slab_destroy(s);
	}
}
