#!/bin/sh
# SIGHUP: all of a configuration takes effect, or nothing of it
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end hostile echo

# conf LOG [LINE...]: a configuration of one function, and what else is given
conf() {
	{
		printf '[serve]\nlog = %s\n' "$1"
		printf '[function hostile]\nimage = %s\n' "$tmp/hostile.usetl"
		shift
		test $# = 0 || printf '%s\n' "$@"
	} >"$tmp/usetl.conf"
}

# hup PATTERN: a SIGHUP, and that is said
hup() {
	: >"$tmp/serve.err"
	kill -HUP "$serve_pid"
	ok "said: $1" wait_for "$tmp/serve.err" "$1" "$serve_pid"
	test "$failed" = 0 || sed 's/^/# /' "$tmp/serve.err"
}

# printed NAME LOG: requests are served, and what they print goes there
printed() {
	: >"$2"
	call hostile '{"do": "log", "bytes": 3000}'
	is "$1: a request is served" "$status" 200
	ok "$1: what it prints is in ${2##*/}" wait_for "$2" '^hostile: ' \
		"$serve_pid"
}

functions() {
	curl -sS "$url/function" | sed -n 's/.*"name": "\([^"]*\)".*/\1/p' |
		sort | tr '\n' ' '
}

conf "$tmp/one.log"
serve_or_end -c "$tmp/usetl.conf" "$tmp/echo.usetl"
printed "to begin with" "$tmp/one.log"

# nothing of it, for whatever reason
conf "$tmp/two.log" '[function echo]' "image = $tmp/echo.usetl"
hup "'echo' is given twice.*; all goes on as it was"
printed "a name that is given twice" "$tmp/one.log"
is "a name that is given twice: no other log is made" \
	"$(ls "$tmp/two.log" 2>/dev/null)" ""
conf "$tmp/absent/two.log" '[function more]' "image = $tmp/echo.usetl"
hup "cannot open log '.*absent/two.log'.*; all goes on as it was"
printed "a log that cannot be opened" "$tmp/one.log"
is "a log that cannot be opened: the functions are those there were" \
	"$(functions)" "echo hostile "
conf "$tmp/two.log" '[limits]' 'nonsense = 1'
hup "nonsense.*; all goes on as it was"
printed "a key that is none" "$tmp/one.log"
if test "$(id -u)" = 0; then
	conf "$tmp/two.log" '[function more]' "image = $tmp/echo.usetl"
	sed -i 's/^log.*/&\nuser = nosuchuser/' "$tmp/usetl.conf"
	hup "'nosuchuser'.*; all goes on as it was"
	printed "a user that is none" "$tmp/one.log"
else
	skip "a user that is none" "not root"
fi

# all of it: what boots now already boots by the new limits
conf "$tmp/two.log" '[function more]' "image = $tmp/echo.usetl" \
	'[limits]' 'boot = 1ms'
hup "'more' cannot boot: it was not ready within 0.001 s; .*in '.*two.log'\$"
printed "a limit of the boot" "$tmp/two.log"
conf "$tmp/three.log" '[function more]' "image = $tmp/echo.usetl"
hup "'more' is ready"
printed "another log" "$tmp/three.log"

# an image that is not there; one that cannot boot
cp "$tmp/echo.usetl" "$tmp/gone.usetl"
conf "$tmp/three.log" '[function more]' "image = $tmp/gone.usetl"
hup "configuration was read again"
rm "$tmp/gone.usetl"
hup "function 'more': cannot open '.*gone.*; it goes on as it was\$"
copy_function importerror
"$usetl" bake --no-check -o "$tmp/gone.usetl" "$tmp/src/importerror" \
	>"$tmp/bake.out" 2>&1
hup "'more' cannot boot: .*in '.*three.log'; its earlier image goes on\$"
like_soon "an image that cannot boot: the log has why" \
	"$tmp/three.log" '^more: ModuleNotFoundError'
call more '{"n": 3}'
is "an image that cannot boot: the earlier one answers" \
	"$status $(cat "$tmp/out")" '200 {"n": 3}'

# what waits for the next start, until it is again as it was at this one
conf "$tmp/three.log" '[fetch]' 'windows = 7' 'warm = 3M'
hup "'windows' has changed: it takes effect at the next start"
like_soon "two keys for the next start: each is said" \
	"$tmp/serve.err" "'warm' has changed"
conf "$tmp/three.log"
sed -i "s|^log.*|&\nstore = $tmp/snaps|" "$tmp/usetl.conf"
hup "'store' has changed: it takes effect at the next start, but for "
ok "a store for the next start: it is not made before" \
	test ! -e "$tmp/snaps"
conf "$tmp/three.log"
sed -i 's/^log.*/&\ntender = auto/' "$tmp/usetl.conf"
hup "configuration was read again"
unlike "changed back: nothing waits" "$tmp/serve.err" 'next start'
stop_serve
is "SIGTERM ends serve with 0" "$serve_status" 0
plan
