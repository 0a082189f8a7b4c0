/* invoke_url.c - invoke a function that another usetl serves, by libcurl */
#include "cmd/invoke_url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/answer.h"
#include "cmd/median.h"

#define BODY_MAX	((size_t)256 << 20)

struct reply {
	char *data;
	size_t len;
	double run_us;			/* -1: the reply did not say */
};

static size_t on_body(char *p, size_t one, size_t n, void *arg)
{
	struct reply *b = arg;
	char *data;

	if (n > BODY_MAX - b->len)
		return 0;
	data = realloc(b->data, b->len + n + 1);
	if (!data)
		return 0;
	b->data = data;
	memcpy(data + b->len, p, n);
	b->len += n;
	data[b->len] = '\0';
	return n;
}

static size_t on_header(char *p, size_t one, size_t n, void *arg)
{
	static const char name[] = "x-usetl-run-us:";
	struct reply *b = arg;

	if (n > sizeof(name) && !strncasecmp(p, name, sizeof(name) - 1))
		b->run_us = atof(p + sizeof(name) - 1);
	return n;
}

static CURL *prepare(const char *url, const void *event, size_t len,
		     uint64_t timeout_ns, struct curl_slist *headers)
{
	CURL *c = curl_easy_init();

	if (!c)
		return NULL;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, event);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	if (timeout_ns)
		curl_easy_setopt(c, CURLOPT_TIMEOUT_MS,
				 (long)((timeout_ns + 999999) / 1000000));
	return c;
}

/* sends one POST; the exit status */
static int post(CURL *c, const char *url, struct reply *b, double *total_us)
{
	char reason[CURL_ERROR_SIZE] = "";
	curl_off_t us = 0;
	long status = 0;
	CURLcode rc;
	int ours;

	b->len = 0;
	b->run_us = -1;
	curl_easy_setopt(c, CURLOPT_WRITEDATA, b);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, b);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason);
	rc = curl_easy_perform(c);
	if (rc != CURLE_OK) {
		fprintf(stderr, "usetl invoke: '%s': %s\n", url, reason[0] ?
			reason : curl_easy_strerror(rc));
		return 1;
	}
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c, CURLINFO_TOTAL_TIME_T, &us);
	*total_us = us;
	if (status == 200)
		return 0;
	ours = b->len && answer_is_error(b->data, b->len);
	if (!ours)
		fprintf(stderr, "usetl invoke: '%s' answered with status %ld, "
			"and not as usetl serve does%s\n", url, status,
			b->len ? ":" : "");
	if (b->len)
		answer_print(stderr, ours ? "usetl invoke" : NULL, b->data,
			     b->len, 0);
	return 1;
}

int invoke_url(const char *url, const void *event, size_t len,
		  uint64_t timeout_ns, unsigned repeat, int stats)
{
	struct curl_slist *headers =
		curl_slist_append(NULL, "Content-Type: application/json");
	double *total = calloc(repeat, sizeof(*total));
	double *run = calloc(repeat, sizeof(*run));
	struct reply b = { NULL, 0, -1 };
	int status = 1;
	CURL *c;

	/* no "Expect: 100-continue", which would delay a small body */
	headers = curl_slist_append(headers, "Expect:");
	c = prepare(url, event, len, timeout_ns, headers);
	if (!c || !headers || !total || !run) {
		fprintf(stderr, "usetl invoke: out of memory\n");
		goto out;
	}
	for (unsigned i = 0; i < repeat; i++) {
		status = post(c, url, &b, &total[i]);
		run[i] = b.run_us;
		if (status)
			goto out;
	}
	status = answer_show("usetl invoke", b.data, b.len);
	if (stats) {
		fprintf(stderr, "%-10s %10.1f us\n", "request",
			median(total, repeat));
		if (b.run_us >= 0)
			fprintf(stderr, "%-10s %10.1f us\n", "run",
				median(run, repeat));
	}
out:
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
	free(b.data);
	free(total);
	free(run);
	return status;
}
