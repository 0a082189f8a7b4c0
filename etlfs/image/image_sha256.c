/*
 * image_sha256.c - the SHA-256 of a text (FIPS 180-4)
 *
 * For what is a few pages at most: a manifest, a key.  libcrypto, which hashes
 * layers by the processor's own instructions, takes longer to be loaded and to
 * read its configuration than this takes for all that invoke has to hash.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "etlfs/image/image.h"

#define BLOCK	64

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t right(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void schedule(uint32_t w[64], const uint8_t *p)
{
	for (int i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		       (uint32_t)p[2] << 8 | p[3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (right(a, 7) ^ right(a, 18) ^ a >> 3) +
		       w[i - 7] + (right(b, 17) ^ right(b, 19) ^ b >> 10);
	}
}

static void block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64], v[8], t1, t2;

	schedule(w, p);
	memcpy(v, h, sizeof(v));
	for (int i = 0; i < 64; i++) {
		uint32_t a = v[0], e = v[4];

		t1 = v[7] + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) +
		     ((e & v[5]) ^ (~e & v[6])) + k[i] + w[i];
		t2 = (right(a, 2) ^ right(a, 13) ^ right(a, 22)) +
		     ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h[i] += v[i];
}

/* the rest of a text of len bytes, a one, and how many bits there were */
static void end(uint32_t h[8], const uint8_t *p, uint64_t len)
{
	uint8_t last[2 * BLOCK] = { 0 };
	size_t n = len % BLOCK, size = n + 9 > BLOCK ? 2 * BLOCK : BLOCK;

	if (n)
		memcpy(last, p, n);
	last[n] = 0x80;
	for (int i = 0; i < 8; i++)
		last[size - 1 - i] = (uint8_t)(len * 8 >> 8 * i);
	for (size_t i = 0; i < size; i += BLOCK)
		block(h, last + i);
}

int image_sha256(const void *data, size_t len, char *out)
{
	uint32_t h[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};
	const uint8_t *p = data;
	size_t whole = len - len % BLOCK;

	for (size_t i = 0; i < whole; i += BLOCK)
		block(h, p + i);
	end(h, p + whole, len);
	for (int i = 0; i < 8; i++)
		sprintf(out + 8 * i, "%08x", h[i]);
	return 0;
}
