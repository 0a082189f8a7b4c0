#!/bin/sh
# a function that asks the gateway for more than it can want is heard more
# slowly, and other functions are served meanwhile; nothing is dropped
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v "${CC:-cc}" >/dev/null || skip_all "no C compiler"
command -v curl >/dev/null || skip_all "no curl"
start_httpd
bake_or_end echo
bake_native_or_end asks asks
serve_or_end "$tmp/asks.usetl" "$tmp/echo.usetl"

event() {
	printf '{"asks": %s, "url": "%s/in.csv"}' "$1" "$http"
}

call asks "$(event 0)"
is "a function that asks nothing is answered" \
	"$status $(json 'd["begun"]')" '200 0'
text=$(json 'd["text"]')
# 128, and 2,000 a second; the tender's clock and the guest's differ a little
call asks '{"rings": 1000}'
is "a function's tender hears it 2,000 times a second" \
	"$status $(json 'd > 0.43')" '200 true'
pids=
for i in 1 2 3 4; do
	curl -sS -m 100 -o "$tmp/flood.$i" -d "$(event 1000)" \
		"$url/function/asks" 2>"$tmp/err.$i" &
	pids="$pids $!"
done
await_busy
: >"$tmp/statuses"
for i in 1 2 3 4 5 6 7 8 9 10; do
	call echo "[$i]"
	echo "$status $(cat "$tmp/out")" >>"$tmp/statuses"
done
is "a flood: another function is served meanwhile" \
	"$(tr '\n' ' ' <"$tmp/statuses")" \
	"$(for i in 1 2 3 4 5 6 7 8 9 10; do printf '200 [%s] ' "$i"; done)"
# shellcheck disable=SC2086
wait $pids
for i in 1 2 3 4; do
	cp "$tmp/flood.$i" "$tmp/out"
	is "flood $i: all of it was begun, and what came after was answered" \
		"$(json '[d["begun"], d["text"]]')" "[1000, $text]"
done
stop_serve

# without end: until its time is over, and no longer
sed -i 's/^timeout.*/timeout = 2s/' "$tmp/src/asks/function.ini"
ok "bake asks, for two seconds" "$usetl" bake -o "$tmp/asks.usetl" \
	"$tmp/src/asks"
serve_or_end "$tmp/asks.usetl" "$tmp/echo.usetl"
for i in 1 2 3 4; do
	curl -sS -m 100 -o "$tmp/body.$i" -w '%{http_code}\n' -d "$(event -1)" \
		"$url/function/asks" >"$tmp/end.$i" 2>"$tmp/err.$i" &
	eval "pid$i=\$!"
done
call echo '[11]'
is "a flood without end: another function is served" \
	"$status $(cat "$tmp/out")" '200 [11]'
# shellcheck disable=SC2154
wait "$pid1" "$pid2" "$pid3" "$pid4"
is "a flood without end: each request ends by its timeout" \
	"$(cat "$tmp/end."* | tr '\n' ' ')" "504 504 504 504 "
test "$failed" = 0 || sed 's/^/# /' "$tmp"/body.* "$tmp/serve.err"
call asks "$(event 0)"
is "a flood without end: the next request" "$status $(json 'd["text"]')" \
	"200 $text"

# wakes of a tender that mean nothing: it does not listen to them for long
# (one that did was woken 74,396 times in a request, one that naps 800 to 1,600)
if test "$tender" = process; then
	# slept: each tender, and how often it has slept
	slept() {
		for p in $(processes usetl-clone); do
			echo "$p $(sed -n 's/^voluntary[^0-9]*//p' \
				"/proc/$p/status" 2>/dev/null)"
		done
	}
	slept >"$tmp/before"
	curl -sS -m 100 -o /dev/null -w '%{http_code}\n' \
		-d '{"wakes": 1880186880}' "$url/function/asks" >"$tmp/end.1" &
	curl_pid=$!
	# all the while, as it ends with its request
	: >"$tmp/meanwhile"
	while kill -0 "$curl_pid" 2>/dev/null; do
		slept >>"$tmp/meanwhile"
		sleep 0.1
	done
	woken=$(awk 'NR == FNR { before[$1] = $2; next }
		$2 - before[$1] > most { most = $2 - before[$1] }
		END { print most }' "$tmp/before" "$tmp/meanwhile")
	ok "wakes without end: $woken times is the tender woken" \
		test "${woken:-9999}" -lt 2500
	wait "$curl_pid"
	is "wakes without end: the request ends by its timeout" \
		"$(cat "$tmp/end.1")" 504
	call asks "$(event 0)"
	is "wakes without end: the next request" \
		"$status $(json 'd["text"]')" "200 $text"
fi
plan
