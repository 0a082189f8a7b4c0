# serve.sh - part of lib.sh: servers, and requests to them
httpd_pid=
serve_pid=

# wait_for FILE PATTERN PID: until a line matches; 1 when the process ended
# before that, or after two minutes
wait_for() {
	await said_or_ended "$@"
	grep -Eqs -e "$2" "$1"
}

said_or_ended() {
	grep -Eqs -e "$2" "$1" || ! kill -0 "$3" 2>/dev/null
}

# start_httpd [PROGRAM]: the test's HTTP server, t/httpd.py or another of t/; its
# port in $port, its URL in $http
start_httpd() {
	: >"$tmp/httpd.out"
	"$python" "$t/${1:-httpd.py}" >>"$tmp/httpd.out" 2>"$tmp/httpd.err" &
	httpd_pid=$!
	if ! wait_for "$tmp/httpd.out" '[0-9]' "$httpd_pid"; then
		fail "the test's HTTP server starts" "$tmp/httpd.err"
		plan
	fi
	port=$(grep -Eo '[0-9]+' "$tmp/httpd.out" | tail -n 1)
	http=http://127.0.0.1:$port
}

stop_httpd() {
	test -n "$httpd_pid" || return 0
	kill "$httpd_pid" 2>/dev/null
	wait "$httpd_pid" 2>/dev/null
	httpd_pid=
}

# start_serve [OPTION...] IMAGE...: on a free port; $url; 1 when it ends
start_serve() {
	# emptied first: what an earlier one said is not this one's
	: >"$tmp/serve.out"
	: >"$tmp/serve.err"
	url=
	"$usetl" serve -l 127.0.0.1:0 "$@" \
		>>"$tmp/serve.out" 2>>"$tmp/serve.err" &
	serve_pid=$!
	await listens_or_ended
	test -n "$url"
}

listens_or_ended() {
	kill -0 "$serve_pid" 2>/dev/null
	ended=$?
	url=$(cat "$tmp/serve.out" "$tmp/serve.err" |
		sed -n 's,.*listening on \(http://[^ ]*[0-9]\).*,\1,p')
	test -n "$url" || test $ended != 0
}

# find_url: the same, from what it has open, where nobody reads what it says
find_url() {
	url=
	await has_url || fail "serve listens"
}

has_url() {
	# shellcheck disable=SC2012
	inodes=$(ls -l "/proc/$serve_pid/fd" 2>/dev/null |
		sed -n 's/.* socket:\[\([0-9]*\)\]$/\1/p' | tr '\n' ' ')
	hex=$(awk -v inodes="$inodes" '
	BEGIN { n = split(inodes, a); while (n) own[a[n--]] }
	$4 == "0A" && $10 in own { sub(/.*:/, "", $2); print $2; exit }
	' /proc/net/tcp)
	test -n "$hex" && url=http://127.0.0.1:$((0x$hex))
}

serve_or_end() {
	if ! start_serve "$@"; then
		fail "serve starts" "$tmp/serve.err"
		plan
	fi
}

# stop_serve: by SIGTERM; its exit status in $serve_status
stop_serve() {
	test -n "$serve_pid" || return 0
	kill "$serve_pid" 2>/dev/null
	wait "$serve_pid" 2>/dev/null
	serve_status=$?
	serve_pid=
}

# await_serve: until whoever is $serve_pid answers at $url, or has ended
await_serve() {
	await answers_or_ended
}

answers_or_ended() {
	curl -sS -m 5 "$url/healthz" >"$tmp/out" 2>"$tmp/err" ||
		! kill -0 "$serve_pid" 2>/dev/null
}

# said_times PATTERN N: the server has, so often
said_times() {
	test "$(grep -c "$1" "$tmp/serve.err")" -ge "$2"
}

# like_soon NAME FILE PATTERN: like(), of a log: its lines come when they do
like_soon() {
	await grep -Eqs -e "$3" "$2"
	like "$@"
}

# call NAME EVENT [CURL OPTION...]: body in $tmp/out, status in $status
call() {
	call_name=$1 event=$2
	shift 2
	status=$(curl -sS -m 60 -o "$tmp/out" -D "$tmp/head" \
		-w '%{http_code}' "$@" -d "$event" \
		"$url/function/$call_name" 2>"$tmp/err")
}

# begin NAME EVENT: a request in the background, until it runs; $curl_pid,
# its status in $tmp/slow and its body in $tmp/slow.out.  One that is over
# before it is seen to run is a failure: what follows would test nothing
begin() {
	: >"$tmp/slow"
	curl -sS -m 60 -o "$tmp/slow.out" -w '%{http_code}' -d "$2" \
		"$url/function/$1" >"$tmp/slow" 2>"$tmp/slow.err" &
	curl_pid=$!
	await busy_or_answered
	test ! -s "$tmp/slow" || fail "$1 is seen to run" "$tmp/slow.out"
}

busy_or_answered() {
	test -s "$tmp/slow" || a_clone_is_busy
}

# await_busy: until a clone, or some, has a request
await_busy() {
	await a_clone_is_busy
}

a_clone_is_busy() {
	curl -sS "$url/function" | grep -q '"busy": [1-9]'
}
