/*
 * hop_why.c - why a hop failed, in a number and in words
 *
 * The words are for the author of a function, who reads them in a Python
 * exception, after the method and the URL.
 */
#include "etlfs/fetch/hop_why.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/nstime.h"
#include "etlfs/fetch/hop.h"

void hop_fail(struct hop *h, int error, const char *fmt, ...)
{
	va_list ap;

	if (h->error)
		return;
	h->error = error;
	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
}

/* curl's own message, or that of its code, when we have no better one */
static const char *words(const struct hop *h, CURLcode code)
{
	return h->error_text[0] ? h->error_text : curl_easy_strerror(code);
}

static void why_connect(struct hop *h)
{
	long rc = 0;
	char text[64];

	curl_easy_getinfo(h->transfer.easy, CURLINFO_OS_ERRNO, &rc);
	if (rc <= 0)
		rc = EHOSTUNREACH;
	snprintf(text, sizeof(text), "%s", strerror(rc));
	text[0] = tolower((unsigned char)text[0]);
	hop_fail(h, -(int)rc, "%s", text);
}

static void why_timeout(struct hop *h)
{
	double s = (nstime_now() - h->started_ns) / 1e9;

	if (h->transfer.waits)
		hop_fail(h, -ETIMEDOUT, "timed out after %.3g s, in which no "
			 "connection was free", s);
	else if (h->body_len)
		hop_fail(h, -ETIMEDOUT, "timed out after %.3g s, with %llu "
			 "bytes received", s, (unsigned long long)h->body_len);
	else
		hop_fail(h, -ETIMEDOUT, "timed out after %.3g s", s);
}

static void why_short(struct hop *h)
{
	curl_off_t got = 0;

	curl_easy_getinfo(h->transfer.easy, CURLINFO_SIZE_DOWNLOAD_T, &got);
	if (h->total >= 0)
		hop_fail(h, -EIO, "truncated: expected %lld bytes, got %lld",
			 (long long)h->total, (long long)got);
	else
		hop_fail(h, -EIO, "truncated: the connection was closed after "
			 "%lld bytes, before the body's end", (long long)got);
}

/* the connection broke */
static void why_broken(struct hop *h, CURLcode code)
{
	if (h->head_done && h->body_len)
		why_short(h);
	else
		hop_fail(h, -ECONNRESET, "the connection broke: %s",
			 words(h, code));
}

void hop_explain(struct hop *h, CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		hop_fail(h, -EHOSTUNREACH, "could not resolve host '%.200s'",
			 h->url.host);
		break;
	case CURLE_COULDNT_CONNECT:
		why_connect(h);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		why_timeout(h);
		break;
	case CURLE_PARTIAL_FILE:
		why_short(h);
		break;
	case CURLE_GOT_NOTHING:
		hop_fail(h, -ECONNRESET, "the server closed the connection "
			 "without an answer");
		break;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		why_broken(h, code);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		hop_fail(h, -EPROTO, "the server's certificate was not "
			 "accepted: %s", words(h, code));
		break;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER:
		hop_fail(h, -EPROTO, "tls: %s", words(h, code));
		break;
	case CURLE_OUT_OF_MEMORY:
		hop_fail(h, -ENOMEM, "out of memory");
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		hop_fail(h, -EPROTO, "no valid HTTP response: %s",
			 words(h, code));
		break;
	default:
		hop_fail(h, -EIO, "%s", words(h, code));
	}
}
