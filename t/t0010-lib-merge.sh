#!/bin/sh
# lib.sh's own: what merge makes of another script's TAP, however it ends
. "$(dirname "$0")/lib.sh"

# merged WANT LINE...: what a script that prints these lines becomes, after
# one test of ours; WANT is its lines joined by |, and how many failed
merged() {
	want=$1
	shift
	got=$(
		tests=1 failed=0
		merge part printf '%s\n' "$@"
		echo "$tests $failed"
	)
	is "merge: $want" "$(echo "$got" | tr '\n' '|')" "$want|"
}
merged 'ok 2 - a|ok 3 - b # SKIP c|3 0' 'ok 1 - a' 'ok 2 - b # SKIP c' 1..2
merged '# why|not ok 2 - a|ok 3 - b|3 1' '# why' 'not ok 1 - a' 'ok 2 - b' 1..2
merged 'ok 2 - part # SKIP no cc|2 0' '1..0 # SKIP no cc'
merged 'ok 2 - a|not ok 3 - part: no plan, exit status 0|3 1' 'ok 1 - a'
merged 'ok 2 - a|not ok 3 - part: 1 of 2 tests ran|3 1' 'ok 1 - a' 1..2

ends() {
	echo "ok 1 - a"
	echo "1..1"
	return 3
}
got=$(tests=0 failed=0; merge part ends; echo "$tests $failed")
is "merge: a status without a failure is one" "$(echo "$got" | tr '\n' '|')" \
	'ok 1 - a|not ok 2 - part: exit status 3|2 1|'

# what is cut at 400 characters shows where it is wrong
long=$(awk 'BEGIN { while (i < 400) printf "%d ", i++ }')
apart "$long" "$(echo "$long" | sed 's/ 390 / 39O /')" >"$tmp/out"
like "a long value: where it differs" "$tmp/out" '^got: .{0,70} 390 391 '
like "a long value: what it should be" "$tmp/out" '^want: .{0,70} 39O 391 '
apart "a b" "a c" >"$tmp/out"
is "a short value: all of it" "$(cat "$tmp/out")" "got:  a b
want: a c"

# a tender that was asked for and does not work is a failure
need_usetl
USETL_TENDER=nosuch sh -c '. "$(dirname "$0")/lib.sh"
need_tender; pass "ran"; plan' "$t/none.sh" >"$tmp/out" 2>&1
is "an unknown tender: exit status" $? 1
like "an unknown tender: what is said" "$tmp/out" \
	'^not ok 1 - the tender that was asked for: nosuch'
unlike "an unknown tender: nothing ran" "$tmp/out" 'ran$'
plan
