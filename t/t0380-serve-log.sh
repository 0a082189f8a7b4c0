#!/bin/sh
# serve goes on when nobody reads what it and its functions print
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end hostile

listen=127.0.0.1:$("$python" -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
url=http://$listen

# flood NAME: three requests that print 900 KB each, then a quiet one
flood() {
	for n in 1 2 3; do
		call hostile '{"do": "log", "bytes": 900000}' -m 20
		is "$1: a request that prints a lot ($n)" "$status" 200
	done
	call hostile '{"do": "nothing"}' -m 20
	is "$1: the next one" "$status $(json d)" '200 {"fine": true}'
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
"$usetl" serve -l "$listen" "$tmp/hostile.usetl" 2>"$tmp/pipe" &
serve_pid=$!
await_serve
flood "nobody reads standard error"
cat <"$tmp/pipe" >"$tmp/read" &
cat_pid=$!
i=0
until grep -q 'lines lost' "$tmp/read" || test $i -ge 100; do
	i=$((i + 1))
	sleep 0.1
done
slow='[0-9]+ lines lost: nobody read them in time'
like "a reader that comes hears how much it missed" "$tmp/read" \
	"^usetl serve: function 'hostile': $slow\$"
like "and what was kept" "$tmp/read" '^usetl serve: listening on'
call hostile '{"do": "log", "bytes": 2000}'
i=0
until test "$(tail -n 1 "$tmp/read" | cut -c 1-9)" = 'hostile: ' ||
	test $i -ge 100
do
	i=$((i + 1))
	sleep 0.1
done
is "and what comes after" "$(tail -n 1 "$tmp/read" | cut -c 1-9)" 'hostile: '
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
fails "a pipe without a reader is no log" 1 "$usetl" serve -l "$listen" \
	-c "$tmp/usetl.conf"
like "and that is said" "$tmp/err" "cannot open log '.*/pipe'"
sleep 600 <"$tmp/pipe" &
httpd_pid=$!
# somebody has to have it open for reading first
exec 9>"$tmp/pipe"
"$usetl" serve -l "$listen" -c "$tmp/usetl.conf" 2>"$tmp/serve.err" 9>&- &
serve_pid=$!
await_serve
exec 9>&-
flood "nobody reads the log"
stop "nobody reads the log"
plan
