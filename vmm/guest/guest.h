/*
 * guest.h - one running guest: its memory, its tender, its invocation
 *
 * This folder: one running guest: the reference that boots and forks, the
 * clones, and what they do for their guests.
 *
 * Used by the reference while it boots and by each clone.  guest_run() lets
 * it run until it rings READY, EVENT or NEXT, or is finished; everything else
 * that it asks for (doorbell.c) is answered on the way.
 */
#ifndef VMM_GUEST_H
#define VMM_GUEST_H

#include <stdint.h>

#include "vmm/proto.h"
#include "vmm/guest/place.h"
#include "vmm/memory/ram.h"
#include "vmm/guest/report.h"
#include "vmm/tender/tender.h"

enum guest_end {
	GUEST_GOES_ON,			/* internal to the run loop */
	GUEST_READY,
	GUEST_EVENT,			/* it is a child, and asks for one */
	GUEST_RESULT,			/* kind, result, result_len are set */
	GUEST_DIED,			/* died, died_status, report are set */
	GUEST_ORPHAN,			/* the gateway is gone */
};

/*
 * CHILD: READY has returned, as fork(2) does in a child, and no request is
 * known to the guest: there is nobody to fetch for or to log to, and what the
 * gateway sends meanwhile is left in the socket.
 */
enum guest_phase { PHASE_BOOT, PHASE_CHILD, PHASE_REQUEST };

#define SAVE_FDS	3

struct snapshot;

struct guest {
	struct ram *ram;
	struct tender *t;
	const struct place *place;	/* what it runs */
	int sock;
	unsigned slots;			/* next free slot for DB_GROW */
	uint64_t image_room;		/* bytes that are mapped behind the image,
					   where tables point only once more of
					   it is there */
	enum guest_phase phase;
	uint64_t deadline;		/* mono ns; of the phase */
	int overdue;			/* that was over; this is a grace */
	unsigned level;			/* of READY, UK_LEVEL_* */
	int placed;			/* it has a function: guest_placed() */
	uint64_t entropy_gen, ticks;
	struct uk_clock clock;		/* as it was told last */
	uint64_t mono_least;		/* ns: its snapshot knew that time */
	uint64_t mono_add;		/* ns: to what the host's clock says */
	uint64_t turns_end;		/* mono ns: guestpace.c; 0: a new phase */

	/*
	 * Of each slot's last ticket.  Each child begins at its reference's: a
	 * ticket of warm-up's never comes again, since the libOS knows it, and
	 * no number tells what earlier requests fetched.  One of an earlier
	 * request's may come again, for nothing knows it any more: the guest
	 * was rolled back; its FETCHes and CANCELs lie before the RESULT in the
	 * socket; the gateway forgets all of them with that, before it sends
	 * INVOKE, and its KICK names none; and what a tender keeps by number
	 * goes with the windows (guest_detach).
	 */
	uint32_t ticket_gen[UK_TICKETS];
	uint64_t ticket_used;		/* bit per slot */
	unsigned windows;		/* bit per host window attached */
	int window_seen;		/* an ATTACH came; say IDLE */

	/* guestsave.c */
	const struct snapshot *from;	/* of a clone: what it started from */
	int save;			/* it is to be written, to these: */
	int save_fd[SAVE_FDS];

	uint64_t log_left;		/* guestlog.c */
	uint64_t log_lost;		/* line ends past that */
	int log_torn;			/* and a line without one */
	uint32_t log_len;
	char log[2 * UK_LOG_SIZE];

	/* outcome */
	unsigned kind;
	const void *result;		/* in guest memory, valid until it runs */
	uint64_t result_len;
	enum died died;
	uint64_t died_status;
	char report[REPORT_MAX];
	char where[96];			/* it was when its time was over */
	struct run_stats st;
};

/* makes the tender over the guest's memory and maps all windows */
int guest_create(struct guest *g, const struct tender_ops *ops,
		 struct err *err);
void guest_destroy(struct guest *g);

/*
 * In a process that has just been forked from one with s and its pages: g,
 * whose ram, place and sock are set, stands where s has it; proc: an open /proc
 */
int guest_resume(struct guest *g, const struct tender_ops *ops,
		 const struct snapshot *s, int window0, int proc,
		 struct err *err);
/*
 * The same, but where the guest is to begin is not known yet: guest_replace()
 * says so, once its memory is as it will be
 */
int guest_stand(struct guest *g, const struct tender_ops *ops,
		const struct snapshot *s, int window0, int proc,
		const struct tender_wait *w, struct err *err);
/* was, image_end: what its memory was when guest_stand() was called */
int guest_replace(struct guest *g, const struct snapshot *s,
		  const struct ram_window *was, uint64_t image_end);
/* writes the control page of a new guest: limits, argv, environment */
void guest_ctl_init(struct guest *g);
/*
 * READY is to return UK_PLACED: g->place, the function's, is there from now on.
 * It is the same boot, and has what is left of its time.
 */
void guest_placed(struct guest *g);
/* fresh clock and entropy, before the next instruction */
void guest_refresh(struct guest *g);
/*
 * guestclock.c: what time it is; until the next guest_refresh() never earlier
 * than before, and never than the snapshot's
 */
void guest_clock(struct guest *g);
/* what it is by the guest's monotonic clock now, ns */
uint64_t guest_clock_told(const struct guest *g);
/* READY is to return, in process pid, which has until deadline, mono ns */
void guest_child(struct guest *g, uint32_t pid, uint64_t deadline);
/* a request: an event of len bytes at off in the host region */
void guest_set_event(struct guest *g, uint64_t off, uint64_t len,
		     uint64_t timeout_ns);

/* it goes on with a request that it was in; timeout_ns: what is left to it */
void guest_go_on(struct guest *g, uint64_t timeout_ns);
/* the event is there: a child need not ask for it */
void guest_event_here(struct guest *g);
/* what the doorbell that it rang last returns */
void guest_answer(struct guest *g, long ret);

enum guest_end guest_run(struct guest *g);

/* guestpace.c: a doorbell or an exception was answered; may sleep a moment */
void guest_pace(struct guest *g);

/* guestlog.c: bytes of log that this boot or invocation may send, with what
   was said before it */
void guest_log_limit(struct guest *g, uint64_t max);
/* lines that were past that, since this was asked last */
uint64_t guest_log_lost(struct guest *g);
/* what was not sent yet; bytes, *log is the guest's until it runs */
uint32_t guest_log(struct guest *g, const char **log);
/* DB_LOG; 0 or -errno */
int guest_log_rung(struct guest *g);
/* guestwindow.c: to the new tender, all that a guest has at first */
int guest_windows_map(struct guest *g);
/* and what these have more since then: was, image_end */
int guest_windows_more(struct guest *g, const struct ram_window *was,
		       uint64_t image_end);
/* detach every host window but 0, forget every ticket */
void guest_detach(struct guest *g);
/* a KICK or ATTACH from the gateway; fds are consumed */
int guest_message(struct guest *g, const struct msg *m, int fds[]);

/* guestsave.c: a SNAPSHOT has come, fds are consumed; at a tick: has one? */
void guest_save_order(struct guest *g, int fds[]);
void guest_save_look(struct guest *g);
/* a doorbell has been answered, and it does not run yet */
void guest_save(struct guest *g);
/* it is to ring at its next tick; or no more */
void guest_ring(struct guest *g, int on);
void guest_save_drop(struct guest *g);	/* its request is over */

/* a signal came while no guest runs: stop ticking */
void guest_idle(struct guest *g);

/*
 * The guest is finished: the outcome, with what it left to say itself, or
 * else with host's line.  GUEST_DIED.
 */
enum guest_end guest_died(struct guest *g, enum died why, uint64_t status,
			  const char *host);
/*
 * Its time is over.  The first time it learns of that, and goes on for a
 * moment, to say where it is; host says what the tender knows.
 */
enum guest_end guest_overdue(struct guest *g, const char *host);

/* doorbell.c */
enum guest_end doorbell_ring(struct guest *g);

#endif
