/*
 * sha256.h - digests of texts and files, as 64 hex digits
 *
 * By nettle, which is small: it is loaded at the start of every command, and has
 * nothing to set up.
 */
#ifndef CONF_SHA256_H
#define CONF_SHA256_H

#include <nettle/sha2.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX	65		/* and a NUL */

/* of what a context was given, piece by piece, which begins anew */
void sha256_hex(struct sha256_ctx *sum, char out[SHA256_HEX]);
void sha256_text(const void *data, size_t len, char out[SHA256_HEX]);
/*
 * Of len bytes of a file from off on, by reading: whoever cuts it short
 * meanwhile ends nobody's process.  0, -ENOMEM or an errno of reading;
 * -EBADMSG: it is shorter.
 */
int sha256_file(int fd, uint64_t off, uint64_t len, char out[SHA256_HEX]);

#endif
