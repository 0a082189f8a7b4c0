/* lazylib_test.c - libraries that are loaded when one of theirs is called */
#include <curl/curl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/lazylib.h"
#include "t/unit/tap.h"

extern void *lazylib_slots[];

/* does any mapping of this process have it in its line? */
static int mapped(const char *what, char line[512])
{
	FILE *f = fopen("/proc/self/maps", "re");
	int found = 0;

	while (f && !found && fgets(line, 512, f))
		found = strstr(line, what) != NULL;
	if (f)
		fclose(f);
	return found;
}

static int slots_writable(void)
{
	uintptr_t at = (uintptr_t)lazylib_slots;
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	char line[512], prot[8] = "";

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %4s", &from, &to, prot) == 3 &&
		    at >= from && at < to)
			break;
	if (f)
		fclose(f);
	return prot[1] != '-';
}

static void *phrase(void *arg)
{
	return (void *)MHD_get_reason_phrase_for(404);
}

static void test_threads(void)
{
	pthread_t t[8];
	void *text;
	int same = 0;

	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, phrase, NULL);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], &text);
		same += !strcmp(text, "Not Found");
	}
	ok(same == 8, "eight threads call the first function at once: %d",
	   same);
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c,
			      const char *url, const char *method,
			      const char *version, const char *data,
			      size_t *len, void **own)
{
	return MHD_NO;
}

/* variadic, and with more arguments than registers */
static void test_arguments(void)
{
	CURL *c = curl_easy_init();
	struct MHD_Daemon *d;
	CURLU *u = curl_url();
	char *text = NULL;
	double total = -1;
	int right;

	right = c && !curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 100L) &&
		!curl_easy_getinfo(c, CURLINFO_TOTAL_TIME, &total) &&
		total == 0;
	ok(right, "a variadic function: %g", total);
	curl_easy_cleanup(c);
	right = u && !curl_url_set(u, CURLUPART_URL, "http://a.example/b", 0) &&
		!curl_url_get(u, CURLUPART_HOST, &text, 0) &&
		!strcmp(text, "a.example");
	ok(right, "four arguments: %s", text ? text : "none");
	curl_free(text);
	curl_url_cleanup(u);
	d = MHD_start_daemon(MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, answer,
			     NULL, MHD_OPTION_CONNECTION_LIMIT, 7u,
			     MHD_OPTION_END);
	ok(d != NULL, "nine arguments, on the stack, too");
	if (d)
		MHD_stop_daemon(d);
}

int main(void)
{
	char line[512];

	ok(!mapped("libcurl", line), "nothing is loaded at start");
	ok(!slots_writable(), "slots cannot be written");
	test_threads();
	ok(!mapped("libcurl", line) && mapped("libmicrohttpd", line),
	   "one is loaded, others are not");
	test_arguments();
	for (int lib = 0; lib < LAZYLIBS; lib++)
		lazylib_load(lib);
	ok(mapped("libarchive", line), "each has all functions of the list");
	ok(!slots_writable(), "slots cannot be written again");
	return plan();
}
