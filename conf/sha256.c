/* sha256.c - digests of texts and files */
#include "conf/sha256.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK	((size_t)1 << 20)	/* read at a time */

void sha256_hex(struct sha256_ctx *sum, char out[SHA256_HEX])
{
	uint8_t md[SHA256_DIGEST_SIZE];

	sha256_digest(sum, sizeof(md), md);
	for (size_t i = 0; i < sizeof(md); i++)
		sprintf(out + 2 * i, "%02x", md[i]);
}

void sha256_text(const void *data, size_t len, char out[SHA256_HEX])
{
	struct sha256_ctx sum;

	sha256_init(&sum);
	sha256_update(&sum, len, data);
	sha256_hex(&sum, out);
}

int sha256_file(int fd, uint64_t off, uint64_t len, char out[SHA256_HEX])
{
	uint8_t *buf = malloc(CHUNK);
	struct sha256_ctx sum;
	int rc = buf ? 0 : -ENOMEM;

	sha256_init(&sum);
	while (rc == 0 && len) {
		ssize_t n = pread(fd, buf, len < CHUNK ? len : CHUNK,
				  (off_t)off);

		if (n <= 0) {
			rc = n < 0 ? -errno : -EBADMSG;
			break;
		}
		sha256_update(&sum, (size_t)n, buf);
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	free(buf);
	if (rc == 0)
		sha256_hex(&sum, out);
	return rc;
}
