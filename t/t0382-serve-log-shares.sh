#!/bin/sh
# one function's flood loses none of another's lines, nor of the server's own;
# what is lost is counted, by function: to a reader that does not read, to a
# rate, to a full disk
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
trap 'umount "$tmp/disk" 2>/dev/null; cleanup' EXIT
bake_or_end hostile

# conf [LINE...]: two functions, and what is in the section [limits]
conf() {
	cat >"$tmp/usetl.conf" <<END
[serve]
${log:+log = $log}
[function loud]
image = $tmp/hostile.usetl
[function quiet]
image = $tmp/hostile.usetl
[limits]
END
	for line; do
		echo "$line"
	done >>"$tmp/usetl.conf"
}

# up ERR: serve, whose standard error is that
up() {
	"$usetl" serve -l 127.0.0.1:0 -c "$tmp/usetl.conf" 2>"$1" &
	serve_pid=$!
	find_url
	await_serve
}

# flood: three requests that print 9,000 lines each
flood() {
	for n in 1 2 3; do
		call loud '{"do": "log", "bytes": 900000}'
		test "$status" = 200 || fail "a request that prints" "$tmp/out"
	done
}

# murmur: three lines of the other function, in a request each
murmur() {
	for n in 1 2 3; do
		call quiet '{"do": "log", "bytes": 100}'
		test "$status" = 200 || fail "a request that prints" "$tmp/out"
	done
}

# until_like FILE PATTERN: or for a long time
until_like() {
	await grep -Eqs -e "$2" "$1"
}

# count FILE WHY: of 27,000 lines those that are $there and those that were
# $lost for that reason; 0 when that is all
count() {
	there=$(grep -c '^loud: x\{99\}$' "$1")
	said="^usetl serve: function 'loud': \([0-9]*\) lines\{0,1\} lost: $2\$"
	lost=$(sed -n "s/$said/\1/p" "$1" |
		awk '{ n += $1 } END { print n + 0 }')
	test $((there + lost)) -ge 27000 &&
		test "$(grep -c '^quiet: x\{99\}$' "$1")" -ge 3
}

# counted NAME FILE WHY: all of them, once they have come
counted() {
	await count "$2" "$3"
	diag "$1: $there lines are there, $lost were lost"
	is "$1: each line is there or counted" $((there + lost)) 27000
	is "$1: some were lost" $((lost > 0)) 1
	is "$1: none of the other function" \
		"$(grep -c '^quiet: x\{99\}$' "$2")" 3
	unlike "$1: the other function is not said to have lost any" \
		"$2" "quiet.*lost"
}

# nobody reads
log=
conf
mkfifo "$tmp/pipe"
sleep 600 <"$tmp/pipe" &
httpd_pid=$!			# lib.sh's to end
up "$tmp/pipe"
flood
murmur
kill -HUP "$serve_pid"
call loud '{"do": "nothing"}'
cat <"$tmp/pipe" >"$tmp/read" &
cat_pid=$!
until_like "$tmp/read" '^quiet: x'
until_like "$tmp/read" 'read again'
counted "nobody reads" "$tmp/read" 'nobody read them in time'
like_soon "nobody reads: the server's own lines are there" "$tmp/read" \
	'^usetl serve: the configuration was read again$'
stop_serve
kill "$cat_pid" 2>/dev/null
stop_httpd

# a rate
log=$tmp/log
conf 'log.rate = 10K'
up "$tmp/serve.err"
flood
murmur
until_like "$tmp/log" 'lost: more than'
stop_serve
is "a rate: serve ends well" "$serve_status" 0
counted "a rate" "$tmp/log" 'more than log.rate'
# a hundred kilobytes at once, and ten for each second since
is "a rate: most of a flood stays away" \
	"$(test "$(wc -c <"$tmp/log")" -lt 1500000 && echo so)" so

# the other function raises, with the rate used up by the first one
: >"$tmp/log"
up "$tmp/serve.err"
flood
call quiet '{"do": "raise", "text": "one\ntwo\u001b[2J \u00e9"}'
is "a handler that raises: its caller hears" "$status" 500
like_soon "a handler that raises: the log has the error" \
	"$tmp/log" '^quiet: ValueError: one$'
like_soon "a handler that raises: its lines steer no terminal" "$tmp/log" \
	'^quiet: two\?\[2J '
call quiet '{"do": "raise", "text": "\u009b2J \u2028loud: \u20ac"}'
like_soon "a handler that raises: no control of the second set" "$tmp/log" \
	'^quiet: ValueError: \?\?2J \?\?\?loud: '
like_soon "a handler that raises: the log has where" "$tmp/log" \
	'^quiet:   File ".*app\.py", line [0-9]+, in do_raise$'
call quiet '{"do": "huge", "bytes": 7000000}'
is "a result that is too large: its caller hears" "$status" 502
like_soon "a result that is too large: the log has it" \
	"$tmp/log" '^quiet: Runtime.ResponseTooLarge: '
call quiet '{"do": "chain"}'
like_soon "a chain of exceptions: the log has what caused it" \
	"$tmp/log" "^quiet: KeyError: 'missing'\$"
call quiet '{"do": "recursion"}'
like_soon "a long traceback is not as long in the log" "$tmp/log" \
	'^quiet:   \[[0-9]+ frames left out\]$'
before=$(wc -c <"$tmp/log")
call quiet '{"do": "document", "text": "[1,", "times": 1000000}'
call quiet '{"do": "document", "text": "\n", "times": 3000000}'
is "a long error that a function writes: not in the log" \
	"$(test $(($(wc -c <"$tmp/log") - before)) -lt 40000 && echo so)" so
call quiet '{"do": "document", "text":
	"{\"errorType\": \"T\\nloud: forged\", \"errorMessage\": \"m\"}"}'
unlike "no line passes for another function's" "$tmp/log" '^loud: forged'
invoke hostile '{"do": "raise", "text": "one\ntwo\u001b[2J"}'
like "invoke: a handler that raises: the error" \
	"$tmp/err" '^usetl invoke: ValueError: one$'
like "invoke: a handler that raises: it steers no terminal" \
	"$tmp/err" '^two\?\[2J$'
like "invoke: a handler that raises: where" \
	"$tmp/err" '^  File ".*app\.py", line [0-9]+, in do_raise$'
stop_serve

# a disk that is full
mkdir "$tmp/disk"
if ! mount -t tmpfs -o size=64k none "$tmp/disk" 2>"$tmp/err"; then
	skip "a full disk" "no file system of that size: $(cat "$tmp/err")"
	plan
fi
log=$tmp/disk/log
conf
up "$tmp/serve.err"
flood
murmur
until_like "$tmp/serve.err" 'cannot write'
like "a full disk is said on standard error" "$tmp/serve.err" \
	'^usetl serve: cannot write the log: No space .*; its lines wait$'
call quiet '{"do": "nothing"}'
is "a full disk: requests are served" "$status $(json d)" '200 {"fine": true}'
# as who rotates logs does
kill -HUP "$serve_pid"
until_like "$tmp/serve.err" 'read again'
call quiet '{"do": "nothing"}'
is "a full disk: the configuration is read" "$status" 200
mount -o remount,size=16m "$tmp/disk"
until_like "$tmp/disk/log" '^quiet: x'
until_like "$tmp/serve.err" 'is written again'
like "a full disk: once it has room that is said" "$tmp/serve.err" \
	'^usetl serve: the log is written again$'
counted "a full disk" "$tmp/disk/log" 'No space left on device'
stop_serve
is "a full disk: serve ends well" "$serve_status" 0

# a limit of file sizes, which has a signal of its own
log=$tmp/small
conf
up "$tmp/serve.err"
call loud '{"do": "nothing"}'
if command -v prlimit >/dev/null &&
    prlimit --pid "$serve_pid" --fsize=50000: 2>"$tmp/err"; then
	call loud '{"do": "log", "bytes": 900000}'
	until_like "$tmp/serve.err" 'cannot write'
	like "a limit of file sizes: what is said" "$tmp/serve.err" \
		'cannot write the log: File too large; its lines wait$'
	prlimit --pid "$serve_pid" --fsize=unlimited:
	until_like "$tmp/serve.err" 'is written again'
	like "a limit of file sizes ends no server" \
		"$tmp/serve.err" 'the log is written again'
else
	skip "a limit of file sizes" "prlimit cannot set it"
fi
stop_serve
is "a limit of file sizes: serve ends well" "$serve_status" 0
plan
