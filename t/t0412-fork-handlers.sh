#!/bin/sh
# what runs between a clone's fork and its request, and goes wrong there
. "$(dirname "$0")/lib.sh"
need_python
need_usetl
command -v curl >/dev/null || skip_all "no curl"
kinds="none raise fork fetch print hang spin exit crash runon slow \
	threads"

# once, for both tenders
if test -z "${ATFORK_IMAGES:-}"; then
	ATFORK_IMAGES=$tmp
	export ATFORK_IMAGES
	take_layers
	for kind in $kinds; do
		copy_function atfork "$kind"
		printf '[environment]\nATFORK = %s\n' "$kind" \
			>>"$tmp/src/$kind/function.ini"
		ok "bake $kind" "$usetl" bake --no-check \
			-o "$tmp/$kind.usetl" "$tmp/src/$kind"
	done
	test "$failed" = 0 || plan
fi
need_tender

printf '[pool]\nmin = 1\nmax = 1\n' >"$tmp/usetl.conf"
for kind in $kinds; do
	printf '[function %s]\nimage = %s\n' "$kind" \
		"$ATFORK_IMAGES/$kind.usetl" >>"$tmp/usetl.conf"
done
sed -i '/^\[function slow\]/a timeout = 60s' "$tmp/usetl.conf"
printf '[function keep]\nimage = %s\nrecycle = keep\n' \
	"$ATFORK_IMAGES/raise.usetl" >>"$tmp/usetl.conf"
# every byte and register is compared after each rollback
USETL_VERIFY=1
export USETL_VERIFY
serve_or_end -c "$tmp/usetl.conf"

# lines PATTERN N: how many of the log match, once there are N
lines() {
	await said_times "$1" "$2"
	grep -c "$1" "$tmp/serve.err"
}

# three KIND [EVENT]: requests; what they answered is in $tmp/out, a list
three() {
	for i in 1 2 3; do
		call "$1" "${2:-{\}}"
		echo "$status" >>"$tmp/statuses"
		cp "$tmp/out" "$tmp/answer.$i"
	done
	"$python" -c 'import json, sys
json.dump([json.load(open(f)) for f in sys.argv[1:]], sys.stdout)' \
		"$tmp/answer.1" "$tmp/answer.2" "$tmp/answer.3" >"$tmp/out"
	is "$1: three requests are answered" \
		"$(tail -n 3 "$tmp/statuses" | tr '\n' ' ')" "200 200 200 "
}

each() {
	is "$1: each is another process" \
		"$(json 'len({x["pid"] for x in d} | {x["warm"]["pid"]
			for x in d})')" 4
	is "$1: its thread has its number" \
		"$(json '[x["pid"] == x["tid"] and x["main"] for x in d]')" \
		'[true, true, true]'
	is "$1: with randomness of its own" \
		"$(json 'len({x["random"] for x in d} | {x["warm"]["random"]
			for x in d})')" 4
	is "$1: pages are wiped for each" \
		"$(json '[x["wiped"] for x in d]')" '[true, true, true]'
}

# handlers PREPARED: that many forks were tried, the last was READY's
handlers() {
	three "$1"
	each "$1"
	is "$1: handlers run once for each, Python's and C's" \
		"$(json '[[x["count"][k] for k in ("child", "c")]
			for x in d]')" '[[1, 1], [1, 1], [1, 1]]'
}

handlers none
is "none: once before the fork, never in the parent" \
	"$(json '[[x["count"][k] for k in ("before", "prepared", "parent")]
		for x in d]')" '[[1, 1, 0], [1, 1, 0], [1, 1, 0]]'

handlers raise
is "raise: a line of it before the fork, and one for each child" \
	"$(lines "^raise: usetl: fork handler 'raises' raised ValueError: on purpose (/app/app\.py, line [0-9]*)$" 4)" 4
is "raise: no other line" "$(lines '^raise: ' 4)" 4

# one child, whose requests all are
call keep '{}'
call keep '{}'
is "keep: the second request is answered" "$status" 200
is "keep: handlers ran for the first" "$(json 'd["count"]["child"]')" 1
is "keep: a handler that raises ran for the first" \
	"$(lines '^keep: usetl: fork handler' 2)" 2

# a module that forks is refused, and READY is a fork all the same
all='{"fork": 38, "multiprocessing, fork": 38, "multiprocessing, spawn": 38, "subprocess": 38}'
handlers fork
is "fork: processes are refused in warm-up" \
	"$(json 'd[0]["warm"]["processes"]')" "$all"
is "fork: refused processes are said in one line" \
	"$(lines '^fork: usetl: processes are not' 1)" 1
three none '{"processes": true}'
is "none: processes are refused in requests" \
	"$(json '[x["processes"] for x in d]')" "[$all, $all, $all]"
is "none: refused processes are said in a line for each" \
	"$(lines '^none: usetl: processes are not' 3)" 3

# what a handler does is the request's
handlers fetch
is "fetch: a fork handler has no network, which a line says" \
	"$(lines '^fetch: usetl: a fork handler cannot fetch: ' 3)" 3
is "fetch: the handler's exception is a line" \
	"$(lines "^fetch: usetl: fork handler 'fetches' raised Error: GET " 3)" 3
handlers print
await said_times '^print: in the child' 3
is "print: what a handler prints is in the log" \
	"$(json 'sorted(x["pid"] for x in d)')" \
	"$(sed -n 's/^print: in the child //p' "$tmp/serve.err" | sort -n |
		tr '\n' ' ' | sed 's/ $//; s/ /, /g; s/.*/[&]/')"

# threads that live are kept, and most handlers are not run then
three threads
each threads
is "threads: they go on, and so does a pool of them" \
	"$(json '[x["pool"] == x["warm"]["pool"] == [i * i for i in range(20)]
		for x in d]')" '[true, true, true]'
is "threads: no fork handler runs" \
	"$(json '[list(x["count"].values()) for x in d]')" \
	'[[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]'
is "threads: the main thread has the process's number, others keep theirs" \
	"$(json '[x["pid"] in x["tids"] and len(set(x["tids"])) == x["alive"]
		for x in d] + [len({str([t for t in x["tids"]
		if t != x["pid"]]) for x in d})]')" '[true, true, true, 1]'

# handlers that never end, or end the process: nobody else is harmed
for kind in hang spin; do
	# side by side with a function that is well
	for i in 1 2; do
		curl -sS -m 60 -o "$tmp/slow.$i" -w '%{http_code}' -d '{}' \
			"$url/function/$kind" >"$tmp/status.$i" \
			2>"$tmp/slow.err" &
		curl_pid=$!
		call none '{}'
		is "$kind: meanwhile another function answers ($i)" \
			"$status" 200
		wait "$curl_pid"
		is "$kind: the request gets 504 ($i)" \
			"$(cat "$tmp/status.$i")" 504
		like "$kind: with where it was ($i)" "$tmp/slow.$i" \
			'app\.py.*line [0-9]+ in '
	done
done
for kind in exit crash; do
	for i in 1 2; do
		call $kind '{}'
		is "$kind: the request gets 502 ($i)" "$status" 502
		if test $kind = exit; then
			like "exit: with its status ($i)" "$tmp/out" \
				'exited with status 3'
		else
			like "crash: with a report ($i)" "$tmp/out" \
				'SIGSEGV.*app\.py.*, line [0-9]+ in crashes'
		fi
	done
done
three none
each none

# a child before its request, while the gateway has yet to hear of the last one's
# end: it sees nothing of that
begin slow '{"sleep": 2, "first": "0123456789abcdef"}'
kill -STOP "$serve_pid"
sleep 3
kill -CONT "$serve_pid"
wait "$curl_pid"
is "slow: the first request is answered" "$(cat "$tmp/slow")" 200
call slow '{"second": 2}'
is "slow: the second request is answered" "$status" 200
is "slow: its child saw nothing of the first" \
	"$(json '["first" in x for x in d["region"]]')" '[false]'

# what it does before its request is not part of run
ok "slow: five runs with pauses" "$usetl" invoke --stats --repeat 5 \
	--pause 500ms "$ATFORK_IMAGES/slow.usetl"
child_us=$(awk '$1 == "child" { print int($2) }' "$tmp/err")
ok "slow: --stats has its time as 'child'" test "${child_us:-0}" -ge 100000

# one that says it waits, and goes on: nobody would look at it any more
if test "$tender" = process; then
	stop_serve
	printf '[pool]\nmin = 1\n[function runon]\nimage = %s\n' \
		"$ATFORK_IMAGES/runon.usetl" >"$tmp/usetl.conf"
	serve_or_end -c "$tmp/usetl.conf"
	is_up() {
		curl -sS "$url/function" | grep -q '"idle": 1'
	}
	for i in 1 2; do
		# a request that is there first would be one that it runs in
		await is_up
		ok "runon: soon nothing of it runs before a request ($i)" \
			idle "$serve_pid"
		call runon '{}'
		is "runon: the request gets 502 ($i)" "$status" 502
		like "runon: the answer says so ($i)" "$tmp/out" 'and ran on'
	done
else
	skip "runon" "a virtual machine waits where its processor does"
fi
plan
