#!/bin/sh
# usetl invoke --gdb: breakpoints in libOS, interpreter and libraries, and
# backtraces from one to the other; what cannot be debugged is said
. "$(dirname "$0")/lib.sh"
need_tender
need_python
bake_or_end hostile

if test "$tender" != process; then
	fails "--gdb with a virtual machine" 2 "$usetl" invoke \
		--tender="$tender" --gdb "$tmp/hostile.usetl"
	like "--gdb with a virtual machine: what is said" \
		"$tmp/err" '--tender=process'
	skip "debugging a virtual machine" "--gdb is for the process tender"
	plan
fi

USETL_GDB=$tmp/none
export USETL_GDB
fails "without gdb" 1 "$usetl" invoke --gdb "$tmp/hostile.usetl"
like "without gdb: what is said" "$tmp/err" 'install gdb'
USETL_GDB=/bin/false
fails "a gdb that does not attach" 1 "$usetl" invoke --gdb \
	"$tmp/hostile.usetl"
like "a gdb that does not attach: what is said" "$tmp/err" 'gdb ended before'
is "a gdb that does not attach: no result" "$(cat "$tmp/out")" ""
unset USETL_GDB
fails "--gdb and --repeat" 2 "$usetl" invoke --gdb --repeat 2 \
	"$tmp/hostile.usetl"
fails "--gdb and a URL" 2 "$usetl" invoke --gdb http://127.0.0.1:1/
fails "--gdb=bot" 2 "$usetl" invoke --gdb=bot "$tmp/hostile.usetl"
fails "--gdb-command alone" 2 "$usetl" invoke --gdb-command bt \
	"$tmp/hostile.usetl"

end_without() {
	skip "debugging" "$1"
	plan
}
command -v gdb >/dev/null || end_without "no gdb"
gdb -nx -batch -ex 'python print("has " + "python")' 2>&1 |
	grep -q 'has python' || end_without "gdb has no Python"
sleep 60 &
sleep_pid=$!
gdb -nx -batch -p $sleep_pid >"$tmp/out" 2>&1
grep -qE 'not permitted|ptrace:' "$tmp/out"
may=$?
kill $sleep_pid
test $may != 0 || end_without "no debugger may attach here"
command -v "${CC:=cc}" >/dev/null || end_without "no C compiler"

# a library of its own, loaded by the handler
mkdir -p "$tmp/src/native"
cat >"$tmp/src/native/native.c" <<'END'
long native_add(long a, long b)
{
	return a + b;
}
END
cat >"$tmp/src/native/app.py" <<'END'
import ctypes
import os
import time


def handler(event, context):
    if "sleep" in event:
        time.sleep(event["sleep"])
    path = os.path.join(os.path.dirname(__file__), "native.so")
    return ctypes.CDLL(path).native_add(20, 22)
END
cat >"$tmp/src/native/function.ini" <<'END'
[function]
name    = native
handler = app.handler
memory  = 64M
timeout = 700ms
END
ok "compile native.so" "$CC" -g -O0 -shared -fPIC \
	-o "$tmp/src/native/native.so" "$tmp/src/native/native.c"
ok "bake native" "$usetl" bake -o "$tmp/native.usetl" "$tmp/src/native"

# debug EVENT [OPTION...], gdb's commands from standard input, one a line
mkdir "$tmp/gdb"
debug() {
	event=$1
	shift
	while read -r command; do
		set -- "$@" --gdb-command "$command"
	done
	TMPDIR=$tmp/gdb HOME=$tmp timeout 300 "$usetl" invoke \
		-d "$event" "$@" "$tmp/${image:-native}.usetl" \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
}

debug '{"sleep": 0.1}' --gdb <<'END'
usetl-modules
break sys_clock_nanosleep
continue
backtrace
echo --getaddrinfo:
info symbol getaddrinfo
break ring
continue
backtrace
delete
continue
END
is "the result, after stops longer than its timeout" \
	"$status $(cat "$tmp/out")" "0 42"
like "a breakpoint in the libOS" "$tmp/err" \
	'^#0 .*sys_clock_nanosleep \(.*\) at unikernel/task/time\.c:'
like "a breakpoint in the libOS: the system call's entry" \
	"$tmp/err" '^#[0-9]+ .*syscall_enter \('
like "a breakpoint in the libOS: the frame of libc" \
	"$tmp/err" '^#[0-9]+ .*clock_nanosleep'
like "a breakpoint in the libOS: the interpreter's frames" \
	"$tmp/err" '^#[0-9]+ .*_PyEval_EvalFrame'
like "a breakpoint in the libOS: the first frame" \
	"$tmp/err" '^#[0-9]+ .*(Py_BytesMain|Py_Main) \('
like "a symbol of a library" "$tmp/err" \
	'^--getaddrinfo:getaddrinfo.* of .*/libc\.so\.6$'
like "usetl-modules: libraries" "$tmp/err" \
	'^0x[0-9a-f]+ 0x[0-9a-f]+ yes +/.*/libc\.so\.6$'
like "usetl-modules: the interpreter" "$tmp/err" \
	'^0x[0-9a-f]+ 0x[0-9a-f]+ yes +/.*python3'
like "a breakpoint in the stub page: a doorbell" "$tmp/err" '^#0 .*ring \('
is "a breakpoint in the stub page: down to the interpreter" \
	"$(grep -Ec '^#[0-9]+ .*(Py_BytesMain|Py_Main) \(' "$tmp/err")" 2
is "gdb's temporary folder is gone" "$(ls "$tmp/gdb")" ""

debug '{}' --gdb <<'END'
set breakpoint pending on
break native_add
continue
backtrace
print a + b
return 7
continue
END
like "a library that the handler loads" "$tmp/err" \
	'^#0 +native_add \(a=20, b=22\) at .*native\.c:3'
like "a library that the handler loads: what called it" \
	"$tmp/err" '^#[0-9]+ .*ffi_call'
like "a library that the handler loads: its variables" "$tmp/err" '^\$1 = 42'

debug '{}' --gdb=boot <<'END'
break boot_main
continue
backtrace
break sys_openat
continue
backtrace
ignore 2 100
continue
info breakpoints
delete
continue
END
is "from the boot on: the result" "$status $(cat "$tmp/out")" "0 42"
like "from the boot on: the first function" "$tmp/err" '^#0 +boot_main \(\)'
like "from the boot on: called by the entry" "$tmp/err" '^#1 .*boot_entry \('
like "from the boot on: the loader's first file" "$tmp/err" '^#[0-9]+ .*openat'
like "from the boot on: many more files" \
	"$tmp/err" 'already hit [0-9]{2,} times'

image=hostile
debug '{"do": "segv"}' --gdb <<'END'
continue
echo --where:
print $_siginfo._sifields._sigfault.si_addr
continue
END
is "a crash: the exit status" "$status" 1
like "a crash: gdb stops" "$tmp/err" '^Program received signal SIGSEGV'
like "a crash: the address" "$tmp/err" '^--where:.* 0x8$'
like "a crash: the report is as without gdb" "$tmp/err" '[Ss]ignal 11|SIGSEGV,'

debug '{"do": "nothing"}' --gdb <<'END'
detach
END
is "gdb detaches: the function runs on" "$status" 0
debug '{"do": "nothing"}' --gdb <<'END'
kill
END
is "gdb kills: invoke fails" "$status" 1
like "gdb kills: why is said" "$tmp/err" 'killed by signal 9|killed in gdb'

if command -v strace >/dev/null; then
	fails "what is debugged already" 1 env TMPDIR="$tmp/gdb" strace -f \
		-o /dev/null "$usetl" invoke --gdb "$tmp/hostile.usetl"
	like "what is debugged already: what is said" \
		"$tmp/err" 'debugg.* already'
else
	skip "what is debugged already" "no strace"
fi
plan
