#!/bin/sh
# processes that are killed from outside, or refuse their rollback: what is
# said of them, and requests that had not begun are run all the same
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end hostile

served() {
	call hostile '{"do": "nothing"}'
	is "$1" "$status $(json d)" '200 {"fine": true}'
}

cat >"$tmp/usetl.conf" <<END
[pool]
min = 1
max = 1
[function hostile]
image = $tmp/hostile.usetl
timeout = 60s
END
serve_or_end -c "$tmp/usetl.conf"
served "to begin with"

# guests that are processes
if test "$tender" = process; then
	for sig in KILL TERM; do
		begin hostile '{"do": "loop"}'
		kill "-$sig" "$(process usetl-guest)"
		wait "$curl_pid"
		cp "$tmp/slow.out" "$tmp/out"
		is "SIG$sig to a busy guest: 502" "$(cat "$tmp/slow")" 502
		is "SIG$sig to a busy guest: its type" \
			"$(json 'd["errorType"]')" '"Runtime.Killed"'
		like "SIG$sig to a busy guest: by which signal" "$tmp/out" \
			"killed from outside.*signal [0-9]*, SIG$sig"
		unlike "SIG$sig to a busy guest: it broke nothing" "$tmp/out" \
			broke
		served "SIG$sig to a busy guest: the next request"
		guest=$(process usetl-guest)
		kill "-$sig" "$guest"
		gone "$guest" >"$tmp/why"
		served "SIG$sig to an idle guest: the next request"
	done
	begin hostile '{"do": "loop"}'
	kill -SEGV "$(process usetl-guest)"
	wait "$curl_pid"
	is "a fault is the function's own: 502" "$(cat "$tmp/slow")" 502
	served "a fault is the function's own: the next request"
else
	skip "guests that are killed" "a virtual machine is its tender's"
fi
begin hostile '{"do": "loop"}'
kill -9 "$(process usetl-clone)"
wait "$curl_pid"
is "a busy clone is killed: 502" "$(cat "$tmp/slow")" 502
unlike "a busy clone is killed: it broke nothing" "$tmp/slow.out" broke
served "a busy clone is killed: the next request"

# references, one after the other: requests wait
was=$(process usetl-ref)
kill -9 "$was"
curl -sS -m 60 -o "$tmp/slow.out" -w '%{http_code}' -d '{"do": "nothing"}' \
	"$url/function/hostile" >"$tmp/slow" 2>"$tmp/slow.err" &
curl_pid=$!
for i in 1 2 3 4; do
	next_process usetl-ref "$was"
	was=$found
	kill -9 "$was"
done
wait "$curl_pid"
is "five references are killed, one after the other: the request waits" \
	"$(cat "$tmp/slow")" 200
unlike "five references are killed: it has not failed" "$tmp/serve.err" \
	'cannot boot'
served "five references are killed: the next request"

# why a clone cannot be made
as_clone=
test "$(id -u)" != 0 ||
	as_clone="setpriv --reuid=65534 --regid=65534 --clear-groups"
ref=$(process usetl-ref)
# what it is asked by has room, which takes two, and nothing that it opens then
limit=0 room=0
while test $room -lt 2; do
	test -e "/proc/$ref/fd/$limit" || room=$((room + 1))
	limit=$((limit + 1))
done
# shellcheck disable=SC2086
if $as_clone prlimit --pid "$ref" --nofile=$limit:$limit 2>/dev/null
then
	: >"$tmp/serve.err"
	kill -9 "$(process usetl-clone)"
	ok "a clone cannot be made: which part of it, and why" wait_for \
		"$tmp/serve.err" 'cannot clone: cannot (make|start) [^:]*: Too many open files$' \
		"$serve_pid"
	kill -9 "$(process usetl-ref)"
	served "a clone cannot be made: but by another reference"
else
	skip "a clone cannot be made" "no prlimit of another process"
fi
stop_serve

# those that answer and then refuse their rollback, among others' requests
if command -v "${CC:-cc}" >/dev/null && bake_native machine attack; then
	printf '[function machine]\nimage = %s\ntimeout = 20s\n' \
		"$tmp/machine.usetl" >"$tmp/usetl.conf"
	serve_or_end -c "$tmp/usetl.conf"
	# evil: they answer, or die, as they like
	for n in 1 2; do
		for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
			curl -sS -m 60 -o /dev/null -d \
				'{"do": "run_on", "at": 0}' \
				"$url/function/machine" 2>/dev/null
		done &
		eval "evil$n=\$!"
	done
	: >"$tmp/innocent"
	for n in 1 2 3; do
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
			curl -sS -m 60 -o /dev/null -w '%{http_code}\n' \
				-d '{"do": "state"}' "$url/function/machine" \
				>>"$tmp/innocent" 2>/dev/null
		done &
		eval "good$n=\$!"
	done
	# shellcheck disable=SC2154
	wait "$evil1" "$evil2" "$good1" "$good2" "$good3"
	is "rollbacks are refused: no other request is lost" \
		"$(sort "$tmp/innocent" | uniq -c | tr -s ' ')" " 45 200"
	diag "$(grep -c 'was lost' "$tmp/serve.err") clones were lost"
else
	skip "rollbacks are refused" "no C compiler"
fi
plan
