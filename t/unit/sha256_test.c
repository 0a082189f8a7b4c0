/* sha256_test.c - digests of texts, and of files that are shorter */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/sha256.h"
#include "t/unit/tap.h"

#define ABC	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define NONE	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

int main(void)
{
	static char much[3 << 20];
	char got[SHA256_HEX], want[SHA256_HEX];
	FILE *f = tmpfile();
	int fd = f ? fileno(f) : -1, rc;

	sha256_text("abc", 3, got);
	ok(!strcmp(got, ABC), "a text's is that of FIPS 180-4: %s", got);
	sha256_text("", 0, got);
	ok(!strcmp(got, NONE), "of nothing, too: %s", got);

	memset(much, 'x', sizeof(much));
	memcpy(much + 7, "abc", 3);
	if (write(fd, much, sizeof(much)) != sizeof(much))
		return 1;
	rc = sha256_file(fd, 7, 3, got);
	ok(rc == 0 && !strcmp(got, ABC), "a part of a file: %d", rc);
	sha256_text(much, sizeof(much), want);
	rc = sha256_file(fd, 0, sizeof(much), got);
	ok(rc == 0 && !strcmp(got, want), "a file of 3 MB: %d", rc);
	rc = sha256_file(fd, 0, sizeof(much) + 1, got);
	ok(rc == -EBADMSG, "one that is shorter: %d", rc);
	rc = sha256_file(-1, 0, 1, got);
	ok(rc == -EBADF, "none: %d", rc);
	return plan();
}
