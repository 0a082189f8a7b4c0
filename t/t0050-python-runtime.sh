#!/bin/sh
# the guest's Python natively, in each interpreter that is here
. "$(dirname "$0")/lib.sh"
need_python

# run NAME INTERPRETER: its TAP becomes one test here
run() {
	if timeout 250 "$2" "$t/python/$1_test.py" \
			>"$tmp/out" 2>"$tmp/err" &&
	    grep -q '^ok' "$tmp/out"; then
		pass "$1.py in $2: $(grep -c '^ok' "$tmp/out") tests"
	else
		grep -A 20 '^not ok' "$tmp/out" >"$tmp/why"
		cat "$tmp/err" >>"$tmp/why"
		fail "$1.py in $2" "$tmp/why"
	fi
}

for py in ${PYTHONS:-python3.9 python3.10 python3.11 python3.12 python3.13}
do
	if "$py" -c 'import ctypes, ssl, sqlite3' 2>/dev/null; then
		for name in usetl boot functions; do
			run $name "$py"
		done
	else
		skip "the runtime in $py" "no such interpreter here"
	fi
done

if "$python" -B "$t/pystyle.py" "$top" >"$tmp/out" 2>&1; then
	pass "the guest's Python is Python 3.9, in 79 columns"
else
	fail "the guest's Python is Python 3.9, in 79 columns" "$tmp/out"
fi
plan
