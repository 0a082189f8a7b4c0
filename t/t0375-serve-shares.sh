#!/bin/sh
# whom the kernel ends when memory is short, and who shares the processors with
# whom: each function's processes are one session, and end with the gateway
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
command -v setsid >/dev/null || skip_all "no setsid"
bake_or_end hostile echo

# below_is PID N NAME: soon there are so many, in $all
below_is() {
	await are_below "$@"
	is "$3: as many processes as there should be" \
		"$(echo "$all" | wc -w | tr -d ' ')" "$2"
}

are_below() {
	all=$(tree "$1")
	test "$(echo "$all" | wc -w)" = "$2"
}

session() {
	ps -o sid= -p "$1" | tr -d ' '
}

per_clone=1
test "$tender" = kvm || per_clone=2
own=$(cat /proc/self/oom_score_adj)

# each kind of process and its score, a line each; a name comes after a fork
scored() {
	for p in $all; do
		echo "$(cat "/proc/$p/comm") $(cat "/proc/$p/oom_score_adj")"
	done | sort | uniq -c | tr -s ' ' >"$tmp/scores"
	scores="$(grep -vc ' 1000$' "$tmp/scores") $(wc -l <"$tmp/scores" |
		tr -d ' ')"
	test "$scores" = "0 $1"
}

for share in no yes; do
	# a runtime has a shell, which is as many processes as a clone
	bases=0 shells=0
	test $share = no || bases=1 shells=$per_clone
	cat >"$tmp/usetl.conf" <<END
[pool]
share = $share
[function hostile]
image = $tmp/hostile.usetl
[function echo]
image = $tmp/echo.usetl
END
	serve_or_end -c "$tmp/usetl.conf"
	below_is "$serve_pid" $((bases + 2 + 2 * per_clone + shells)) \
		"serve, share = $share"
	await scored $((bases + 1 + per_clone + shells))
	is "bases, references, clones and guests are ended first" "$scores" \
		"0 $((bases + 1 + per_clone + shells))"
	is "the gateway is as it was started" \
		"$(cat "/proc/$serve_pid/oom_score_adj")" "$own"

	# shellcheck disable=SC2046
	set -- $(processes usetl-base) $(processes usetl-ref)
	is "each function has a session, and so has a runtime" \
		"$(for r; do session "$r"; done | sort -u | wc -l |
			tr -d ' ')" $((bases + 2))
	for r; do
		# a base's branches are functions'
		test "$(cat "/proc/$r/comm")" = usetl-base && below= ||
			below=$(tree "$r")
		# shellcheck disable=SC2046,SC2086
		sids=$(for p in "$r" $below; do session "$p"; done | sort -u)
		is "a reference, its clones and guests are one session" \
			"$sids" "$r"
		is "the gateway's session is no function's" \
			"$(test "$(session "$serve_pid")" = "$r" && echo "$r")" ""
	done
	call echo '[1]'
	is "with sessions, a request is served" "$status" 200
	kill -9 "$serve_pid"
	wait "$serve_pid" 2>/dev/null
	serve_pid=
	# shellcheck disable=SC2086
	ok "the gateway is killed: nobody is left" gone $all
done

# interrupt: a terminal's ^C goes to the group that has it, and no further
for what in serve "invoke -t 60s -d {\"do\":\"loop\"}"; do
	name=${what%% *}
	# a shell's background jobs ignore SIGINT, and hand that down
	# shellcheck disable=SC2086
	"$python" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.setsid()
os.execv(sys.argv[1], sys.argv[1:])' "$usetl" $what \
		$(test "$name" = invoke || echo -l 127.0.0.1:0) \
		"$tmp/hostile.usetl" >"$tmp/out" 2>"$tmp/err" &
	serve_pid=$!
	bases=0 shells=0
	test "$name" = invoke || bases=1 shells=$per_clone
	below_is "$serve_pid" $((bases + 1 + per_clone + shells)) "$name"
	kill -INT "-$serve_pid"
	wait "$serve_pid" 2>/dev/null
	# shellcheck disable=SC2086
	ok "^C: $name and all of its processes end" gone $serve_pid $all
	serve_pid=
done

# who may not lower it may raise it
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
chmod 755 "$tmp"
# shellcheck disable=SC2086
if test "$(id -u)" = 0 && test "$tender" = process &&
	$nobody test -r "$tmp/echo.usetl" -a -x "$usetl" 2>/dev/null
then
	cat >"$tmp/as-nobody" <<END
#!/bin/sh
echo 700 >/proc/self/oom_score_adj
exec $nobody "$usetl" "\$@"
END
	chmod 755 "$tmp/as-nobody"
	real=$usetl usetl=$tmp/as-nobody
	serve_or_end "$tmp/echo.usetl"
	usetl=$real
	below_is "$serve_pid" $((2 + 2 * per_clone)) "as nobody"
	# shellcheck disable=SC2046,SC2086
	is "as nobody: bases, references, clones and guests are ended first" \
		"$(cd /proc && for p in $all; do
		cat "$p/oom_score_adj"; done | sort -u)" 1000
	is "as nobody: the gateway is ended after them" \
		"$(cat "/proc/$serve_pid/oom_score_adj")" 700
	stop_serve
else
	skip "as nobody: who is ended first" \
		"not root, or KVM, or the tree is not open to nobody"
fi

"$usetl" check >"$tmp/out" 2>&1
like "check says how processors are shared" "$tmp/out" \
	'^(ok  |warn) shares of the processors: '
like "check says whom the kernel ends first" \
	"$tmp/out" '^(ok  |warn) out of memory: '
plan
