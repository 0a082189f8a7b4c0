#!/bin/sh
# shells: what waits to be a clone of any function of a runtime.  They are there,
# are used, made again, and gone; what goes wrong with one costs that one
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end leak
bake_or_end kept

USETL_VERIFY=1
export USETL_VERIFY
# conf SHELLS LINES NAME...: functions of one runtime, the leaky ones by name
conf() {
	printf '[pool]\nmin = 0\nshells = %s\n%b' "$1" "$2"
	shift 2
	for f; do
		case $f in leak*) image=leak ;; *) image=kept ;; esac
		printf '[function %s]\nimage = %s\n%b' "$f" "$tmp/$image.usetl" \
			"$own"
	done
}
own=
count() {
	processes "$1" | grep -c .
}
has() {
	test "$(count "$1")" = "$2"
}
# starts NAME: what its requests found, by kind
starts() {
	curl -sS -m 60 "$url/function" >"$tmp/out"
	json "[(k, v) for f in d if f['name'] == '$1'
		for k, v in sorted(f['starts'].items()) if v]"
}
# listed KEYS: of what usetl ctl lists by name
listed() {
	"$usetl" ctl list --json >"$tmp/out" &&
		json "{f['name']: f for f in d}$1"
}
answers() {
	call "$1" '{}'
	is "$1, $2" "$status $(json 'd["calls"]')" '200 1'
}

# one waits, and more of them as long as it is used
conf 2 'idle = 2s\n' a b c >"$tmp/serve.conf"
serve_or_end -c "$tmp/serve.conf"
ok "a runtime has a shell before anybody calls" await has usetl-shell 1
is "no function has a clone" "$(count usetl-clone)" 0
shell=$(process usetl-shell)
case $tender in
process) guests='usetl-waits' ;;
*) guests= ;;
esac
test -z "$guests" ||
	is "its guest's process waits with it" "$(children "$shell" |
		while read -r p; do cat "/proc/$p/comm"; done)" "$guests"
is "it is locked, by two filters" "$(sed -n 's/^Seccomp_filters:[[:blank:]]*//p
	' "/proc/$shell/status")" "$(sed -n 's/^Seccomp_filters:[[:blank:]]*//p' \
	"/proc/$(process usetl-base)/status" | awk '{ print $1 + 1 }')"
is "usetl ctl list has it" "$(listed "['runtime']['shells']")" 1
answers a "its first call"
is "usetl ctl list has its start" "$(listed "['a']['starts']['shell']")" 1
is "it became a's clone" "$(process usetl-clone)" "$shell"
is "which says so" "$(starts a)" '[["shell", 1]]'
ok "two wait while they are used" await has usetl-shell 2
call a '{}'
is "the clone is a's, and warm" "$(starts a)" '[["shell", 1], ["warm", 1]]'
answers b "from the same ones"
is "b's, too" "$(starts b)" '[["shell", 1]]'
ok "clones end after a while, as ever" await has usetl-clone 0
ok "and but for one the shells" await has usetl-shell 1
ok "references, too" await has usetl-ref 0
answers c "which has no process"
is "a shell is quicker than its snapshot" "$(starts c)" '[["shell", 1]]'

# a burst
ok "shells are there" await has usetl-shell 2
for i in 1 2 3 4; do
	curl -sS -m 60 -o "$tmp/burst$i" -d '{"nap": 0.5}' "$url/function/a" &
	eval "curl$i=$!"
done
wait "$curl1" "$curl2" "$curl3" "$curl4"
cat "$tmp/burst1" "$tmp/burst2" "$tmp/burst3" "$tmp/burst4" >"$tmp/out"
is "a burst is answered" "$(grep -o '"calls": 1' "$tmp/out" | grep -c .)" 4

# killed while they wait; and with their base
ok "they are there again" await has usetl-shell 2
for p in $(processes usetl-shell); do
	kill -9 "$p"
done
answers b "when all shells were killed"
ok "others are made" await has usetl-shell 2
if test "$tender" = process; then
	# who waits does not see that its guest has ended: a request does
	for p in $(processes usetl-shell); do
		kill -9 "$(children "$p")"
	done
	ok "clones end" await has usetl-clone 0
	answers b "when the guest of a shell was killed"
fi
ok "clones end once more" await has usetl-clone 0
shells=$(processes usetl-shell)
for p in $shells; do
	kill -STOP "$p"
done
answers c "when they hang"
for p in $shells; do
	kill -CONT "$p" 2>/dev/null
done
base=$(process usetl-base)
shells=$(processes usetl-shell)
kill -9 "$base"
# shellcheck disable=SC2086
ok "they end with their base" gone $shells
ok "another base has another" next_process usetl-base "$base"
answers a "after its base was killed"
ok "it has a shell" await has usetl-shell 1

# other settings
conf 0 'idle = 2s\n' a b c >"$tmp/serve.conf"
kill -HUP "$serve_pid"
ok "with shells = 0 there are none" await has usetl-shell 0
answers b "without shells"
ok "their clones end" await has usetl-clone 0
conf 3 'idle = 1h\n' a b c >"$tmp/serve.conf"
kill -HUP "$serve_pid"
ok "and with 3 there is one" await has usetl-shell 1
answers c "with them again"
ok "or three" await has usetl-shell 3
conf 3 'idle = 1h\nmemory = 16M\n' a b c >"$tmp/serve.conf"
kill -HUP "$serve_pid"
ok "where memory is short they go" await has usetl-shell 0
answers b "where memory is short"
conf 3 'idle = 1h\nmemory = 0\n' a b c >"$tmp/serve.conf"
kill -HUP "$serve_pid"
ok "and come back" await a_process usetl-shell
tree=$(tree "$serve_pid")
stop_serve
is "SIGTERM ends serve with 0" "$serve_status" 0
# shellcheck disable=SC2086
ok "nothing is left" gone $tree

# two functions that take from the same ones, each request another
own='recycle = fork\n'
conf 4 'max = 2\nidle = 1h\n' leak1 leak2 >"$tmp/serve.conf"
own=
serve_or_end -c "$tmp/serve.conf"
marks=
n=0
for f in leak1 leak2 leak1 leak2 leak1 leak2; do
	n=$((n + 1))
	mark=${n}123456789abcdef112233445566778$n
	ok "shells are there for $f" await a_process usetl-shell
	call "$f" "{\"mark\": \"$mark\", \"leave\": true, \"before\": [$marks]}"
	is "$f, request $n, finds nothing of earlier ones" \
		"$status $(json 'd["seen"]')" '200 []'
	marks=$marks${marks:+, }\"$mark\"
done
curl -sS -m 60 "$url/function" >"$tmp/out"
is "some of them were in a shell" \
	"$(json '[f["starts"]["shell"] > 0 for f in d]')" '[true, true]'
stop_serve
is "it ends well" "$serve_status" 0
plan
