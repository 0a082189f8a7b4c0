#!/bin/sh
# serve goes on when nobody reads what it and its functions print
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end hostile

# flood NAME: three requests that print 900 KB each, then a quiet one
flood() {
	for n in 1 2 3; do
		call hostile '{"do": "log", "bytes": 900000}'
		is "$1: a request that prints a lot ($n)" "$status" 200
	done
	call hostile '{"do": "nothing"}'
	is "$1: a quiet request after those" \
		"$status $(json d)" '200 {"fine": true}'
}

stop() {
	kill "$serve_pid"
	wait "$serve_pid"
	is "$1: SIGTERM ends serve with 0" $? 0
	serve_pid=
}

mkfifo "$tmp/pipe"
sleep 600 <"$tmp/pipe" &
httpd_pid=$!			# lib.sh's to end
"$usetl" serve -l 127.0.0.1:0 "$tmp/hostile.usetl" 2>"$tmp/pipe" &
serve_pid=$!
find_url
await_serve
flood "nobody reads standard error"
cat <"$tmp/pipe" >"$tmp/read" &
cat_pid=$!
slow='[0-9]+ lines lost: nobody read them in time'
like_soon "a reader that comes hears how much it missed" "$tmp/read" \
	"^usetl serve: function 'hostile': $slow\$"
like_soon "a reader that comes hears what was kept" \
	"$tmp/read" '^usetl serve: listening on'
call hostile '{"do": "log", "bytes": 2000}'
last() {
	last=$(tail -n 1 "$tmp/read" | cut -c 1-9)
	test "$last" = 'hostile: '
}
await last
is "a reader that comes hears what comes after" "$last" 'hostile: '
kill "$cat_pid"
stop_httpd
flood "the reader is gone"
stop "the reader is gone"

# the log of its own, which nobody reads either
cat >"$tmp/usetl.conf" <<END
[serve]
log = $tmp/pipe
[function hostile]
image = $tmp/hostile.usetl
END
fails "a pipe without a reader is no log" 1 "$usetl" serve \
	-l 127.0.0.1:0 -c "$tmp/usetl.conf"
like "a pipe without a reader is no log: what is said" \
	"$tmp/err" "cannot open log '.*/pipe'"
sleep 600 <"$tmp/pipe" &
httpd_pid=$!
# somebody has to have it open for reading first
exec 9>"$tmp/pipe"
"$usetl" serve -l 127.0.0.1:0 -c "$tmp/usetl.conf" 2>"$tmp/serve.err" 9>&- &
serve_pid=$!
find_url
await_serve
exec 9>&-
flood "nobody reads the log"
stop "nobody reads the log"
plan
