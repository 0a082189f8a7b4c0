/*
 * hop_why.h - why a hop failed, in a number and in words
 */
#ifndef ETLFS_HOP_WHY_H
#define ETLFS_HOP_WHY_H

#include <curl/curl.h>

struct hop;

/* keeps the first reason when called again */
void hop_fail(struct hop *h, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* for a transfer that ended with code, which is not CURLE_OK */
void hop_explain(struct hop *h, CURLcode code);

#endif
