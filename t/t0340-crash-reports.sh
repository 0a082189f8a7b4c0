#!/bin/sh
# what a caller, and the operator, are told of a bad end: where it was, in
# Python and below it; the same by every tender, and the next request is right
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
start_httpd
bake_or_end crash
serve_or_end "$tmp/crash.usetl"

# the error's message and stack, a line each, in $tmp/report; the lines of its
# tracebacks, without file and number, in order, in $tmp/stack
report() {
	"$python" -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(d["errorType"], d["errorMessage"], *d["stackTrace"], sep="\n")' \
		"$tmp/out" >"$tmp/report" 2>&1
	sed -n 's/^  File ".*", line [0-9]* in //p' "$tmp/report" >"$tmp/stack"
}

# ends NAME EVENT STATUS TYPE: like that, and the next request is served
ends() {
	what=$1
	call crash "$2"
	report
	got="$status $(head -n 1 "$tmp/report")"
	call crash '{"do": "nothing"}'
	is "$what: $3 $4, then 200" "$got, $status" "$3 $4, 200"
}

# says PATTERN: a line of the report of what ended last
says() {
	like "$what: says $1" "$tmp/report" "$1"
}

# in_order FUNCTION...: these are in the tracebacks, in that order
in_order() {
	"$python" -c 'import sys
stack = iter(open(sys.argv[1]).read().split())
print(all(f in stack for f in sys.argv[2:]))' "$tmp/stack" "$@" >"$tmp/got"
	cp "$tmp/report" "$tmp/why"
	if test "$(cat "$tmp/got")" = True; then
		pass "$what: the traceback goes through $*"
	else
		fail "$what: the traceback goes through $*" "$tmp/why"
	fi
}

lacks() {
	unlike "$what: does not say $1" "$tmp/report" "$1"
}

at='/[^ ]*/[^ /]+\+0x[0-9a-f]+'
line=$(grep -n 'string_at(8)' "$t/functions/crash/app.py" |
	head -n 1 | cut -d : -f 1)

# --- fatal signals

ends "a null pointer" '{"do": "null"}' 502 Runtime.ExitError
says '^the function ended by signal 11 \(SIGSEGV\)$'
says "^fatal signal 11 \(SIGSEGV\) at $at, address 0x8$"
says "^  File \"/app/app\.py\", line $line in do_null$"
in_order string_at do_null handler answer
like_soon "a null pointer: serve's log has where" "$tmp/serve.err" \
	"^crash:   File \"/app/app\.py\", line $line in do_null$"
like_soon "a null pointer: serve's log has the first line" "$tmp/serve.err" \
	'^crash: Runtime\.ExitError: the function ended by signal 11'
ends "no layer of the image" '{"do": "no_layer"}' 502 Runtime.ExitError
says "^fatal signal 11 \(SIGSEGV\) at $at, address 0xa00000000$"
in_order string_at do_no_layer
ends "one thread of several" '{"do": "in_thread"}' 502 Runtime.ExitError
in_order string_at crash _bootstrap join wait_for_thread do_in_thread
ends "abort" '{"do": "abort"}' 502 Runtime.ExitError
says "^fatal signal 6 \(SIGABRT\) at $at$"
in_order do_abort handler
ends "an instruction of one's own" \
	'{"do": "machine_code", "code": "0f0b"}' 502 Runtime.ExitError
says '^fatal signal 4 \(SIGILL\) at rip 0x[0-9a-f]*$'
in_order run do_machine_code
ends "a division" '{"do": "machine_code", "code": "31c9f7f1"}' \
	502 Runtime.ExitError
says '^fatal signal 8 \(SIGFPE\) at rip 0x'
ends "SIGKILL" '{"do": "kill"}' 502 Runtime.ExitError
says "^fatal signal 9 \(SIGKILL\) at $at$"
lacks 'File'
ends "every descriptor closed" '{"do": "no_descriptors"}' \
	502 Runtime.ExitError
says "^fatal signal 11 \(SIGSEGV\) at $at"
ends "garbage in the report" '{"do": "garbage"}' 502 Runtime.ExitError
says '^fatal signal 9'
says '^\?\[31mred \?+$'
says '^x+$'
says '^\.\.\.$'
is "garbage in the report: no more than there is room for" \
	"$(wc -c <"$tmp/report" | awk '{ print ($1 < 9000) }')" 1

# --- the libOS

ends "bad libOS data" '{"do": "libos_data"}' 502 Runtime.Fault
says "^libOS: page fault at address 0x[0-9a-f]*, error 0x4; program at $at$"
says '^  libOS sys_read\+0x[0-9a-f]+$'
says '^  libOS syscall_entry\+0x[0-9a-f]+$'
says '^  File "/app/app\.py", line [0-9]* in read_it$'
in_order read_it do_libos_data handler
ends "the libOS jumps astray" '{"do": "libos_jump"}' 502 Runtime.Fault
says '^libOS: page fault at address 0x1000'
says '^  libOS 0x1000$'
says '^  libOS sys_read\+0x[0-9a-f]+$'
in_order read_it do_libos_jump
ends "a failed assertion of the libOS" '{"do": "libos_assert"}' \
	502 Runtime.Fault
says '^libOS: unikernel/task/thread\.c:[0-9]*: assertion failed: '
says '^  libOS sys_(clock_)?nanosleep\+0x[0-9a-f]+$'
in_order do_libos_assert handler
ends "the program's handler crashes, too" \
	'{"do": "libos_handler_crashes"}' 502 Runtime.Fault
says '^  libOS sys_read\+0x'
lacks 'File'
ends "the handler calls and returns" '{"do": "libos_handler_calls"}' \
	502 Runtime.Fault
says '^  libOS sys_read\+0x'
ends "the handler never ends" '{"do": "libos_handler_loops"}' \
	504 Runtime.Timeout
says '^  libOS sys_read\+0x'

# --- the time limit

ends "a loop" '{"do": "loop"}' 504 Runtime.Timeout
says '^the function did not answer within its time limit of 2 s$'
says "^running at $at$"
in_order do_loop handler
like_soon "a loop: serve's log has where" "$tmp/serve.err" \
	'^crash:   File "/app/app\.py", line [0-9]* in do_loop$'
ends "a loop in C" '{"do": "loop_in_c"}' 504 Runtime.Timeout
in_order do_loop_in_c handler
ends "a loop of system calls" '{"do": "loop_of_calls"}' 504 Runtime.Timeout
in_order do_loop_of_calls handler
ends "a sleep" '{"do": "sleep"}' 504 Runtime.Timeout
says "^waiting at $at$"
in_order do_sleep handler
ends "threads that wait" '{"do": "threads"}' 504 Runtime.Timeout
in_order do_sleep _bootstrap wait_for_thread do_threads handler
ends "the main thread has ended" '{"do": "main_is_gone"}' \
	504 Runtime.Timeout
in_order do_sleep _bootstrap
ends "a fetch that does not end" \
	"{\"do\": \"fetch\", \"url\": \"$http/slow?head=1\"}" \
	504 Runtime.Timeout
says "^waiting at $at$"
in_order get do_fetch handler
ends "all signals blocked" '{"do": "blocked"}' 504 Runtime.Timeout
says "^running at $at$"
in_order do_loop do_blocked
ends "the signal ignored" '{"do": "ignored"}' 504 Runtime.Timeout
says "^running at $at$"
lacks 'File'
ends "a handler that never ends" '{"do": "deaf"}' 504 Runtime.Timeout
says "^running at $at$"

stop_serve
is "SIGTERM ends serve with 0" "$serve_status" 0

# --- on a terminal

fails "invoke: a crash" 1 "$usetl" invoke -d '{"do": "null"}' \
	"$tmp/crash.usetl"
like "invoke: says what" "$tmp/err" \
	'^usetl invoke: Runtime\.ExitError: the function ended by signal 11'
like "invoke: says where" "$tmp/err" "^fatal signal 11 \(SIGSEGV\) at $at"
is "invoke: the traceback, once" "$(grep -c 'in do_null$' "$tmp/err")" 1
fails "invoke: garbage" 1 "$usetl" invoke -d '{"do": "garbage"}' \
	"$tmp/crash.usetl"
is "invoke: nothing steers the terminal" \
	"$(tr -d '\11\12\40-\176' <"$tmp/err" | wc -c | tr -d ' ')" 0
fails "invoke: a shorter limit" 1 "$usetl" invoke --timeout 500ms \
	-d '{"do": "loop"}' "$tmp/crash.usetl"
like "invoke: a shorter limit is named" \
	"$tmp/err" 'within its time limit of 0\.5 s$'

# --- a boot that does not end

mkdir "$tmp/slow"
printf 'def never():\n    while True:\n        pass\n\n\nnever()\n' \
	>"$tmp/slow/app.py"
printf '[function]\nname = slow\nhandler = app.handler\n' \
	>"$tmp/slow/function.ini"
fails "bake: an import that does not end" 1 "$usetl" bake \
	--boot-timeout 10s -o "$tmp/slow.usetl" "$tmp/slow"
like "bake: says where it was" "$tmp/err" \
	'^  File "/app/app\.py", line [23] in never$'

# --- state is kept: what was reported once is not reported again

printf '[function crash]\nimage = %s\nrecycle = keep\n' \
	"$tmp/crash.usetl" >"$tmp/keep.conf"
serve_or_end -c "$tmp/keep.conf"
call crash '{"do": "leave"}'
is "state is kept: something is in the report" "$status" 200
ends "state is kept" '{"do": "abort"}' 502 Runtime.ExitError
lacks 'left over'
says '^fatal signal 6'
stop_serve
plan
