#!/bin/sh
# a function that is never ready: which limit ends it, and how to change that
. "$(dirname "$0")/lib.sh"
need_tender
need_python

mkdir "$tmp/endless"
cat >"$tmp/endless/function.ini" <<END
[function]
name    = endless
handler = app.handler
END
echo 'while True: pass' >"$tmp/endless/app.py"
hint="not ready within 1 s;.*'boot' in \[limits\].*--boot-timeout"

fails "bake gives up" 1 "$usetl" bake --boot-timeout 1s \
	-o "$tmp/endless.usetl" "$tmp/endless"
like "bake gives up: by what limit, and how to change it" "$tmp/err" "$hint"
fails "a limit that is no time" 2 "$usetl" bake --boot-timeout soon \
	-o "$tmp/endless.usetl" "$tmp/endless"
ok "without a trial boot" "$usetl" bake --no-check -o "$tmp/endless.usetl" \
	"$tmp/endless"
fails "invoke gives up" 1 "$usetl" invoke --boot-timeout 1s \
	"$tmp/endless.usetl"
like "invoke gives up: by what limit, and how to change it" "$tmp/err" "$hint"
cat >"$tmp/usetl.conf" <<END
[limits]
boot = 1s
[function endless]
image = $tmp/endless.usetl
END
fails "serve gives up" 1 "$usetl" serve -l 127.0.0.1:0 -c "$tmp/usetl.conf"
like "serve gives up: by what limit, and how to change it" "$tmp/err" "$hint"

if ! command -v script >/dev/null; then
	skip "on a terminal bake says how long it has waited" "no script(1)"
elif ! script -qec true /dev/null </dev/null >/dev/null 2>&1; then
	skip "on a terminal bake says how long it has waited" \
		"no pseudo-terminals"
else
	script -qec "'$usetl' bake --boot-timeout 3s -o '$tmp/x.usetl' \
		'$tmp/endless'" /dev/null >"$tmp/tty" 2>&1 </dev/null
	tr '\r' '\n' <"$tmp/tty" >"$tmp/lines"
	like "on a terminal bake says how long it has waited" "$tmp/lines" \
		'booting it once, [0-9]+ s'
fi
unlike "without a terminal bake does not say how long" \
	"$tmp/err" 'booting it once'

# a signal ends it, long before the limit
"$usetl" bake --boot-timeout 1h -o "$tmp/x.usetl" "$tmp/endless" \
	>"$tmp/out" 2>"$tmp/err" &
serve_pid=$!
process usetl-ref >"$tmp/ref"
kill "$serve_pid"
wait "$serve_pid"
is "SIGTERM while bake boots: status" $? 1
serve_pid=
like "SIGTERM while bake boots: it says that it stopped" \
	"$tmp/err" '^usetl bake: stopped$'
is "SIGTERM while bake boots: no file is left" \
	"$(ls -A "$tmp" | grep -c 'x\.usetl')" 0
plan
