#!/bin/sh
# tender.sh COMMAND...: when USETL_TENDER is process, as on a machine that has
# no /dev/kvm: in a mount namespace of its own, whose /dev has what else is
# needed.  Only root can do that; others run the command as it is.
# shellcheck disable=SC2016
hide='d=$(mktemp -d) && mount -t tmpfs -o mode=755 none "$d" || exit 125
for f in null zero full random urandom tty; do
	test ! -e "/dev/$f" || { : >"$d/$f" &&
		mount --bind "/dev/$f" "$d/$f"; } || exit 125
done
for f in pts shm; do
	test ! -d "/dev/$f" || { mkdir "$d/$f" &&
		mount --rbind "/dev/$f" "$d/$f"; } || exit 125
done
mknod -m 666 "$d/ptmx" c 5 2 && ln -s /proc/self/fd "$d/fd" && ln -s fd/0 "$d/stdin" &&
	ln -s fd/1 "$d/stdout" && ln -s fd/2 "$d/stderr" &&
	mount --move "$d" /dev && rmdir "$d" && exec "$@"'
if test "${USETL_TENDER:-}" = process && test -e /dev/kvm &&
    test "$(id -u)" = 0 && unshare -m true 2>/dev/null; then
	exec unshare -m sh -c "$hide" sh "$@"
fi
exec "$@"
