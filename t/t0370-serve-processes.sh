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
max = 1
[function hostile]
image = $tmp/hostile.usetl
timeout = 60s
END

served() {
	call hostile '{"do": "nothing"}'
	is "$1: the next request is served" "$status $(json d)" \
		'200 {"fine": true}'
}

fds() {
	ls "/proc/$serve_pid/fd" | wc -l
}

# fds_are_back: as many as before, or fewer
fds_are_back() {
	test "$(fds)" -le "$before"
}

serve_or_end -c "$tmp/usetl.conf"
served "to begin with"

# what they are
names="usetl-ref usetl-clone"
test "$tender" = kvm || names="$names usetl-guest"
for n in $names; do
	cat "/proc/$(process "$n")/status" >"$tmp/status" 2>/dev/null
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
kill -9 "$(process usetl-clone)"
served "an idle clone is killed"
begin hostile '{"do": "loop"}'
kill -9 "$(process usetl-clone)"
wait "$curl_pid"
is "a busy clone is killed: 502" "$(cat "$tmp/slow")" 502
served "a busy clone is killed"
if test "$tender" = process; then
	begin hostile '{"do": "loop"}'
	kill -9 "$(process usetl-guest)"
	wait "$curl_pid"
	is "a busy guest is killed: 502" "$(cat "$tmp/slow")" 502
	served "a busy guest is killed"
fi

# references
was=$(process usetl-ref)
kill -9 "$was"
served "the reference is killed"
ok "the reference is killed: there is another one" \
	next_process usetl-ref "$was"
begin hostile '{"do": "sleep", "seconds": 4}'
was=$found
kill -9 "$was"
wait "$curl_pid"
like "the reference is killed: what runs ends well, or with 502" \
	"$tmp/slow" '^(200|502)$'
served "the reference is killed, with a request"
before=$(fds)
for i in 1 2; do
	next_process usetl-ref "$was"
	was=$found
	kill -9 "$was"
	served "the reference is killed once more ($i)"
done
if await fds_are_back; then
	pass "references are killed: no descriptor is left of them"
else
	ls -l "/proc/$serve_pid/fd" >"$tmp/why"
	fail "references are killed: no descriptor is left of them" "$tmp/why"
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
three_of_each() {
	found=$(processes usetl-clone | wc -l)+$(processes usetl-guest | wc -l)
	test "$found" = 3+3
}
if works process; then
	{
		printf '[serve]\ntender = process\n'
		cat "$tmp/usetl.conf"
	} >"$tmp/more.conf"
	serve_or_end -c "$tmp/more.conf"
	hup second
	hup third
	await three_of_each
	is "SIGHUP: three clones, whose guests are processes" "$found" 3+3
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
	clone=$(process usetl-clone)
	all=$(tree "$serve_pid")
	test "$who" = clone || kill -9 "$(process usetl-ref)"
	# a request that runs outlives its reference
	kill -9 "$clone"
	wait "$serve_pid"
	is "invoke, its $who is killed: status 1" $? 1
	like "invoke, its $who is killed: a line" "$tmp/err" '^usetl invoke: '
	# shellcheck disable=SC2086
	ok "invoke, its $who is killed: nobody is left" gone $all
done
"$usetl" invoke -t 60s -d '{"do": "loop"}' "$tmp/hostile.usetl" \
	>"$tmp/out" 2>"$tmp/err" &
serve_pid=$!
process usetl-clone >/dev/null
all=$(tree "$serve_pid")
kill -9 "$serve_pid"
wait "$serve_pid" 2>/dev/null
# shellcheck disable=SC2086
ok "invoke is killed: nobody is left" gone $all
serve_pid=

plan
