/*
 * entropy.c - the generator: ChaCha20 with fast key erasure
 *
 * Invariants: the key that made an answer is gone before the answer is given
 * (who reads memory later cannot compute earlier output), and no output is
 * made before the tender's latest entropy is in the key (two clones of one
 * snapshot never share output: entropy_gen moves before a clone's first
 * instruction and after every rollback).
 */
#include "unikernel/lib/lib.h"

#define KEY_WORDS	8
#define BLOCK		64

static u32 key[KEY_WORDS];
static u64 seeded_gen;
static int seeded;

static inline u32 rotl(u32 x, int n)
{
	return x << n | x >> (32 - n);
}

static void quarter(u32 *x, int a, int b, int c, int d)
{
	x[a] += x[b]; x[d] = rotl(x[d] ^ x[a], 16);
	x[c] += x[d]; x[b] = rotl(x[b] ^ x[c], 12);
	x[a] += x[b]; x[d] = rotl(x[d] ^ x[a], 8);
	x[c] += x[d]; x[b] = rotl(x[b] ^ x[c], 7);
}

/* RFC 8439 section 2.3; ctr is the block counter and nonce, four words */
static void chacha20_block(const u32 k[8], const u32 ctr[4], u32 out[16])
{
	u32 in[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
	int i;

	memcpy(in + 4, k, 32);
	memcpy(in + 12, ctr, 16);
	memcpy(out, in, BLOCK);
	for (i = 0; i < 10; i++) {
		quarter(out, 0, 4, 8, 12);
		quarter(out, 1, 5, 9, 13);
		quarter(out, 2, 6, 10, 14);
		quarter(out, 3, 7, 11, 15);
		quarter(out, 0, 5, 10, 15);
		quarter(out, 1, 6, 11, 12);
		quarter(out, 2, 7, 8, 13);
		quarter(out, 3, 4, 9, 14);
	}
	for (i = 0; i < 16; i++)
		out[i] += in[i];
}

static void wipe(void *p, size_t len)
{
	memset(p, 0, len);
	__asm__ volatile("" :: "r"(p) : "memory");
}

/* key = F(key, in[0..16)): knowing either one alone does not give it */
static void mix(const u32 in[16])
{
	u32 tmp[16];
	int i;

	for (i = 0; i < KEY_WORDS; i++)
		key[i] ^= in[i];
	chacha20_block(key, in + 8, tmp);
	memcpy(key, tmp, sizeof(key));
	chacha20_block(key, in + 12, tmp);
	memcpy(key, tmp, sizeof(key));
	wipe(tmp, sizeof(tmp));
}

static void reseed(void)
{
	u32 in[16];
	size_t i;

	seeded_gen = uk_ctl->entropy_gen;
	for (i = 0; i < sizeof(in); i++)
		((u8 *)in)[i] = uk_ctl->entropy[i];
	mix(in);
	wipe(in, sizeof(in));
	seeded = 1;
}

void random_bytes(void *buf, size_t len)
{
	u32 ctr[4] = { 0 }, old[KEY_WORDS], block[16];
	u8 *p = buf;
	size_t n;

	if (!seeded || uk_ctl->entropy_gen != seeded_gen)
		reseed();
	memcpy(old, key, sizeof(old));
	chacha20_block(old, ctr, block);
	memcpy(key, block, sizeof(key));
	n = MIN(len, sizeof(block) - sizeof(key));
	memcpy(p, block + KEY_WORDS, n);
	for (p += n, len -= n; len; p += n, len -= n) {
		ctr[0]++;
		chacha20_block(old, ctr, block);
		n = MIN(len, sizeof(block));
		memcpy(p, block, n);
	}
	wipe(old, sizeof(old));
	wipe(block, sizeof(block));
}
