/*
 * hop.c - one request and its response, on the wire
 *
 * The callbacks that curl makes while it moves one request.  An error that they
 * find is put into the hop at once, by hop_fail(), and is reported in place of
 * the code that curl ends with.
 */
#include "etlfs/fetch/hop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/nstime.h"
#include "etlfs/fetch/hop_why.h"
#include "etlfs/fetch/wire.h"
#include "unikernel/abi.h"

/* framing of one chunk and three TLS records */
#define PIECE		128
#define CALLS		4u		/* of on_progress() for each check */
#define OVERHEAD_MAX	(4 << 20)	/* bytes of framing */
/* a longer one is not read to its end */
#define REDIRECT_BODY	(64u << 10)

const char *hop_method(unsigned method)
{
	static const char *const name[] = {
		[UK_GET] = "GET", [UK_HEAD] = "HEAD", [UK_POST] = "POST",
		[UK_PUT] = "PUT", [UK_DELETE] = "DELETE", [UK_PATCH] = "PATCH",
	};

	return method < sizeof(name) / sizeof(name[0]) ? name[method] : NULL;
}

static int on_look_up(void *resolver, void *reserved, void *arg)
{
	struct hop *h = arg;
	int rc;

	if (h->cancelled)
		return -ECANCELED;
	rc = engine_look_up(h->engine, &h->transfer);
	if (rc < 0)
		hop_fail(h, rc, "too many names are being looked up");
	return rc;
}

/* every address that is connected to passes here before the connect */
static curl_socket_t on_open(void *arg, curlsocktype purpose,
			     struct curl_sockaddr *a)
{
	struct hop *h = arg;
	char text[INET6_ADDRSTRLEN] = "its address";
	int fd;

	engine_found(&h->transfer);
	if (h->cancelled)
		return CURL_SOCKET_BAD;
	if (!h->named && !egress_public(&a->addr)) {
		if (a->family == AF_INET)
			inet_ntop(AF_INET, &((struct sockaddr_in *)
				  &a->addr)->sin_addr, text, sizeof(text));
		else if (a->family == AF_INET6)
			inet_ntop(AF_INET6, &((struct sockaddr_in6 *)
				  &a->addr)->sin6_addr, text, sizeof(text));
		hop_fail(h, -EACCES, "refused by the egress policy: "
			 "%s is not a public address, nor in [egress] allow",
			 text);
		return CURL_SOCKET_BAD;
	}
	h->opened = 1;
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	if (fd >= 0 && party_opened(h->transfer.party, fd) < 0) {
		close(fd);
		fd = -1;
	}
	h->socket = fd;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/*
 * A kept connection may hold something that the server sent unasked, a second
 * answer for instance, which would be taken for this request's.  So the request
 * goes out on another connection.  curl only checks that the peer has not
 * closed, and unread data pass that check.
 */
static int abandon_stale(struct hop *h)
{
	h->stale = 1;
	curl_easy_setopt(h->transfer.easy, CURLOPT_FORBID_REUSE, 1L);
	return CURL_PREREQFUNC_ABORT;
}

/*
 * A kept connection was opened for another request, perhaps to a host that
 * another entry of the list names, so its address is checked again.
 */
static int on_request(void *arg, char *ip, char *local_ip, int port,
		      int local_port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct hop *h = arg;

	if (h->cancelled)
		return CURL_PREREQFUNC_ABORT;
	engine_connected(&h->transfer);
	snprintf(h->ends.ip, sizeof(h->ends.ip), "%s", ip);
	snprintf(h->ends.local_ip, sizeof(h->ends.local_ip), "%s", local_ip);
	h->ends.port = port;
	h->ends.local_port = local_port;
	/* the connection that was opened last, or a kept one */
	if (!party_joins(h->socket, &h->ends))
		h->socket = party_socket(h->transfer.party, &h->ends);
	if (wire_bytes(h->socket, &h->wire_before) < 0)
		h->socket = -1;
	if (!h->opened && wire_has_come(h->socket))
		return abandon_stale(h);
	if (h->named ||
	    (inet_pton(AF_INET, ip, &in.sin_addr) == 1 &&
	     egress_public((struct sockaddr *)&in)) ||
	    (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1 &&
	     egress_public((struct sockaddr *)&in6))) {
		/* another address of the same name may have been refused */
		h->error = 0;
		return CURL_PREREQFUNC_OK;
	}
	hop_fail(h, -EACCES, "refused by the egress policy: "
		 "%s is not a public address, nor in [egress] allow", ip);
	return CURL_PREREQFUNC_ABORT;
}

static int is_redirect(const struct hop *h)
{
	size_t len;

	switch (h->status) {
	case 301: case 302: case 303: case 307: case 308:
		return header_find(h->head.text, h->head.len, "Location",
				   &len) != NULL;
	}
	return 0;
}

static void head_complete(struct hop *h)
{
	/* a 1xx response; the final one is still to come */
	if (h->status < 200)
		return;
	h->head_done = 1;
	h->redirect = is_redirect(h);
	/*
	 * Some servers send a body all the same, which the next request on this
	 * connection would take for its answer.
	 */
	if (h->method == UK_HEAD || h->status == 204 || h->status == 304)
		curl_easy_setopt(h->transfer.easy, CURLOPT_FORBID_REUSE, 1L);
}

/*
 * curl undoes other transfer codings, too, in the gateway; none was asked for.
 */
static int is_transfer_encoding(const char *line, size_t n)
{
	const char *v;
	size_t len;

	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	v = header_find(line, n, "Transfer-Encoding", &len);
	return !v || (len == 7 && !strncasecmp(v, "chunked", 7)) ||
	       (len == 8 && !strncasecmp(v, "identity", 8));
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct hop *h = arg;
	char *end;
	int rc;

	n *= size;
	/*
	 * Trailers come after the body and are not used, but curl keeps all of
	 * them in memory.
	 */
	if (h->head_done) {
		h->trailers += n;
		if (h->trailers <= UK_HEADERS_MAX)
			return n;
		hop_fail(h, -EMSGSIZE, "the response's trailers are longer "
			 "than %d bytes", UK_HEADERS_MAX);
		return 0;
	}
	if (n > 5 && !memcmp(line, "HTTP/", 5)) {
		h->head.len = 0;
		end = memchr(line, ' ', n);
		h->status = end ? strtoul(end, NULL, 10) : 0;
		return n;
	}
	if (line[0] == '\r' || line[0] == '\n') {
		head_complete(h);
		return n;
	}
	if (!is_transfer_encoding(line, n)) {
		hop_fail(h, -EPROTO, "a transfer-encoding that was not asked "
			 "for");
		return 0;
	}
	rc = head_add(&h->head, line, n);
	if (rc == 0)
		return n;
	hop_fail(h, rc, rc == -ENOMEM ? "out of memory" :
		 "the response's headers are longer than %d bytes",
		 UK_HEADERS_MAX);
	return 0;
}

static uint64_t expected(struct hop *h)
{
	curl_off_t len = -1;

	curl_easy_getinfo(h->transfer.easy,
			  CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &len);
	h->total = len;
	return len < 0 ? 0 : len;
}

/* pauses a transfer that had its part of this turn, so others are served */
static void spend(struct hop *h, size_t n)
{
	if (engine_spend(h->engine, &h->transfer, n))
		curl_easy_pause(h->transfer.easy, CURLPAUSE_ALL);
}

/*
 * curl drops the extensions of chunks silently and without limit.  So the bytes
 * that came on the connection are compared with those of the body: framing and
 * TLS may add a part of that.  Heads have a limit of their own.
 */
static int on_progress(void *arg, curl_off_t total, curl_off_t body,
		       curl_off_t up_total, curl_off_t up)
{
	struct hop *h = arg;
	uint64_t came;

	/*
	 * Not ended here: curl calls this for all whose second is over, one
	 * after the other, and its party ends a few in a turn.
	 */
	if (h->cancelled)
		return 0;
	/* one call in CALLS is enough: curl reads little between two */
	if (++h->calls % CALLS || !party_joins(h->socket, &h->ends) ||
	    wire_bytes(h->socket, &came) < 0 || came < h->wire_before)
		return 0;
	came -= h->wire_before;
	if (came <= OVERHEAD_MAX + (uint64_t)body * 2 + h->pieces * PIECE)
		return 0;
	hop_fail(h, -EMSGSIZE, "the response's framing is longer than its "
		 "body by more than %d bytes", OVERHEAD_MAX);
	return 1;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct hop *h = arg;
	uint64_t total = expected(h);
	size_t left, room;
	void *p;

	if (h->cancelled)
		return 0;
	n *= size;
	if (h->redirect) {
		h->dropped += n;
		return h->dropped > REDIRECT_BODY ? 0 : n;
	}
	for (left = n; left; left -= room, data += room) {
		p = h->req->sink(h->req->arg, h->body_len, left, total, &room);
		if (!p) {
			if (total)
				hop_fail(h, -ENOSPC, "no room for a body of "
					 "%llu bytes",
					 (unsigned long long)total);
			else
				hop_fail(h, -ENOSPC, "no room for a body of "
					 "more than %llu bytes",
					 (unsigned long long)h->body_len);
			return 0;
		}
		if (room > left)
			room = left;
		memcpy(p, data, room);
		h->body_len += room;
	}
	h->pieces++;
	/* tiny chunks cost more time than their bytes */
	spend(h, n + 64);
	return n;
}

static size_t on_read(char *buf, size_t size, size_t n, void *arg)
{
	struct hop *h = arg;
	uint64_t left = h->req->body_len - h->read_off;
	ssize_t rc;

	if (h->cancelled)
		return CURL_READFUNC_ABORT;
	n *= size;
	if (n > left)
		n = left;
	if (!n)
		return 0;
	rc = h->req->read(h->req->arg, h->read_off, buf, n);
	if (rc <= 0 || (size_t)rc > n) {
		/* a server would wait for the bytes that were announced */
		hop_fail(h, rc < 0 ? rc : -EIO,
			 "the request's body could not be read: %s",
			 strerror(rc < 0 ? -rc : EIO));
		return CURL_READFUNC_ABORT;
	}
	h->read_off += rc;
	spend(h, rc);
	return rc;
}

/* curl sends again when a kept connection turned out to be dead */
static int on_seek(void *arg, curl_off_t off, int origin)
{
	struct hop *h = arg;

	if (origin != SEEK_SET || off < 0 || (uint64_t)off > h->req->body_len)
		return CURL_SEEKFUNC_FAIL;
	h->read_off = off;
	return CURL_SEEKFUNC_OK;
}

static int hop_wire(struct hop *h);

/* on a new connection; nothing of the request has been sent yet */
static void hop_again(struct hop *h)
{
	int rc = hop_wire(h);

	if (rc == 0)
		return;
	hop_fail(h, rc, "%s", strerror(-rc));
	h->done(h);
}

static void on_finished(struct transfer *t, CURLcode code)
{
	struct hop *h = (struct hop *)((char *)t -
				       offsetof(struct hop, transfer));
	curl_off_t sent = 0;

	if (h->cancelled) {
		h->done(h);
		return;
	}
	if (code == CURLE_ABORTED_BY_CALLBACK && h->stale && !h->error) {
		hop_again(h);
		return;
	}
	curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	h->sent_len = sent;
	/* the rest of a redirect's body was not waited for */
	if (code == CURLE_WRITE_ERROR && h->redirect && !h->error)
		code = CURLE_OK;
	if (code == CURLE_OK)
		h->error = 0;
	else if (!h->error)
		hop_explain(h, code);
	h->done(h);
}

#define SET(easy, option, value) do {					\
	if (curl_easy_setopt(easy, option, value))			\
		return -ENOMEM;						\
} while (0)

static int set_policy(struct hop *h)
{
	CURL *c = h->transfer.easy;
	const char *ca = getenv("SSL_CERT_FILE");
	int alone;

	SET(c, CURLOPT_URL, h->url.text);
	SET(c, CURLOPT_NOSIGNAL, 1L);
	SET(c, CURLOPT_PROXY, "");
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	if (ca && *ca)
		SET(c, CURLOPT_CAINFO, ca);
	SET(c, CURLOPT_RESOLVER_START_FUNCTION, on_look_up);
	SET(c, CURLOPT_RESOLVER_START_DATA, h);
	SET(c, CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(c, CURLOPT_OPENSOCKETDATA, h);
	SET(c, CURLOPT_PREREQFUNCTION, on_request);
	SET(c, CURLOPT_PREREQDATA, h);
	SET(c, CURLOPT_ERRORBUFFER, h->error_text);
	SET(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* the rule is in fetch.h */
	alone = h->has_body || (h->method != UK_GET && h->method != UK_HEAD);
	SET(c, CURLOPT_FRESH_CONNECT, (long)(alone || h->stale));
	SET(c, CURLOPT_FORBID_REUSE, (long)alone);
	return 0;
}

static int set_method(struct hop *h)
{
	CURL *c = h->transfer.easy;
	curl_off_t len = h->has_body ? h->req->body_len : 0;

	if (h->method == UK_HEAD) {
		SET(c, CURLOPT_NOBODY, 1L);
		return 0;
	}
	/* servers expect a length with these methods, if only 0 */
	if (h->has_body || h->method == UK_POST || h->method == UK_PUT ||
	    h->method == UK_PATCH) {
		SET(c, CURLOPT_UPLOAD, 1L);
		SET(c, CURLOPT_INFILESIZE_LARGE, len);
		SET(c, CURLOPT_UPLOAD_BUFFERSIZE, len > ENGINE_BUFFER ?
		    ENGINE_BUFFER : 16384L);
		SET(c, CURLOPT_READFUNCTION, on_read);
		SET(c, CURLOPT_READDATA, h);
		SET(c, CURLOPT_SEEKFUNCTION, on_seek);
		SET(c, CURLOPT_SEEKDATA, h);
	}
	SET(c, CURLOPT_CUSTOMREQUEST, hop_method(h->method));
	return 0;
}

static int set_response(struct hop *h)
{
	CURL *c = h->transfer.easy;

	/* the function decodes content-encodings itself */
	SET(c, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(c, CURLOPT_USERAGENT, "usetl/" USETL_VERSION);
	SET(c, CURLOPT_HTTPHEADER, h->headers);
	SET(c, CURLOPT_HEADERFUNCTION, on_header);
	SET(c, CURLOPT_HEADERDATA, h);
	SET(c, CURLOPT_WRITEFUNCTION, on_body);
	SET(c, CURLOPT_WRITEDATA, h);
	SET(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(c, CURLOPT_XFERINFODATA, h);
	SET(c, CURLOPT_NOPROGRESS, 0L);
	return 0;
}

static int hop_wire(struct hop *h)
{
	int rc;

	h->socket = -1;
	h->pieces = h->calls = 0;
	h->ends = (struct party_ends){ .port = 0 };
	h->transfer.finished = on_finished;
	h->transfer.one_address = url_is_address(&h->url);
	rc = set_policy(h);
	if (rc == 0)
		rc = set_method(h);
	if (rc == 0)
		rc = set_response(h);
	if (rc == 0)
		rc = engine_start(h->engine, &h->transfer, h->deadline_ns);
	return rc;
}

int hop_start(struct hop *h)
{
	const struct fetch_request *r = h->req;
	int rc;

	h->total = -1;
	h->started_ns = nstime_now();
	rc = header_list(r->headers, r->headers_len, h->leave_out,
			 &h->headers);
	if (!rc && !h->transfer.easy)
		rc = engine_attach(h->engine, &h->transfer, r->owner);
	return rc ? rc : hop_wire(h);
}

void hop_cancel(struct hop *h)
{
	h->cancelled = 1;
	engine_end_soon(&h->transfer);
}

void hop_free(struct hop *h)
{
	engine_release(h->engine, &h->transfer);
	curl_slist_free_all(h->headers);
	h->headers = NULL;
	head_free(&h->head);
	url_free(&h->url);
}
