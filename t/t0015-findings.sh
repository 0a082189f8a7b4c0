#!/bin/sh
# t/findings.sh: what a sanitizer finds, also where nobody reads what is said
# and in a process that may open nothing, is a failure
. "$(dirname "$0")/lib.sh"
cc=${CC:-cc}
command -v "$cc" >/dev/null || skip_all "no C compiler"

cat >"$tmp/prog.c" <<'END'
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rlimit none = { 0, 0 };
	volatile int n = argc > 2 ? INT_MAX : 4;
	volatile char *p;

	/* in a grandchild that can open nothing; its end is not looked at */
	close(2);
	if (fork() == 0) {
		setrlimit(RLIMIT_NOFILE, &none);
		p = malloc((size_t)(n & 4));
		if (!strcmp(argv[1], "heap"))
			p[n & 4] = 1;
		if (!strcmp(argv[1], "overflow"))
			n++;
		free((void *)p);
		_exit(0);
	}
	wait(NULL);
	return 3;
}
END
san="-g -fsanitize=address,undefined -fno-sanitize-recover=all"
# shellcheck disable=SC2086
"$cc" $san -o "$tmp/prog" "$tmp/prog.c" "$t/findings.c" 2>"$tmp/err" ||
	skip_all "$cc has no sanitizers"

fails "nothing found: the command's own status" 3 \
	sh "$t/findings.sh" "$tmp/prog" none
fails "a byte too far" 1 sh "$t/findings.sh" "$tmp/prog" heap
like "a byte too far: what it was" \
	"$tmp/err" 'AddressSanitizer: heap-buffer-overflow'
like "a byte too far: where" "$tmp/err" 'prog\.c:2[0-9]'
fails "an overflow" 1 sh "$t/findings.sh" "$tmp/prog" overflow x
like "an overflow: what it was, and where" \
	"$tmp/err" 'prog\.c:2[0-9].*signed integer overflow'
plan
