/*
 * hostfs.c - /usetl/in: the bodies that FETCH brought, as files
 *
 * Nothing is stored: a name is a ticket, and its file exists while the host
 * table (etlfs/format.h) says ETLFS_DONE for that use of the slot.  The file's
 * bytes are the body where the host put it; when the program writes to it,
 * extents are copied as in any file over a base.
 *
 * Each slot keeps a counted inode from the first lookup until hostfs_release();
 * the host hears DB_CANCEL only when the last reference is dropped, so an open
 * file or a mapping never loses its bytes.
 */
#include "unikernel/fs/inode.h"

#define SLOT_BITS	6		/* gen << 6 | slot */

struct host_file {
	struct inode *ip;		/* counted, or NULL */
	u32 ticket;			/* the ticket of ip */
	u32 released;			/* ticket for DB_CANCEL at the end */
};

static struct host_file slots[ETLFS_TICKETS];

/*
 * Copies the slot's ticket if it is DONE and its body lies inside the region. 0
 * or -errno.
 */
static int ticket_get(u32 slot, struct etlfs_ticket *t)
{
	const struct etlfs_host *h = (const void *)UK_HOST_BASE;
	u64 size = uk_ctl->host_size, end;

	if (size < sizeof(*h) || h->magic != ETLFS_HOST_MAGIC)
		return -ENOENT;
	if (__atomic_load_n(&h->ticket[slot].state, __ATOMIC_ACQUIRE) !=
	    ETLFS_DONE)
		return -ENOENT;
	memcpy(t, &h->ticket[slot], sizeof(*t));
	end = size;			/* end of the window with the body */
	if (t->body_off >= ETLFS_WINDOW_STRIDE)
		end = ROUND_DOWN(t->body_off, ETLFS_WINDOW_STRIDE) +
			ETLFS_WINDOW_STRIDE;
	if (t->body_off > end || t->body_len > end - t->body_off ||
	    end > UK_HOST_END - UK_HOST_BASE)
		return -EIO;
	return 0;
}

static u32 ticket_number(u32 slot, const struct etlfs_ticket *t)
{
	return t->gen << SLOT_BITS | slot;
}

static struct inode *body_inode(u32 ticket, const struct etlfs_ticket *t)
{
	struct inode *ip = inode_new(S_IFREG | 0444, DEV_IN);

	if (!ip)
		return NULL;
	ip->nlink = 1;
	ip->size = t->body_len;
	ip->data.base_len = t->body_len;
	if (t->body_len)
		ip->data.base = (const u8 *)UK_HOST_BASE + t->body_off;
	ip->priv = (void *)(u64)ticket;
	return ip;
}

struct inode *hostfs_body(u32 ticket)
{
	u32 n = ticket % ETLFS_TICKETS, number;
	struct host_file *s = &slots[n];
	struct etlfs_ticket t;

	if (ticket_get(n, &t) < 0)
		return NULL;
	number = ticket_number(n, &t);
	if ((ticket >> SLOT_BITS && ticket != number) || s->released == number)
		return NULL;
	if (s->ip && s->ticket == number)
		return s->ip;
	if (t.body_len && !hostfs_there(t.body_off))
		return NULL;
	inode_put(s->ip);		/* an earlier ticket's */
	s->ip = body_inode(number, &t);
	s->ticket = number;
	return s->ip;
}

void hostfs_release(u32 ticket)
{
	struct host_file *s = &slots[ticket % ETLFS_TICKETS];
	struct inode *ip = s->ip;

	if (!ip || s->ticket != ticket) {
		doorbell(ticket, 0, 0, DB_CANCEL);
		return;
	}
	s->ip = NULL;
	s->released = ticket;
	inode_put(ip);
}

void hostfs_gone(struct inode *ip)
{
	u32 ticket = (u64)ip->priv;
	struct host_file *s = &slots[ticket % ETLFS_TICKETS];

	if (s->released != ticket)
		return;
	s->released = 0;
	doorbell(ticket, 0, 0, DB_CANCEL);
}

static struct inode *in_lookup(struct inode *dir, const char *name, size_t len)
{
	struct inode *ip;
	u64 n = 0;
	size_t i;

	if (len > 10 || (name[0] == '0' && len > 1))
		return NULL;
	for (i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return NULL;
		n = n * 10 + (name[i] - '0');
	}
	if (n >> 32)
		return NULL;
	ip = hostfs_body(n);
	return ip ? inode_get(ip) : NULL;
}

static int in_list(struct inode *dir, u64 k, char *name)
{
	struct etlfs_ticket t;
	u32 i;

	for (i = 0; i < ETLFS_TICKETS; i++) {
		if (ticket_get(i, &t) < 0 || k-- > 0)
			continue;
		k_snprintf(name, NAME_MAX + 1, "%u", ticket_number(i, &t));
		return S_IFREG;
	}
	return -ENOENT;
}

static const struct node_ops in_ops = {
	.lookup = in_lookup,
	.list = in_list,
};

int hostfs_init(void)
{
	memset(slots, 0, sizeof(slots));
	return vfs_add_node("/usetl/in", S_IFDIR | 0555, 0, &in_ops, NULL);
}
