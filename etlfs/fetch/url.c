/*
 * url.c - an http or https URL, parsed once
 *
 * Every string in a struct url is curl's, so curl_free() frees it.
 */
#include "etlfs/fetch/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int url_errno(CURLUcode rc)
{
	switch (rc) {
	case CURLUE_OK:
		return 0;
	case CURLUE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLUE_UNSUPPORTED_SCHEME:
		return -EPROTONOSUPPORT;
	default:
		return -EINVAL;
	}
}

/*
 * libcurl has decoded the host: what is left must not be decoded, or read
 * differently, by anybody else.
 */
static int host_odd(const char *host)
{
	for (; *host; host++)
		if ((unsigned char)*host <= ' ' || *host == 0x7f ||
		    *host == '%')
			return 1;
	return 0;
}

static CURLUcode url_strings(struct url *u, CURLU *h)
{
	char *s = NULL;
	CURLUcode rc;

	if ((rc = curl_url_get(h, CURLUPART_URL, &u->text, 0)) ||
	    (rc = curl_url_get(h, CURLUPART_SCHEME, &u->scheme, 0)))
		return rc;
	/* checked first, since a file: URL may lack what follows */
	if (strcmp(u->scheme, "http") && strcmp(u->scheme, "https"))
		return CURLUE_UNSUPPORTED_SCHEME;
	if ((rc = curl_url_get(h, CURLUPART_HOST, &u->host, 0)) ||
	    (rc = curl_url_get(h, CURLUPART_PATH, &u->path, 0)) ||
	    (rc = curl_url_get(h, CURLUPART_PORT, &s, CURLU_DEFAULT_PORT)))
		return rc;
	u->port = strtoul(s, NULL, 10);
	curl_free(s);
	if (host_odd(u->host))
		return CURLUE_BAD_HOSTNAME;
	if (curl_url_get(h, CURLUPART_QUERY, &s, 0) == CURLUE_OK) {
		u->has_query = 1;
		curl_free(s);
	}
	if (curl_url_get(h, CURLUPART_USER, &s, 0) == CURLUE_OK) {
		u->has_user = 1;
		curl_free(s);
	}
	/* a link-local zone would name an interface of this host */
	if (curl_url_get(h, CURLUPART_ZONEID, &s, 0) == CURLUE_OK) {
		curl_free(s);
		return CURLUE_BAD_HOSTNAME;
	}
	if ((rc = curl_url_set(h, CURLUPART_USER, NULL, 0)) ||
	    (rc = curl_url_set(h, CURLUPART_PASSWORD, NULL, 0)))
		return rc;
	return curl_url_get(h, CURLUPART_URL, &u->shown, 0);
}

int url_parse(struct url *u, const char *base, const char *text)
{
	CURLUcode code = CURLUE_OUT_OF_MEMORY;
	unsigned flags = 0;
	CURLU *h;
	int rc;

	memset(u, 0, sizeof(*u));
	h = curl_url();
	if (!h)
		return -ENOMEM;
	if (base) {
		code = curl_url_set(h, CURLUPART_URL, base, 0);
		if (code)
			goto out;
		/* servers send spaces and raw UTF-8 in Location */
		flags = CURLU_URLENCODE | CURLU_ALLOW_SPACE;
	}
	code = curl_url_set(h, CURLUPART_URL, text, flags);
	if (!code)
		code = curl_url_set(h, CURLUPART_FRAGMENT, NULL, 0);
	if (!code)
		code = url_strings(u, h);
out:
	curl_url_cleanup(h);
	rc = url_errno(code);
	if (rc < 0)
		url_free(u);
	else
		u->may_leave = url_path_may_leave(u->path);
	return rc;
}

void url_free(struct url *u)
{
	curl_free(u->text);
	curl_free(u->shown);
	curl_free(u->scheme);
	curl_free(u->host);
	curl_free(u->path);
	memset(u, 0, sizeof(*u));
}

int url_is_address(const struct url *u)
{
	struct in_addr in;

	return u->host[0] == '[' || inet_pton(AF_INET, u->host, &in) == 1;
}

int url_same_origin(const struct url *a, const struct url *b)
{
	return !strcmp(a->scheme, b->scheme) && a->port == b->port &&
	       !strcasecmp(a->host, b->host);
}
