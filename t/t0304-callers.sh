#!/bin/sh
# callers who hold what there is for all: those of another function are served
# all the while, and those of the same one before these let go
. "$(dirname "$0")/lib.sh"
need_tender
need_python
bake_or_end echo hostile

# among NAME ATTACK: see callers.py
among() {
	"$python" "$t/callers.py" "$url" "$2" >"$tmp/out" 2>&1
	is "$1: an innocent caller is served" "$(sed -n 1p "$tmp/out")" \
		'40 served, 0 refused'
	is "$1: the function itself is not shut" "$(sed -n 2p "$tmp/out")" \
		'hostile: open'
}

serve_or_end "$tmp/echo.usetl" "$tmp/hostile.usetl"
among "135 bodies that are announced" announce
among "150 bodies but for their last byte" send
among "90 answers of 6 MB that are not read" untaken
nofile=$(sed -n 's/^Max open files *\([0-9]*\) *\([0-9]*\) .*/\2/p' \
	"/proc/$serve_pid/limits")
if test "$nofile" -ge 16384; then
	among "4,200 silent connections" silent
	is "4,200 silent connections: they are closed in the end" "$(sed -n 3p "$tmp/out")" \
		'the last of them: closed'
	among "4,200 heads that do not end" slow_heads
	among "4,200 bodies that do not end" slow_bodies
else
	skip "4,200 connections" "at most $nofile descriptors"
fi
stop_serve
is "and it ends as ever" "$serve_status" 0

# fewer places
cat >"$tmp/usetl.conf" <<END
[limits]
connections = 100
[function echo]
image = $tmp/echo.usetl
[function hostile]
image = $tmp/hostile.usetl
END
serve_or_end -c "$tmp/usetl.conf"
among "more bodies than 100 places" announce
stop_serve
plan
