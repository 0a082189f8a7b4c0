/*
 * guestwindow.c - what a guest's tender maps: its memory, and host windows
 *
 * The tender's slots are numbered here: RAM, the image, the host windows, and
 * from SLOT_GROW on each piece by which an arena grows.
 */
#include <errno.h>

#include "vmm/guest/chan.h"
#include "vmm/guest/guest.h"

#define SLOT_IMAGE	RAM_WINDOWS
#define SLOT_HOST	(RAM_WINDOWS + 1)
#define SLOT_GROW	(SLOT_HOST + ETLFS_WINDOWS)

int guest_windows_map(struct guest *g)
{
	struct ram *ram = g->ram;
	uint64_t image = ram_image_end(ram) - UK_IMAGE_BASE + g->image_room;
	int rc = 0;

	for (unsigned i = 0; i < RAM_WINDOWS && rc == 0; i++)
		rc = g->t->ops->map(g->t, i, ram->win[i].base,
				    ram->win[i].top,
				    ram->base + ram->win[i].base, 0);
	/* all layers at once: a slot takes time, and the gaps have no tables */
	if (rc == 0 && image)
		rc = g->t->ops->map(g->t, SLOT_IMAGE, UK_IMAGE_BASE, image,
				    ram->base + UK_IMAGE_BASE, 1);
	if (rc == 0 && ram->host_size[0])
		rc = g->t->ops->map(g->t, SLOT_HOST, UK_HOST_BASE,
				    ram->host_size[0],
				    ram->base + UK_HOST_BASE, 1);
	g->slots = SLOT_GROW;
	return rc;
}

static int more(struct guest *g, uint64_t from, uint64_t to, int readonly)
{
	return to <= from ? 0 :
	       g->t->ops->map(g->t, g->slots++, from, to - from,
			      g->ram->base + from, readonly);
}

int guest_windows_more(struct guest *g, const struct ram_window *was,
		       uint64_t image_end)
{
	const struct ram_window *w = g->ram->win;
	int rc = more(g, image_end + g->image_room, ram_image_end(g->ram), 1);

	for (unsigned i = 0; i < RAM_WINDOWS && rc == 0; i++)
		rc = more(g, w[i].base + was[i].top, w[i].base + w[i].top, 0);
	return rc;
}

/* what is not there the libOS makes a failed fetch of */
static void windows_tell(struct guest *g)
{
	struct uk_ctl *c = ram_sys(g->ram, UK_CTL);

	c->windows = g->windows | 1;
}

static void window_detach(struct guest *g, unsigned w)
{
	g->t->ops->unmap(g->t, SLOT_HOST + w,
			 UK_HOST_BASE + w * ETLFS_WINDOW_STRIDE);
	ram_unmap_host(g->ram, w);
	g->windows &= ~(1u << w);
	windows_tell(g);
}

void guest_detach(struct guest *g)
{
	for (unsigned w = 1; w < ETLFS_WINDOWS; w++)
		if (g->windows & 1u << w)
			window_detach(g, w);
	g->ticket_used = 0;
}

static int window_attach(struct guest *g, uint64_t w, uint64_t size, int fd)
{
	int rc;

	if (w < 1 || w >= ETLFS_WINDOWS)
		return -EINVAL;
	if (g->windows & 1u << w)
		window_detach(g, (unsigned)w);
	rc = ram_map_host(g->ram, (unsigned)w, fd, size);
	if (rc < 0)
		return rc;
	rc = g->t->ops->map(g->t, SLOT_HOST + (unsigned)w,
			    UK_HOST_BASE + w * ETLFS_WINDOW_STRIDE, size,
			    g->ram->base + UK_HOST_BASE +
			    w * ETLFS_WINDOW_STRIDE, 1);
	if (rc < 0)
		ram_unmap_host(g->ram, (unsigned)w);
	else
		g->windows |= 1u << w;
	windows_tell(g);
	return rc;
}

int guest_message(struct guest *g, const struct msg *m, int fds[])
{
	int rc = 0;

	if (m->type == MSG_ATTACH) {
		g->window_seen = 1;
		rc = window_attach(g, m->a[0], m->a[1], fds[0]);
	} else if (m->type == MSG_SNAPSHOT) {
		guest_save_order(g, fds);
		return 0;
	} else if (m->type != MSG_KICK) {
		rc = -EPROTO;
	}
	chan_close_fds(fds);
	return rc;
}
