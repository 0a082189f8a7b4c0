/*
 * http.c - libmicrohttpd on a libev loop, and the framing that it lets pass
 */
#include "cmd/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/patience.h"

#define BACKLOG		1024
#define KEEP_ALIVE_S	60u
#define CONNECTIONS	4096u		/* or half the descriptors, if fewer */
#define CONNECTION_MEM	((size_t)32 << 10)
#define HOST_MAX	256

struct http {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	struct ev_io ready;
	struct ev_timer timeout;
	struct ev_prepare prepare;
	struct patience *patience;
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
	int one = 1, r;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK |
			SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
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
	int fd, r = http_listen_check(listen, err);

	if (r < 0)
		return r;
	split(listen, host, sizeof(host), &port);
	r = getaddrinfo(host, port, &hints, &list);
	if (r)
		return err_set(err, -EINVAL, "'%s': %s", listen,
			       gai_strerror(r));
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
	return r.rlim_cur / 2;
}

int http_create(struct http **out, struct ev_loop *loop, int fd,
		MHD_AccessHandlerCallback handler,
		MHD_RequestCompletedCallback completed, void *arg,
		struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));
	const union MHD_DaemonInfo *info;
	int r;

	if (!h) {
		close(fd);
		return err_set(err, -ENOMEM, "out of memory");
	}
	h->loop = loop;
	name_url(h, fd);
	/* another may have come to listen there since */
	if (listen(fd, BACKLOG) < 0) {
		r = cannot_listen(h->url + strlen("http://"), -errno, err);
		close(fd);
		free(h);
		return r;
	}
	if (patience_create(&h->patience, loop) < 0) {
		close(fd);
		free(h);
		return err_set(err, -ENOMEM, "out of memory");
	}
	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, NULL, NULL, handler, arg,
		MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, connection_limit(),
		MHD_OPTION_CONNECTION_TIMEOUT, KEEP_ALIVE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEM,
		MHD_OPTION_NOTIFY_COMPLETED, completed, arg,
		MHD_OPTION_NOTIFY_CONNECTION, patience_notify, h->patience,
		MHD_OPTION_END);
	info = h->daemon ? MHD_get_daemon_info(h->daemon,
					       MHD_DAEMON_INFO_EPOLL_FD) :
	       NULL;
	if (!info) {
		if (h->daemon)
			MHD_stop_daemon(h->daemon);
		patience_destroy(h->patience);
		close(fd);
		free(h);
		return err_set(err, -EIO, "cannot start the HTTP server");
	}
	ev_io_init(&h->ready, on_ready, info->epoll_fd, EV_READ);
	ev_timer_init(&h->timeout, on_timeout, 0.0, 0.0);
	ev_prepare_init(&h->prepare, on_prepare);
	h->ready.data = h->timeout.data = h->prepare.data = h;
	ev_io_start(loop, &h->ready);
	ev_prepare_start(loop, &h->prepare);
	*out = h;
	return 0;
}

void http_destroy(struct http *h)
{
	if (!h)
		return;
	ev_io_stop(h->loop, &h->ready);
	ev_timer_stop(h->loop, &h->timeout);
	ev_prepare_stop(h->loop, &h->prepare);
	MHD_stop_daemon(h->daemon);
	patience_destroy(h->patience);
	free(h);
}

/* framing: RFC 9112, sections 3.2, 5.1, 6.1 to 6.3 */

struct framing {
	unsigned hosts, lengths, encodings;
	int64_t length;
	const char *wrong;
};

static int is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] >= 0x7f ||
		    strchr("\"(),/:;<=>?@[\\]{}", s[i]))
			return 0;
	return len > 0;
}

static void look_at_length(struct framing *f, const char *v, size_t len)
{
	if (f->lengths++) {
		f->wrong = "Content-Length is given twice";
		return;
	}
	if (!len || len > 18)
		f->wrong = "Content-Length is not a number";
	for (size_t i = 0; i < len && !f->wrong; i++) {
		if (v[i] < '0' || v[i] > '9')
			f->wrong = "Content-Length is not a number";
		f->length = f->length * 10 + (v[i] - '0');
	}
}

static void look_at_encoding(struct framing *f, const char *v, size_t len)
{
	if (f->encodings++)
		f->wrong = "Transfer-Encoding is given twice";
	else if (len != 7 || strncasecmp(v, "chunked", 7))
		f->wrong = "Transfer-Encoding is not 'chunked'";
}

static enum MHD_Result look_at(void *arg, enum MHD_ValueKind kind,
			       const char *name, size_t name_len,
			       const char *value, size_t value_len)
{
	struct framing *f = arg;

	if (!is_token(name, name_len))
		f->wrong = "malformed header name";
	else if (value && memchr(value, '\0', value_len))
		f->wrong = "NUL in a header";
	else if (name_len == 4 && !strncasecmp(name, "host", 4))
		f->hosts++;
	else if (name_len == 14 && !strncasecmp(name, "content-length", 14))
		look_at_length(f, value ? value : "", value_len);
	else if (name_len == 17 && !strncasecmp(name, "transfer-encoding", 17))
		look_at_encoding(f, value ? value : "", value_len);
	return f->wrong ? MHD_NO : MHD_YES;
}

const char *http_framing(struct MHD_Connection *c, const char *version,
			 int64_t *length)
{
	struct framing f = { 0 };
	int is_11 = !strcmp(version, MHD_HTTP_VERSION_1_1);

	MHD_get_connection_values_n(c, MHD_HEADER_KIND, look_at, &f);
	*length = f.encodings ? -1 : f.length;
	if (f.wrong)
		return f.wrong;
	if (f.lengths && f.encodings)
		return "both Content-Length and Transfer-Encoding";
	if (f.encodings && !is_11)
		return "Transfer-Encoding before HTTP/1.1";
	if (f.hosts > 1)
		return "Host is given twice";
	if (!f.hosts && is_11)
		return "no Host";
	return NULL;
}

struct MHD_Response *http_response(char *text, size_t len, int json)
{
	struct MHD_Response *r;

	if (!text)
		return NULL;
	r = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!r)
		free(text);
	else
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, json ?
					"application/json" : "text/plain");
	return r;
}
