#!/bin/sh
# kabi.sh - Linux's ABI is defined once in the libOS, and as Linux has it
#
# The rule is at the head of unikernel/lib/kabi.h.  What is looked at:
#   - outside unikernel/lib/kabi*.h no macro and no enumerator has a name of
#     Linux's headers, with K_ before it or without, and no structure is k_*;
#   - within them no name is defined twice;
#   - each value is what Linux's headers say, or libc's where Linux's have no
#     such name.
# Every finding is a line, and makes the exit status 1.
set -u

CC=${CC:-cc}
linux='asm/auxvec.h asm/errno.h asm/fcntl.h asm/hwcap2.h asm/ioctls.h
	asm/mman.h asm/poll.h asm/prctl.h asm/resource.h asm/sigcontext.h
	asm/socket.h asm/stat.h asm/ucontext.h
	linux/auxvec.h linux/capability.h linux/close_range.h
	linux/eventpoll.h linux/fadvise.h linux/falloc.h linux/fcntl.h
	linux/fs.h linux/futex.h linux/limits.h linux/magic.h linux/major.h
	linux/membarrier.h linux/memfd.h linux/mman.h linux/prctl.h
	linux/random.h linux/resource.h linux/sched.h linux/signal.h
	linux/stat.h linux/time.h linux/timerfd.h linux/uio.h
	linux/utsname.h linux/wait.h'
libc='dirent.h fcntl.h limits.h sched.h signal.h stdio.h sys/epoll.h
	sys/eventfd.h sys/file.h sys/mman.h sys/resource.h sys/socket.h
	sys/stat.h sys/time.h sys/timerfd.h sys/uio.h sys/wait.h time.h
	unistd.h'
# names that only the kernel's own sources have
kernel='F_SEAL_ALL MAX_NICE MAX_RT_PRIO MAX_RW_COUNT MAXSYMLINKS MIN_NICE
	NSEC_PER_SEC SCM_MAX_FD SOCK_TYPE_MASK ST_NOATIME ST_VALID USER_HZ
	_NSIG'
# newer than the headers of some distributions that usetl is built on
newer='F_SEAL_EXEC MFD_EXEC MFD_NOEXEC_SEAL'
# libc's alone; the libOS has them for what is its own
libcs='^REG_'

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0
say()
{
	echo "kabi: $*" >&2
	bad=1
}

# names of a header's object-like macros, and those of ours that are
# enumerators there
names()
{
	{
		echo "#include <$1>" | $CC -D_GNU_SOURCE -E -dM - |
			sed -n 's/^#define \([A-Za-z_][A-Za-z0-9_]*\) .*/\1/p'
		echo "#include <$1>" | $CC -D_GNU_SOURCE -E -P - |
			tr -c 'A-Za-z0-9_' '\n' | sort -u | comm -12 - "$tmp/all"
	} 2>/dev/null | sort -u | comm -23 - "$tmp/builtin"
}

# names of what a file defines: its macros, and its enumerators
defined()
{
	sed -n 's/^[ 	]*#[ 	]*define[ 	]*\([A-Za-z_0-9]*\).*/\1/p' "$1"
	tr '\n' ' ' <"$1" | grep -o 'enum [a-z_ ]*{[^}]*}' |
		sed 's/^[^{]*{//; s/}$//; s/=[^,]*//g' | tr ',' '\n' |
		sed -n 's/^[ 	]*\([A-Z][A-Z_0-9]*\)[ 	]*$/\1/p'
}

: | $CC -E -dM - | sed 's/^#define \([A-Za-z_0-9]*\).*/\1/' |
	sort -u >"$tmp/builtin"
cat unikernel/lib/kabi*.h | sed -n 's/^#define \([A-Za-z_0-9]*\).*/\1/p' |
	grep -v '^UNIKERNEL_' | sort >"$tmp/all"
for name in $(uniq -d "$tmp/all"); do
	say "$name is defined twice in unikernel/lib/kabi*.h"
done
[ -s "$tmp/all" ] || say "nothing is in unikernel/lib/kabi*.h"

# values, as numbers: a line "NAME (expression)" each, without other names
{
	echo '#include "unikernel/lib/kabi.h"'
	cat unikernel/lib/kabi*.h |
		sed -n 's/^#define \([A-Za-z_0-9]*\)[ 	].*/@\1@ \1/p' |
		sed 's/@\(.*\)@ \(.*\)/"@" "\1" (\2)/'
} | $CC -I. -E -P - | sed -n 's/^"@" "\([^"]*\)" \(.*\)/\1 \2/p' |
	grep -v '^UNIKERNEL_' >"$tmp/values"

# compares with what a header has, after those that it needs itself; leaves
# what was compared in $tmp/done
compare()
{
	h=$1
	shift
	names "$h" >"$tmp/names"
	sort -u "$tmp/names" "$tmp/linux" -o "$tmp/linux"
	sort "$tmp/values" | join - "$tmp/names" >"$tmp/both"
	{
		printf '#include <%s>\n' "$@" "$h"
		sed 's/^\([^ ]*\) \(.*\)/_Static_assert((\1) == \2, "\1");/' \
			"$tmp/both"
	} >"$tmp/check.c"
	$CC -D_GNU_SOURCE -fsyntax-only "$tmp/check.c" 2>"$tmp/err" ||
		say "other than in <$h>: $(grep -m 3 error "$tmp/err")"
	cut -d' ' -f1 "$tmp/both" | sort -u - "$tmp/done" -o "$tmp/done"
}

cp "$tmp/all" "$tmp/linux"
: >"$tmp/done"
for h in $linux; do
	compare "$h" linux/signal.h asm/sigcontext.h
done
# a name of Linux's own headers may be another number in libc
# shellcheck disable=SC2086
printf '%s\n' $kernel | sort - "$tmp/done" >"$tmp/known"
sort "$tmp/values" | join -v 1 - "$tmp/known" >"$tmp/rest"
mv "$tmp/rest" "$tmp/values"
for h in $libc; do
	compare "$h" stddef.h
done
for name in $(cut -d' ' -f1 "$tmp/values" | sort -u |
		comm -23 - "$tmp/done"); do
	case " $newer " in
	*" $name "*) ;;
	*)	say "$name is not a name of Linux's headers:" \
		"is its header in the list of t/kabi.sh?" ;;
	esac
done

for f in unikernel/*.h unikernel/*/*.[chS]; do
	case $f in unikernel/lib/kabi*) continue ;; esac
	for name in $(defined "$f" | sed 's/^K_//' | sort -u |
			comm -12 - "$tmp/linux" | grep -Ev "$libcs"); do
		say "$f defines $name, which belongs to unikernel/lib/kabi*.h"
	done
	grep -q '^struct k_[a-z_0-9]* {' "$f" &&
		say "$f defines structures of unikernel/lib/kabi*.h"
done
exit $bad
