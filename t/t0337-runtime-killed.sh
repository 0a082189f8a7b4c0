#!/bin/sh
# a runtime that functions share is killed, short of descriptors, or replaced;
# one of its functions is altered: the others go on
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end echo

# slow: it says that it warms up, and is ready when it was told so
mkdir -p "$tmp/src/slow"
cat >"$tmp/src/slow/app.py" <<'END'
import time
print("it warms up", flush=True)
end = time.monotonic() + 3
while time.monotonic() < end:
    time.sleep(0.05)

def handler(event, context):
    return event
END
cat >"$tmp/src/slow/function.ini" <<'END'
[function]
name    = slow
handler = app.handler
memory  = 64M
END
ok "bake slow" "$usetl" bake -o "$tmp/slow.usetl" "$tmp/src/slow"

# conf LINES NAME...: functions, slow ones by their name
conf() {
	printf '[serve]\nlog = %s\n[pool]\nmax = 2\n%b' "$tmp/log" "$1"
	shift
	for f; do
		case $f in slow*) image=slow ;; *) image=echo ;; esac
		printf '[function %s]\nimage = %s\n' "$f" "$tmp/$image.usetl"
	done
}

# hup: with what is on standard input
hup() {
	cat >"$tmp/usetl.conf"
	: >"$tmp/serve.err"
	kill -HUP "$serve_pid"
}

is_ready() {
	wait_for "$tmp/serve.err" "'$1' is ready" "$serve_pid"
	like "$2: $1 is ready" "$tmp/serve.err" "'$1' is ready"
}

answers() {
	n=$((n + 1))
	call "$1" "[$n]"
	is "$2: $1 answers" "$status $(cat "$tmp/out")" "200 [$n]"
}
n=0

conf '' a b >"$tmp/usetl.conf"
serve_or_end -c "$tmp/usetl.conf"
is_ready b "to begin with"

# while functions warm up, which are its branches by then
: >"$tmp/log"
conf '' a b slow1 slow2 | hup
said_both() {
	grep -q '^slow1: it warms up' "$tmp/log" &&
		grep -q '^slow2: it warms up' "$tmp/log"
}
await said_both
base=$(process usetl-base)
kill -9 "$base"
for f in slow1 slow2; do
	is_ready "$f" "killed while it warms up"
	answers "$f" "killed while it warms up"
done
answers a "killed while others warm up"
unlike "killed while others warm up: no boot has failed" "$tmp/serve.err" \
	'cannot boot'

# idle, and the next function needs it
next_process usetl-base "$base"
kill -9 "$(process usetl-base)"
conf '' a b slow1 slow2 c | hup
is_ready c "killed while it is idle"
answers c "killed while it is idle"

# again and again, while functions ask for branches
conf '' a b slow1 slow2 c d e f g h | hup
for i in 1 2 3; do
	base=$(process usetl-base)
	kill -9 "$base"
	gone "$base" >"$tmp/why"
done
for f in d e f g h; do
	is_ready "$f" "killed again and again"
	answers "$f" "killed again and again"
done
unlike "killed again and again: no boot has failed" "$tmp/serve.err" \
	'cannot boot'
answers a "killed again and again"

stop_serve
is "SIGTERM ends serve with 0" "$serve_status" 0

# what a runtime leaves behind ends with the gateway
conf '' a b >"$tmp/usetl.conf"
serve_or_end -c "$tmp/usetl.conf"
is_ready b "the gateway, too"
two_clones() {
	test "$(processes usetl-clone | wc -l)" = 2
}
await two_clones
all=$(tree "$serve_pid")
base=$(process usetl-base)
kill -9 "$base"
next_process usetl-base "$base"
# both branches are the gateway's now, which reaps what it adopts
mine() {
	children "$serve_pid" >"$tmp/mine"
	for p in $(processes usetl-ref); do
		grep -qx "$p" "$tmp/mine" || return 1
	done
	test "$(processes usetl-ref | wc -l)" = 2
}
ok "a runtime is killed: its branches belong to the gateway" await mine
for p in $(processes usetl-ref) $(processes usetl-clone); do
	kill -9 "$p"
done
answers a "its branches are killed, too"
answers b "its branches are killed, too"
dead() {
	for p in $(children "$serve_pid"); do
		grep -s '^State:.*Z' "/proc/$p/status"
	done
}
reaped() {
	test -z "$(dead)"
}
ok "its branches are killed, too: all are reaped" await reaped
all="$all $(tree "$serve_pid")"
kill -9 "$serve_pid"
wait "$serve_pid" 2>/dev/null
serve_pid=
# shellcheck disable=SC2086
ok "a runtime is killed, then the gateway: nobody is left" gone $all $found

# one function is altered: the other's references are those they were
conf '' a b c >"$tmp/usetl.conf"
serve_or_end -c "$tmp/usetl.conf"
is_ready c "SIGHUP with one altered"
process usetl-base >/dev/null
processes usetl-ref | sort >"$tmp/was"
{
	conf '' b c
	printf '[function a]\nimage = %s\nmemory = 128M\n' "$tmp/echo.usetl"
} | hup
is_ready a "SIGHUP with one altered"
one_is_new() {
	processes usetl-ref | sort >"$tmp/is"
	changed=$(comm -3 "$tmp/was" "$tmp/is" | wc -l | tr -d ' ')
	test "$changed" = 2
}
await one_is_new
is "SIGHUP with one altered: one reference for another" "$changed" 2
answers a "SIGHUP with one altered"
answers b "SIGHUP with one altered"
stop_serve
is "SIGTERM ends serve with 0" "$serve_status" 0

# a runtime without descriptors says so, as if it were of the function
as_base=
test "$(id -u)" != 0 ||
	as_base="setpriv --reuid=65534 --regid=65534 --clear-groups"
# limit_fds PID N: room for so many descriptors beyond those it has
limit_fds() {
	limit=0 room=0
	while test $room -lt "$2"; do
		test -e "/proc/$1/fd/$limit" || room=$((room + 1))
		limit=$((limit + 1))
	done
	$as_base prlimit --pid "$1" --nofile=$limit: 2>/dev/null
}
conf '' a >"$tmp/usetl.conf"
serve_or_end -c "$tmp/usetl.conf"
base=$(process usetl-base)
if limit_fds "$base" 1; then
	names=a
	for room in 1 2 3 4 5; do
		limit_fds "$base" $room
		names="$names f$room"
		# shellcheck disable=SC2086
		conf '' $names | hup
		wait_for "$tmp/serve.err" "'f$room' (is ready|cannot boot)" \
			"$serve_pid"
		like "room for $room descriptors: why it cannot boot" \
			"$tmp/serve.err" \
			"'f$room' cannot boot: .*: Too many open files"
	done
	limit_fds "$base" 60
	is_ready f5 "room for 60"
	answers f5 "room for 60"
	is "the runtime is the one that it was" "$(processes usetl-base)" \
		"$base"
else
	skip "a runtime without descriptors" "no prlimit of another process"
fi
stop_serve

# all are replaced now and then, while requests run
conf 'refresh = 500ms\n' a b c >"$tmp/usetl.conf"
serve_or_end -c "$tmp/usetl.conf"
is_ready c "refresh"
least() {
	curl -sS -m 60 "$url/function" >"$tmp/out" 2>>"$tmp/err"
	json 'min(f["refreshes"] for f in d)'
}
bad=0 n=0
while test $n -lt 30000; do
	for f in a b c; do
		n=$((n + 1))
		call $f "[$n]"
		test "$status $(cat "$tmp/out")" = "200 [$n]" ||
			bad=$((bad + 1))
	done
	test $((n % 30)) != 0 || test "$(least)" -lt 3 || break
done
is "refresh: every request is answered" "$bad" 0
is "refresh: each of three was replaced three times" \
	"$(test "$(least)" -ge 3 && echo yes)" yes
stop_serve
is "refresh: SIGTERM ends serve with 0" "$serve_status" 0
plan
