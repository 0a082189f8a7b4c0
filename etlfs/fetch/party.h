/*
 * party.h - one function's own connections, and all that curl remembers
 *
 * Used by engine.c only.  Each function (owner) that fetches has a curl multi
 * handle of its own, so its kept connections, its cache of addresses and its
 * TLS sessions are never another's, and cannot be seen or used up by another.
 * What functions have in common is the loop (pace.h) and three shares
 * (share.h): connections, look-ups of names, and, in window.h, memory.
 *
 * In one turn of the loop PARTY_ACTS of a party's ready sockets are served, and
 * the rest in later turns, so that many that become ready at once (connected,
 * refused, closed) do not delay other functions.  At most PARTY_ENDS of its
 * transfers that are cancelled or overdue are ended in a turn.  Timers of curl's
 * own that are due, for whichever of its transfers, all count as one.  Processes that
 * these wake may take the processor from the gateway, so the time spent has a
 * limit, too.
 *
 * A party is made by its first transfer and destroyed some time after its last.
 */
#ifndef ETLFS_PARTY_H
#define ETLFS_PARTY_H

#include <curl/curl.h>
#include <ev.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "etlfs/fetch/engine.h"
#include "etlfs/fetch/share.h"

#define PARTY_ACTS	8		/* sockets served in a turn */
#define PARTY_ENDS	8		/* transfers ended in a turn */
#define PARTY_NS	2000000u	/* after so long only one of each */

struct party_socket;
TAILQ_HEAD(transfers, transfer);
TAILQ_HEAD(socks, party_socket);
TAILQ_HEAD(parties, party);

struct party {
	TAILQ_ENTRY(party) link;
	struct fetch_engine *engine;
	struct ev_loop *loop;
	uint64_t owner;
	CURLM *multi;
	CURLSH *sessions;		/* of TLS */
	ev_timer timer;			/* that curl asked for */
	ev_timer rest;			/* runs once, for what a turn left */
	struct socks ready;		/* wait for a later turn, in order */
	struct transfers ending;	/* in order, too */
	uint64_t turn;
	unsigned acts, ends;		/* done in the turn `turn` */
	uint64_t spent_ns;		/* on acts and ends */
	struct share_part *connections, *lookups;
	unsigned attached;		/* transfers */
	double idle_since;		/* since when there are no transfers */
	unsigned names;			/* that its address cache may hold */
	struct transfers waiting;	/* for a connection */
	struct transfers paused;	/* until a later turn */
	int *fds;			/* open sockets */
	unsigned n_fds, fds_room;
};

int party_create(struct party **out, struct fetch_engine *e,
		 struct ev_loop *loop, uint64_t owner,
		 struct share *connections, struct share *lookups,
		 long idle_connections);
/* to call when it has no transfers */
void party_destroy(struct party *p);

/*
 * The first party for which has() is true, or NULL.  It is moved to the end, so
 * that the parties take turns.
 */
struct party *party_next(struct parties *parties,
			 int (*has)(const struct party *p));

int party_add(struct party *p, struct transfer *t);
void party_remove(struct party *p, struct transfer *t);
/* see engine_end_soon(); party_end_forget(): it ends in another way */
void party_end_soon(struct party *p, struct transfer *t);
void party_end_forget(struct transfer *t);

/* one of its transfers opened a socket: 0 or -ENOMEM */
int party_opened(struct party *p, int fd);
/* the callback of CURLOPT_CLOSESOCKETFUNCTION; its argument is the party */
int party_close(void *party, curl_socket_t fd);
/*
 * Both ends of a connection, as curl reports them.  The local port alone is not
 * unique: connections to different servers can share it.
 */
struct party_ends {
	char ip[INET6_ADDRSTRLEN], local_ip[INET6_ADDRSTRLEN];
	int port, local_port;
};

/* the party's open socket between them, or -1 */
int party_socket(const struct party *p, const struct party_ends *e);
/* is fd, which may have been closed or reused since, that connection's? */
int party_joins(int fd, const struct party_ends *e);

/* defined in engine.c: called before `finished` when a transfer ends */
void engine_ended(struct transfer *t, CURLcode code);

#endif
