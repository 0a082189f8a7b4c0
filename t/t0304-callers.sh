#!/bin/sh
# callers who hold what there is for all: those of another function are served
# all the while, and those of the same one before these let go
# shellcheck disable=SC2030,SC2031
. "$(dirname "$0")/lib.sh"
need_tender
need_python
bake_or_end echo hostile

apart_pids=
end_apart() {
	# shellcheck disable=SC2086
	test -z "$apart_pids" || kill $apart_pids 2>/dev/null
	cleanup
}
trap end_apart EXIT

# found NAME FILE: what callers.py said
found() {
	is "$1: an innocent caller is served" "$(sed -n 1p "$2")" \
		'40 served, 0 refused'
	is "$1: the function itself is not shut" "$(sed -n 2p "$2")" \
		'hostile: open'
}

# among NAME ATTACK: see callers.py
among() {
	"$python" "$t/callers.py" "$url" "$2" >"$tmp/out" 2>&1
	found "$1" "$tmp/out"
}

# apart ATTACK OPTION...: among callers of another server, beside what follows.
# For attacks that last until a body's minute is over
apart() {
	mkdir "$tmp/$1"
	(
		tmp=$tmp/$1
		attack=$1
		shift
		trap stop_serve EXIT
		trap 'exit 1' INT TERM HUP
		start_serve "$@" || exit
		"$python" "$t/callers.py" "$url" "$attack" >"$tmp/out" 2>&1
		stop_serve
		echo "$serve_status" >"$tmp/status"
	) &
	apart_pids="$apart_pids $!"
}

serve_or_end "$tmp/echo.usetl" "$tmp/hostile.usetl"
nofile=$(sed -n 's/^Max open files *\([0-9]*\) *\([0-9]*\) .*/\2/p' \
	"/proc/$serve_pid/limits")
many=
test "$nofile" -lt 16384 || many=1

# fewer places
cat >"$tmp/usetl.conf" <<END
[limits]
connections = 100
[function echo]
image = $tmp/echo.usetl
[function hostile]
image = $tmp/hostile.usetl
END
apart announce -c "$tmp/usetl.conf"
test -z "$many" || apart slow_bodies "$tmp/echo.usetl" "$tmp/hostile.usetl"

among "135 bodies that are announced" announce
among "150 bodies but for their last byte" send
among "90 answers of 6 MB that are not read" untaken
if test -n "$many"; then
	among "4,200 silent connections" silent
	is "4,200 silent connections: they are closed in the end" "$(sed -n 3p "$tmp/out")" \
		'the last of them: closed'
	among "4,200 heads that do not end" slow_heads
else
	skip "4,200 connections" "at most $nofile descriptors"
fi
stop_serve
is "after all callers, SIGTERM ends serve with 0" "$serve_status" 0

# shellcheck disable=SC2086
wait $apart_pids
apart_pids=
found "more bodies than 100 places" "$tmp/announce/out"
is "more bodies than 100 places: the server ends as ever" \
	"$(cat "$tmp/announce/status")" 0
if test -n "$many"; then
	found "4,200 bodies that do not end" "$tmp/slow_bodies/out"
	is "4,200 bodies that do not end: the server ends as ever" \
		"$(cat "$tmp/slow_bodies/status")" 0
fi
plan
