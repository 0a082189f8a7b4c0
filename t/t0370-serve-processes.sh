#!/bin/sh
# the processes of serve: locked, and none left behind, whoever is killed
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end hostile

cat >"$tmp/usetl.conf" <<END
[pool]
min = 1
max = 2
[function hostile]
image = $tmp/hostile.usetl
timeout = 60s
END

named() {
	for p; do
		test "$(cat "/proc/$p/comm" 2>/dev/null)" = "$name" && echo "$p"
	done
}

# one NAME: the first process of serve's with that name
one() {
	name=$1
	i=0
	while :; do
		# shellcheck disable=SC2046
		found=$(named $(tree "$serve_pid") | head -n 1)
		test -z "$found" || break
		i=$((i + 1))
		test $i -lt 100 || break
		sleep 0.1
	done
	echo "$found"
}

served() {
	call hostile '{"do": "nothing"}'
	is "$1: the next request is served" "$status $(json d)" \
		'200 {"fine": true}'
}

fds() {
	ls "/proc/$serve_pid/fd" | wc -l
}

serve_or_end -c "$tmp/usetl.conf"
served "to begin with"

# what they are
names="usetl-ref usetl-clone"
test "$tender" = kvm || names="$names usetl-guest"
for n in $names; do
	cat "/proc/$(one "$n")/status" >"$tmp/status" 2>/dev/null
	like "$n: there is one" "$tmp/status" "^Name:.$n"
	like "$n: a filter is locked" "$tmp/status" '^Seccomp:.2'
	like "$n: no new privileges" "$tmp/status" '^NoNewPrivs:.1'
	like "$n: no capabilities" "$tmp/status" '^CapEff:.0000000000000000$'
	if test "$(id -u)" = 0; then
		unlike "$n: nothing of root's" "$tmp/status" \
			'^(Uid|Gid|Groups):.*\b0\b'
	else
		skip "$n: nothing of root's" "not root"
	fi
done

# clones
kill -9 "$(one usetl-clone)"
served "an idle clone is killed"
begin hostile '{"do": "loop"}'
kill -9 "$(one usetl-clone)"
wait "$curl_pid"
is "a busy clone is killed: 502" "$(cat "$tmp/slow")" 502
served "a busy clone is killed"
if test "$tender" = process; then
	begin hostile '{"do": "loop"}'
	kill -9 "$(one usetl-guest)"
	wait "$curl_pid"
	is "a busy guest is killed: 502" "$(cat "$tmp/slow")" 502
	served "a busy guest is killed"
fi

# references
was=$(one usetl-ref)
kill -9 "$was"
served "the reference is killed"
if test "$(one usetl-ref)" != "$was"; then
	pass "by another one"
else
	fail "by another one"
fi
begin hostile '{"do": "sleep", "seconds": 2}'
kill -9 "$(one usetl-ref)"
wait "$curl_pid"
like "the reference is killed: what runs ends well, or with 502" \
	"$tmp/slow" '^(200|502)$'
served "the reference is killed, with a request"
before=$(fds)
for i in 1 2; do
	kill -9 "$(one usetl-ref)"
	served "once more ($i)"
done
if test "$(fds)" -le "$before"; then
	pass "no descriptor is left of them"
else
	ls -l "/proc/$serve_pid/fd" >"$tmp/why"
	fail "no descriptor is left of them" "$tmp/why"
fi

# the gateway: idle, and with a function that would run for a minute
for how in idle busy; do
	test "$how" = idle || begin hostile '{"do": "loop"}'
	all=$(tree "$serve_pid")
	kill -9 "$serve_pid"
	wait "$serve_pid" 2>/dev/null
	test "$how" = idle || wait "$curl_pid"
	# shellcheck disable=SC2086
	ok "serve is killed, $how: nobody is left" gone $all
	test "$how" = busy || serve_or_end -c "$tmp/usetl.conf"
	test "$how" = busy || served "serve, again"
done
serve_pid=

# what is booted after a SIGHUP runs as all that was before: by the tender
# that was asked for, though `auto` would take another where there is KVM
hup() {
	printf '[function %s]\nimage = %s\n' "$1" "$tmp/hostile.usetl" \
		>>"$tmp/more.conf"
	kill -HUP "$serve_pid"
	ok "SIGHUP: function $1" wait_for "$tmp/serve.err" \
		"function '$1' is ready" "$serve_pid"
}
count() {
	name=$1
	# shellcheck disable=SC2046
	named $(tree "$serve_pid") | wc -l
}
if works process; then
	{
		printf '[serve]\ntender = process\n'
		cat "$tmp/usetl.conf"
	} >"$tmp/more.conf"
	serve_or_end -c "$tmp/more.conf"
	hup second
	hup third
	i=0
	while found="$(count usetl-clone) $(count usetl-guest)" &&
		test "$found" != "3 3" && test $i -lt 100
	do
		i=$((i + 1))
		sleep 0.1
	done
	is "SIGHUP: three clones, whose guests are processes" "$found" "3 3"
	sed -i 's/^tender = process/tender = kvm/' "$tmp/more.conf"
	kill -HUP "$serve_pid"
	ok "SIGHUP: another tender is for the next start" \
		wait_for "$tmp/serve.err" \
		"'tender' has changed: .* the next start" "$serve_pid"
	stop_serve
	serve_pid=
else
	skip "SIGHUP: what is booted after it is a process" "$why"
fi

# invoke: it ends with a line, whoever is killed
for who in ref clone; do
	"$usetl" invoke -t 60s -d '{"do": "loop"}' "$tmp/hostile.usetl" \
		>"$tmp/out" 2>"$tmp/err" &
	serve_pid=$!
	clone=$(one usetl-clone)
	all=$(tree "$serve_pid")
	test "$who" = clone || kill -9 "$(one usetl-ref)"
	# a request that runs outlives its reference
	kill -9 "$clone"
	wait "$serve_pid"
	is "invoke, its $who is killed: status 1" $? 1
	like "and a line" "$tmp/err" '^usetl invoke: '
	# shellcheck disable=SC2086
	ok "and nobody is left" gone $all
done
"$usetl" invoke -t 60s -d '{"do": "loop"}' "$tmp/hostile.usetl" \
	>"$tmp/out" 2>"$tmp/err" &
serve_pid=$!
one usetl-clone >/dev/null
all=$(tree "$serve_pid")
kill -9 "$serve_pid"
wait "$serve_pid" 2>/dev/null
# shellcheck disable=SC2086
ok "invoke is killed: nobody is left" gone $all
serve_pid=

plan
