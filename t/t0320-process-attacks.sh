#!/bin/sh
# machine code against the stubs: each attack ends or is answered, and the
# next request is right; and what is in a guest's process, seen from outside
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v "${CC:-cc}" >/dev/null || skip_all "no C compiler"
command -v curl >/dev/null || skip_all "no curl"

bake_native_or_end machine attack
USETL_VERIFY=1
export USETL_VERIFY
serve_or_end "$tmp/machine.usetl"

call machine '{"do": "state"}'
is "a first request" "$status" 200
first=$(cat "$tmp/out")
diag "$first"

# attack NAME AT STATUS...: one of these, then twice the state of the first
attack() {
	what="$1 $2"
	call machine "{\"do\": \"$1\", \"at\": $2}"
	got=$status
	answer=$(head -c 200 "$tmp/out")
	shift 2
	case " $* " in
	*" $got "*) pass "$what: $got" ;;
	*) fail "$what: $got, not $*" "$tmp/out" ;;
	esac
	for i in first second; do
		call machine '{"do": "state"}'
		is "$what: the $i request after it" \
			"$status $(cat "$tmp/out")" \
			"200 $first"
	done
}

rung='{"rung": true}'
attack flags 262144 200			# AC
is "$what: it rang by itself" "$answer" "$rung"
attack flags 2097152 200		# ID
attack flags 1024 200 502		# DF, which C code may stumble over
attack flags 16384 200 502		# NT
attack selectors 0 200
is "$what: it rang by itself" "$answer" "$rung"
attack int80 0 200
# a hypervisor may have its own idea of which fault
case $answer in
'{"answer": 11}') pass "int 0x80 is a fault" ;;
'{"answer": 4}') pass "int 0x80 is a fault" ;;
*) fail "int 0x80 is a fault: $answer" ;;
esac
attack x32 0 200
is "x32 calls are unknown" "$answer" '{"answer": 0}'
attack overwrite 0 200
is "what the tender writes gives way to nobody" "$answer" '{"answer": 0}'
attack compat 0 200 502 504
attack fast 0 200 502 504
is "$what: no address of the host's is told" \
	"$(echo "$answer" | grep -cE '0x[5-7][0-9a-f]{11}')" 0
attack stack 8 200 502 504
attack touch 0 502
too_much='more memory was [a-z]+ than|outside its memory'
is "$what: that was why" "$(echo "$answer" | grep -cE "$too_much")" 1
attack grow 0 200
is "no more memory is granted than the limit" "$answer" '{"answer": 64}'
attack grow 1 200
is "no more files are granted than the limit" "$answer" '{"answer": 16}'
attack beyond 0 200
is "beyond all limits is a fault" "$answer" '{"answer": 0}'
attack windows 0 502
is "$what: that was why" "$(echo "$answer" | grep -cE "$too_much")" 1
attack holes 0 200 502
if test "$tender" = process; then
	is "no hole of the snapshot is there" "$answer" '{"answer": 0}'
	for what in trace altstack run_on; do
		attack $what 0 200
		is "$what: it rang by itself" "$answer" "$rung"
	done
	# the answer is out; then the next caller's request goes elsewhere
	for at in 0 1 2 3; do
		attack elsewhere $at 200
		is "$what: it rang by itself" "$answer" "$rung"
	done
	attack flood 0 504
	attack flood 1 502
	is "$what: that was why" "$(echo "$answer" | grep -cE "$too_much")" 1
	attack no_frame 0 502
	is "$what: that was why" "$(echo "$answer" | grep -c 'signal 11')" 1
	for at in 1 3; do
		attack keys $at 200 502
	done
	for at in 0 1 2 3; do
		attack copying $at 200 502 504
	done
	attack park 0 200 502 504
	for at in 0 1 2 3 4 5 6 7 8 9; do
		attack drop $at 200 502 504
	done
	# MADV_REMOVE, _DONTFORK, _FREE, _POPULATE_WRITE: the libOS's to answer
	for at in 9 10 8 23; do
		attack advice $at 200 502 504
	done
	attack forge 0 200 502 504
	# each instruction boundary of the stub and what lies between: a sample
	for at in 0 1 2 3 5 11 20 64 131 150 160 170 177 180 185 190 195 200 \
		215 230 250 262 300 333 400 450 500 520 540 555 570 590 600 \
		620 650 700 800 900; do
		attack jump $at 200 502 504
	done
fi

call machine '{"do": "state"}'
is "after all attacks, the state is the first" \
	"$status $(cat "$tmp/out")" "200 $first"

# from outside
if test "$tender" = process; then
	seen=
	for p in /proc/[0-9]*; do
		read -r name <"$p/comm" || continue
		test "$name" = usetl-guest || continue
		# a descendant of this script's server
		up=${p#/proc/}
		while test "$up" -gt 1 && test "$up" != "$serve_pid"; do
			up=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$up/status")
			test -n "$up" || up=0
		done
		test "$up" = "$serve_pid" || continue
		seen=$p
	done 2>/dev/null
	if test -z "$seen" || test ! -r "$seen/maps"; then
		skip "a guest's process" "none could be looked at"
	else
		cat "$seen/maps" >"$tmp/maps"
		# but for the vsyscall page, which is the kernel's
		grep '^VmFlags:' "$seen/smaps" |
			grep -vE ' dd( |$)|: ex *$' >"$tmp/nodump"
		cp "$seen/status" "$tmp/status"
		# addresses of 9 digits or fewer lie below UK_END; then the
		# snapshot, to 1800000000
		unlike "a guest's process: nothing of the host's program" \
			"$tmp/maps" \
			'^([0-9a-f]{11,15}|[2-9a-f].{9}|1[89a-f].{8})-'
		like "a guest's process: the snapshot can be read" \
			"$tmp/maps" \
			'^1[0-7][0-9a-f]{8}-.* r--s '
		unlike "a guest's process: the snapshot can only be read" \
			"$tmp/maps" \
			'^1[0-7][0-9a-f]{8}-[^ ]* (.[^-]|..[^-])'
		like "a guest's process: the libOS is there" \
			"$tmp/maps" '^70200000-.* r-xp '
		unlike "a guest's process: only the program's arena is rwx" \
			"$tmp/maps" '^(7|9|[1-9a-f][0-9a-f]{8}).* rwx'
		# of 0 a program that core(5) pipes to would know nothing
		like "a guest's process: no core is left" "$seen/limits" \
			'^Max core file size +[01] +[01] '
		unlike "a guest's process: nothing would be in a core" \
			"$tmp/nodump" .
		is "a guest's process: no descriptors" \
			"$(ls "$seen/fd" | wc -l)" 0
		like "a guest's process: it is filtered" \
			"$tmp/status" '^Seccomp:.*2'
		like "a guest's process: no new privileges" \
			"$tmp/status" '^NoNewPrivs:.*1'
		like "a guest's process: no signals are blocked" \
			"$tmp/status" '^SigBlk:.*0{16}$'
	fi
fi
test -z "${KEEP:-}" || cp "$tmp/serve.err" "$KEEP"
stop_serve
is "the server ends well" "$serve_status" 0

# memory that is taken while the reference boots
echo 'big = bytearray(256 << 20)' >"$tmp/src/machine/greedy.py"
echo 'import greedy' >>"$tmp/src/machine/app.py"
"$usetl" bake --no-check -o "$tmp/greedy.usetl" "$tmp/src/machine" \
	>"$tmp/out" 2>&1
fails "4 times the limit, asked for in an import" 1 \
	"$usetl" invoke -d '{"do": "state"}' "$tmp/greedy.usetl"
like "4 times the limit, asked for in an import: MemoryError" \
	"$tmp/err" 'MemoryError'
sed -i '/^import greedy/d' "$tmp/src/machine/app.py"
for what in touch windows; do
	sed -i '/^\[environment\]/,$d' "$tmp/src/machine/function.ini"
	printf '[environment]\nAT_IMPORT = %s\n' $what \
		>>"$tmp/src/machine/function.ini"
	"$usetl" bake --no-check -o "$tmp/greedy.usetl" "$tmp/src/machine" \
		>"$tmp/out" 2>&1
	fails "4 times the limit, taken in an import by $what" 1 \
		"$usetl" invoke -d '{"do": "state"}' "$tmp/greedy.usetl"
	like "4 times the limit, taken in an import by $what: why" \
		"$tmp/err" "$too_much"
done
plan
