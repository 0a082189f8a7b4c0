/*
 * party.h - one function's own connections, and all that curl remembers
 *
 * Inside of engine.h.  Each function (owner) that fetches has a curl multi
 * handle of its own, so its kept connections, its cache of addresses and its
 * TLS sessions are never another's, and cannot be seen or used up by
 * another.  What functions have in common is the loop (pace.h) and three
 * shares (share.h): connections, look-ups of names, and, in window.h, memory.
 *
 * In one turn of the loop a party is heard on PARTY_ACTS sockets, and the rest
 * of them in the next ones, so that many that become ready at once (connected,
 * refused, closed) keep nobody else waiting.  PARTY_ENDS of its transfers that
 * are cancelled, or whose time is over, are ended in one.  Whom these wake may
 * take the processor from the gateway, so time is looked at as well.
 *
 * A party is made by its first transfer and goes some time after its last.
 */
#ifndef ETLFS_PARTY_H
#define ETLFS_PARTY_H

#include <curl/curl.h>
#include <ev.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "etlfs/fetch/engine.h"
#include "etlfs/fetch/share.h"

#define PARTY_ACTS	8		/* sockets heard in a turn */
#define PARTY_ENDS	8		/* transfers ended in a turn */
#define PARTY_NS	2000000u	/* then one of each is enough */

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
	ev_timer timer;			/* curl's own */
	ev_timer rest;			/* once, for what is left of a turn */
	struct socks ready;		/* for another turn, first come */
	struct transfers ending;	/* first come, too */
	uint64_t turn;
	unsigned acts, ends;		/* of that turn */
	uint64_t spent_ns;		/* on them */
	struct share_part *connections, *lookups;
	unsigned attached;		/* transfers */
	double idle_since;		/* when there are none */
	unsigned names;			/* that its cache may hold */
	struct transfers waiting;	/* for a connection */
	struct transfers paused;	/* for another turn */
	int *fds;			/* open sockets */
	unsigned n_fds, fds_room;
};

int party_create(struct party **out, struct fetch_engine *e,
		 struct ev_loop *loop, uint64_t owner,
		 struct share *connections, struct share *lookups,
		 long idle_connections);
/* it has no transfers */
void party_destroy(struct party *p);

/* the first that has such a transfer, which then goes last; or NULL */
struct party *party_next(struct parties *parties,
			 int (*has)(const struct party *p));

int party_add(struct party *p, struct transfer *t);
void party_remove(struct party *p, struct transfer *t);
/* as engine_end_soon(); forgotten: it ends otherwise */
void party_end_soon(struct party *p, struct transfer *t);
void party_end_forget(struct transfer *t);

/* one of its transfers opened a socket: 0 or -ENOMEM */
int party_opened(struct party *p, int fd);
/* CURLOPT_CLOSESOCKETFUNCTION, with the party */
int party_close(void *party, curl_socket_t fd);
/*
 * Both ends of a connection, as curl names them.  One local port may be that
 * of many connections, to different servers.
 */
struct party_ends {
	char ip[INET6_ADDRSTRLEN], local_ip[INET6_ADDRSTRLEN];
	int port, local_port;
};

/* the party's open socket between them, or -1 */
int party_socket(const struct party *p, const struct party_ends *e);
/* is fd, which may be closed or another's by now, that socket? */
int party_joins(int fd, const struct party_ends *e);

/* engine.c: before `finished`, of a transfer that ends */
void engine_ended(struct transfer *t, CURLcode code);

#endif
