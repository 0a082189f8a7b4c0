/*
 * http.c - libmicrohttpd on a libev loop
 */
#include "cmd/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/callers.h"
#include "cmd/framing.h"

#define BACKLOG		1024
#define KEEP_ALIVE_S	60u
#define CONNECTIONS	65536u		/* or half the descriptors, if fewer */
#define SPARE		64u		/* of them: to come while others go */
#define CONNECTION_MEM	((size_t)32 << 10)
#define HOST_MAX	256

struct http {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	struct ev_io ready;
	struct ev_timer timeout;
	struct ev_prepare prepare;
	struct callers *callers;
	unsigned connections;
	int woken;			/* something was resumed in this turn */
	char url[300];
};

/* listening */

static int split(const char *listen, char *host, size_t size,
		 const char **port)
{
	const char *colon = strrchr(listen, ':');
	size_t len;

	/* getaddrinfo() takes any number, modulo 65536 */
	if (!colon || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    strlen(colon + 1) > 5 || atol(colon + 1) > 65535)
		return -EINVAL;
	len = colon - listen;
	if (len >= 2 && *listen == '[' && colon[-1] == ']') {
		listen++;
		len -= 2;
	} else if (memchr(listen, ':', len)) {
		return -EINVAL;
	}
	if (!len || len >= size || !colon[1])
		return -EINVAL;
	memcpy(host, listen, len);
	host[len] = '\0';
	*port = colon + 1;
	return 0;
}

int http_listen_check(const char *listen, struct err *err)
{
	char host[HOST_MAX];
	const char *port;

	if (split(listen, host, sizeof(host), &port) < 0)
		return err_set(err, -EINVAL, "'%s' is not ADDR:PORT, as in "
			       "127.0.0.1:8080 or [::1]:8080", listen);
	return 0;
}

static int bind_to(const struct addrinfo *ai)
{
	int one = 1, rc;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK |
			SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static void name_url(struct http *h, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char host[256], port[32];

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	snprintf(h->url, sizeof(h->url), ss.ss_family == AF_INET6 ?
		 "http://[%s]:%s" : "http://%s:%s", host, port);
}

static int cannot_listen(const char *where, int code, struct err *err)
{
	if (code == -EADDRINUSE)
		return err_set(err, code, "'%s' is in use; choose another with "
			       "-l ADDR:PORT", where);
	return err_set(err, code, "cannot listen on '%s': %s", where,
		       strerror(-code));
}

int http_bind(const char *listen, struct err *err)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	}, *list;
	char host[HOST_MAX];
	const char *port;
	int fd, rc = http_listen_check(listen, err);

	if (rc < 0)
		return rc;
	split(listen, host, sizeof(host), &port);
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc)
		return err_set(err, -EINVAL, "'%s': %s", listen,
			       gai_strerror(rc));
	fd = bind_to(list);
	freeaddrinfo(list);
	return fd < 0 ? cannot_listen(listen, fd, err) : fd;
}

/* the daemon on the loop */

void http_run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	h->woken = 0;
	MHD_run(h->daemon);
	if (MHD_get_timeout(h->daemon, &ms) == MHD_YES) {
		/* a repeat of 0 would stop the timer */
		h->timeout.repeat = ms ? ms / 1000.0 : 1e-6;
		ev_timer_again(h->loop, &h->timeout);
	} else {
		ev_timer_stop(h->loop, &h->timeout);
	}
}

static void on_ready(struct ev_loop *loop, struct ev_io *w, int revents)
{
	http_run(w->data);
}

static void on_timeout(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	http_run(w->data);
}

static void on_prepare(struct ev_loop *loop, struct ev_prepare *w,
		       int revents)
{
	struct http *h = w->data;

	if (h->woken)
		http_run(h);
}

void http_resume(struct http *h, struct MHD_Connection *c)
{
	MHD_resume_connection(c);
	h->woken = 1;
}

const char *http_url(const struct http *h)
{
	return h->url;
}

void http_quiesce(struct http *h)
{
	int fd = MHD_quiesce_daemon(h->daemon);

	/* the listening socket is ours again */
	if (fd >= 0)
		close(fd);
}

unsigned http_connections(struct http *h)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(h->daemon,
				    MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info ? info->num_connections : 0;
}

/* a client that goes away or talks nonsense is no news */
static void no_log(void *arg, const char *fmt, va_list ap)
{
}

/* callers leave descriptors for clones and fetches */
static unsigned connection_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur / 2 > CONNECTIONS)
		return CONNECTIONS;
	return r.rlim_cur / 2 > 2 * SPARE ? r.rlim_cur / 2 : 2 * SPARE;
}

unsigned http_limit(struct http *h, unsigned places, unsigned per_address)
{
	if (places > h->connections - SPARE)
		places = h->connections - SPARE;
	callers_limit(h->callers, places, per_address);
	return places;
}

/* a request line, before its target is cut at '?': a NUL ends it here alone */
static void *on_target(void *arg, const char *target, struct MHD_Connection *c)
{
	size_t *len = callers_target(c);

	if (len)
		*len = strlen(target);
	return NULL;
}

/* the target stays as it came: see framing_unescape() */
static size_t unescape_nothing(void *arg, struct MHD_Connection *c, char *s)
{
	return strlen(s);
}

int http_head(struct MHD_Connection *c, const char *method, const char *target,
	      const char *version, struct request_head *h)
{
	const size_t *len = callers_target(c);

	if (!len)
		return -ENOMEM;
	*h = (struct request_head){ method, target, version, *len };
	return 0;
}

static struct MHD_Daemon *start_daemon(struct http *h, int fd,
				       MHD_AccessHandlerCallback handler,
				       MHD_RequestCompletedCallback completed,
				       void *arg)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, callers_accept, h->callers, handler, arg,
		MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, h->connections,
		MHD_OPTION_CONNECTION_TIMEOUT, KEEP_ALIVE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEM,
		MHD_OPTION_NOTIFY_COMPLETED, completed, arg,
		MHD_OPTION_NOTIFY_CONNECTION, callers_notify, h->callers,
		MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL,
		MHD_OPTION_END);
}

static void watch(struct http *h, int epoll_fd)
{
	ev_io_init(&h->ready, on_ready, epoll_fd, EV_READ);
	ev_timer_init(&h->timeout, on_timeout, 0.0, 0.0);
	ev_prepare_init(&h->prepare, on_prepare);
	h->ready.data = h->timeout.data = h->prepare.data = h;
	ev_io_start(h->loop, &h->ready);
	ev_prepare_start(h->loop, &h->prepare);
}

int http_create(struct http **out, struct ev_loop *loop, int fd,
		MHD_AccessHandlerCallback handler,
		MHD_RequestCompletedCallback completed, void *arg,
		struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));
	const union MHD_DaemonInfo *info;
	int rc;

	if (!h) {
		close(fd);
		return err_set(err, -ENOMEM, "out of memory");
	}
	h->loop = loop;
	name_url(h, fd);
	/* another may have come to listen there since */
	if (listen(fd, BACKLOG) < 0) {
		rc = cannot_listen(h->url + strlen("http://"), -errno, err);
		goto out;
	}
	rc = callers_create(&h->callers, loop);
	if (rc < 0) {
		err_set(err, rc, "no table of callers: %s", strerror(-rc));
		goto out;
	}
	h->connections = connection_limit();
	h->daemon = start_daemon(h, fd, handler, completed, arg);
	info = h->daemon ? MHD_get_daemon_info(h->daemon,
					       MHD_DAEMON_INFO_EPOLL_FD) :
	       NULL;
	if (info) {
		watch(h, info->epoll_fd);
		*out = h;
		return 0;
	}
	rc = err_set(err, -EIO, "cannot start the HTTP server");
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
out:
	callers_destroy(h->callers);
	close(fd);
	free(h);
	return rc;
}

void http_destroy(struct http *h)
{
	if (!h)
		return;
	ev_io_stop(h->loop, &h->ready);
	ev_timer_stop(h->loop, &h->timeout);
	ev_prepare_stop(h->loop, &h->prepare);
	MHD_stop_daemon(h->daemon);
	callers_destroy(h->callers);
	free(h);
}
