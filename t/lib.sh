# lib.sh - what every tNNNN-area-what.sh begins with
#
#	. "$(dirname "$0")/lib.sh"
#
# TAP on standard output, a temporary folder of the script's own in $tmp, the
# tool in $usetl ($USETL, or build/usetl of this tree).  Whatever a script
# starts by start_httpd or start_serve is ended when the script ends, by its
# process id.  `plan` is the last command of each script.
#
# A script that boots guests begins by need_tender, and so runs once for each
# tender that works here, each TAP line naming it.  USETL_TENDER=kvm or
# process in the environment asks for that one.
#
# Nothing here or in the scripts asserts a time; waits have a generous end.

set -u
LC_ALL=C
export LC_ALL
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY 2>/dev/null || :

t=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$t")
usetl=${USETL:-$top/build/usetl}
python=${PYTHON:-/usr/bin/python3}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/usetl-t.XXXXXX")
tests=0
failed=0
tender=
httpd_pid=
serve_pid=

cleanup() {
	stop_serve
	stop_httpd
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

pass() {
	tests=$((tests + 1))
	echo "ok $tests - ${tender:+$tender: }$1"
}

# fail NAME [FILE]: the file's first lines, printable, say what was seen
fail() {
	tests=$((tests + 1))
	failed=$((failed + 1))
	echo "not ok $tests - ${tender:+$tender: }$1"
	test -z "${2:-}" || head -n 40 "$2" | cut -c 1-400 |
		tr -cd '\11\12\40-\176' | sed 's/^/# /'
}

skip() {
	tests=$((tests + 1))
	echo "ok $tests - ${tender:+$tender: }$1 # SKIP $2"
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

plan() {
	echo "1..$tests"
	test "$failed" = 0
	exit
}

# ok NAME COMMAND...: it succeeds; its output is in $tmp/out and $tmp/err
ok() {
	name=$1
	shift
	if "$@" >"$tmp/out" 2>"$tmp/err"; then
		pass "$name"
	else
		echo "exit status $?" >>"$tmp/err"
		fail "$name" "$tmp/err"
	fi
}

# fails NAME STATUS COMMAND...: it ends with that exit status
fails() {
	name=$1 want=$2
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	if test "$got" = "$want"; then
		pass "$name"
	else
		echo "exit status $got, not $want" >>"$tmp/err"
		fail "$name" "$tmp/err"
	fi
}

# apart GOT WANT: of what is long, the place where they differ
apart() {
	printf '%s\n' "$1" >"$tmp/got"
	printf '%s\n' "$2" >"$tmp/want"
	from=$(cmp "$tmp/got" "$tmp/want" 2>/dev/null |
		sed -n 's/.* \([0-9][0-9]*\), line.*/\1/p')
	from=$((${from:-0} - 60))
	if test ${#1} -lt 300 || test $from -lt 1; then
		from=1
	else
		echo "from byte $from:"
	fi
	echo "got:  $(tail -c +$from "$tmp/got")"
	echo "want: $(tail -c +$from "$tmp/want")"
}

# is NAME GOT WANT
is() {
	if test "$2" = "$3"; then
		pass "$1"
	else
		apart "$2" "$3" >"$tmp/why"
		fail "$1" "$tmp/why"
	fi
}

# like NAME FILE PATTERN: a line of the file matches (grep -E)
like() {
	if grep -Eq -e "$3" "$2" 2>/dev/null; then
		pass "$1"
	else
		{
			echo "no line like: $3"
			cat "$2"
		} >"$tmp/why" 2>&1
		fail "$1" "$tmp/why"
	fi
}

# unlike NAME FILE PATTERN; the file must be there
unlike() {
	if test -r "$2" && ! grep -Eq -e "$3" "$2"; then
		pass "$1"
	else
		{
			echo "a line like: $3"
			cat "$2"
		} >"$tmp/why" 2>&1
		fail "$1" "$tmp/why"
	fi
}

# merge NAME COMMAND...: the command's TAP becomes this script's, numbered on;
# one test called NAME when it is skipped as a whole or ends early
merge() {
	merge_name=$1
	shift
	{
		"$@"
		printf '\nstatus %d\n' $?
	} | awk -v n="$tests" -v name="$merge_name" -v counts="$tmp/merge" '
	function bad(why) {
		print "not ok " ++n " - " name ": " why
		failed++
	}
	/^(not )?ok [0-9]+/ {
		text = $0
		sub(/^(not )?ok [0-9]+/, "", text)
		print (/^not/ ? "not ok " : "ok ") ++n text
		fflush()
		seen++
		failed += /^not/
		next
	}
	/^1\.\.[0-9]+/ {
		planned = 1
		plan = substr($1, 4) + 0
		why = $0
		sub(/^1\.\.0 */, "", why)
		next
	}
	/^status [0-9]+$/ { status = $2; next }
	/./
	END {
		if (!planned)
			bad("no plan, exit status " status)
		else if (plan != seen + 0)
			bad(seen + 0 " of " plan " tests ran")
		else if (status && !failed)
			bad("exit status " status)
		else if (!plan)
			print "ok " ++n " - " name " " why
		print n, failed + 0 >counts
	}'
	read -r tests merge_failed <"$tmp/merge"
	failed=$((failed + merge_failed))
}

# usetl has sanitizers in it (t/findings.sh), whose runtime asks more of the
# machine than usetl does
instrumented() {
	test -n "${USETL_FINDINGS:-}"
}

# --- what has to be there

need_usetl() {
	test -x "$usetl" || skip_all "no usetl at $usetl; run make"
}

# works TENDER: can it run functions here?  $why is the reason, if not
works() {
	USETL_TENDER=$1 "$usetl" check >"$tmp/check" 2>&1
	why=$(sed -n 's/^FAIL *//p' "$tmp/check" | head -n 1)
	test -z "$why" && grep -q "^[okwarn]* *tender: $1\>" "$tmp/check"
}

# $tenders: those that work here, the others are skipped by name; or the one
# that is asked for, which has to
find_tenders() {
	need_usetl
	tenders=
	for k in ${USETL_TENDER:-kvm process}; do
		if works "$k"; then
			tenders="$tenders $k"
		elif test -n "${USETL_TENDER:-}"; then
			fail "the tender that was asked for: $k" "$tmp/check"
		else
			skip "by the $k tender" "$why"
		fi
	done
}

# as_tender TENDER COMMAND...: as if there were no other here
as_tender() {
	as_tender=$1
	shift
	USETL_TENDER=$as_tender sh "$t/tender.sh" "$@"
}

# this script again, by each tender; returns in those runs, with $tender
need_tender() {
	if test -n "${USETL_TENDER:-}"; then
		find_tenders
		test -n "$tenders" || plan
		tender=$USETL_TENDER
		test "$tender" = kvm || test ! -e /dev/kvm ||
			diag "/dev/kvm is here but not used; root can hide it"
		return
	fi
	find_tenders
	USETL_BAKED=$tmp/baked
	mkdir "$USETL_BAKED"
	export USETL_BAKED
	for k in $tenders; do
		merge "$k" as_tender "$k" sh "$0"
	done
	plan
}

need_python() {
	command -v "$python" >/dev/null || skip_all "no interpreter $python"
}

# a module of that interpreter, for one test: need_module NAME || skip ...
has_module() {
	"$python" -c "import $1" 2>/dev/null
}

# --- functions

# copy_function NAME [AS]: into $tmp/src, with the test server's port
copy_function() {
	as=${2:-$1}
	mkdir -p "$tmp/src"
	rm -rf "$tmp/src/$as"
	cp -r "$t/functions/$1" "$tmp/src/$as"
	sed -i -e "s/127\.0\.0\.1:9000/127.0.0.1:${port:-9000}/" \
		-e "s/^name .*/name = $as/" "$tmp/src/$as/function.ini"
}

# of all that an image is made of here, for its name
bake_sum() {
	{
		echo "$@"
		cd "$tmp/src/$bake_name" && find . -type f | sort | xargs cat
	} | cksum | tr ' ' -
}

# bake NAME [OPTION...]: $tmp/NAME.usetl; 0 when it is there.  The script's run
# by one tender takes what that by another has made of the same folder
bake() {
	bake_name=$1
	shift
	copy_function "$bake_name"
	baked=${USETL_BAKED:-$tmp}/$bake_name-$(bake_sum "$@")
	if test -r "$baked"; then
		cp "$baked" "$tmp/$bake_name.usetl"
		return
	fi
	"$usetl" bake "$@" -o "$tmp/$bake_name.usetl" \
		"$tmp/src/$bake_name" >"$tmp/bake.out" 2>"$tmp/bake.err" ||
		return
	test -z "${USETL_BAKED:-}" || cp "$tmp/$bake_name.usetl" "$baked"
}

# fetcher NAME TIMEOUT: a function of the app.py on standard input, which may
# fetch from $http
fetcher() {
	mkdir -p "$tmp/src/$1"
	cat >"$tmp/src/$1/app.py"
	cat >"$tmp/src/$1/function.ini" <<END
[function]
name    = $1
handler = app.handler
memory  = 128M
timeout = $2

[egress]
allow   = $http/
END
	ok "bake $1" "$usetl" bake -o "$tmp/$1.usetl" "$tmp/src/$1"
}

# bake_native NAME FILE: with FILE.c as FILE.so, machine code of its own;
# $tmp/NAME.usetl; 0 when it is there, else why is in $tmp/err
bake_native() {
	copy_function "$1"
	"${CC:-cc}" -O1 -w -fno-stack-protector -fcf-protection=none -shared \
		-fPIC -I"$top" -o "$tmp/src/$1/$2.so" "$tmp/src/$1/$2.c" \
		2>"$tmp/err" &&
		"$usetl" bake -o "$tmp/$1.usetl" "$tmp/src/$1" \
			>"$tmp/bake.out" 2>"$tmp/err"
}

bake_native_or_end() {
	if ! bake_native "$@"; then
		fail "bake $1" "$tmp/err"
		plan
	fi
	pass "bake $1"
}

# bake_or_end NAME...: the script's images; nothing goes on without them
bake_or_end() {
	for f; do
		if ! bake "$f"; then
			fail "bake $f" "$tmp/bake.err"
			plan
		fi
		pass "bake $f"
	done
}

# invoke NAME EVENT [OPTION...]: result in $tmp/out, log in $tmp/err
invoke() {
	invoke_name=$1 event=$2
	shift 2
	"$usetl" invoke "$@" -d "$event" "$tmp/$invoke_name.usetl" \
		>"$tmp/out" 2>"$tmp/err"
}

# json EXPRESSION: of the document d in $tmp/out, printed as JSON
json() {
	"$python" -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(json.dumps(eval(sys.argv[2]), sort_keys=True))' "$tmp/out" "$1" 2>&1
}

# --- servers

# wait_for FILE PATTERN PID: until a line matches; 1 when the process ended
wait_for() {
	i=0
	while ! grep -Eq -e "$2" "$1" 2>/dev/null; do
		kill -0 "$3" 2>/dev/null || return 1
		i=$((i + 1))
		test $i -lt 600 || return 1
		sleep 0.1
	done
}

# start_httpd [PROGRAM]: the test's HTTP server, t/httpd.py or another of t/; its
# port in $port, its URL in $http
start_httpd() {
	: >"$tmp/httpd.out"
	"$python" "$t/${1:-httpd.py}" >>"$tmp/httpd.out" 2>"$tmp/httpd.err" &
	httpd_pid=$!
	if ! wait_for "$tmp/httpd.out" '[0-9]' "$httpd_pid"; then
		fail "the test's HTTP server starts" "$tmp/httpd.err"
		plan
	fi
	port=$(grep -Eo '[0-9]+' "$tmp/httpd.out" | tail -n 1)
	http=http://127.0.0.1:$port
}

stop_httpd() {
	test -n "$httpd_pid" || return 0
	kill "$httpd_pid" 2>/dev/null
	wait "$httpd_pid" 2>/dev/null
	httpd_pid=
}

# start_serve [OPTION...] IMAGE...: on a free port; $url; 1 when it ends
start_serve() {
	# emptied first: what an earlier one said is not this one's
	: >"$tmp/serve.out"
	: >"$tmp/serve.err"
	"$usetl" serve -l 127.0.0.1:0 "$@" \
		>>"$tmp/serve.out" 2>>"$tmp/serve.err" &
	serve_pid=$!
	i=0
	url=
	while test -z "$url"; do
		url=$(cat "$tmp/serve.out" "$tmp/serve.err" |
			sed -n 's,.*listening on \(http://[^ ]*[0-9]\).*,\1,p')
		test -z "$url" || return 0
		kill -0 "$serve_pid" 2>/dev/null || return 1
		i=$((i + 1))
		test $i -lt 600 || return 1
		sleep 0.1
	done
}

serve_or_end() {
	if ! start_serve "$@"; then
		fail "serve starts" "$tmp/serve.err"
		plan
	fi
}

# stop_serve: by SIGTERM; its exit status in $serve_status
stop_serve() {
	test -n "$serve_pid" || return 0
	kill "$serve_pid" 2>/dev/null
	wait "$serve_pid" 2>/dev/null
	serve_status=$?
	serve_pid=
}

# await_serve: until whoever is $serve_pid answers at $url, or has ended
await_serve() {
	i=0
	until curl -sS -m 5 "$url/healthz" >"$tmp/out" 2>"$tmp/err"; do
		kill -0 "$serve_pid" 2>/dev/null || break
		i=$((i + 1))
		test $i -lt 300 || break
		sleep 0.1
	done
}

# begin NAME EVENT: a request in the background, until it runs; $curl_pid,
# its status in $tmp/slow and its body in $tmp/slow.out
begin() {
	curl -sS -m 60 -o "$tmp/slow.out" -w '%{http_code}' -d "$2" \
		"$url/function/$1" >"$tmp/slow" 2>"$tmp/slow.err" &
	curl_pid=$!
	await_busy
}

# await_busy: until a clone, or some, has a request
await_busy() {
	i=0
	while ! curl -sS "$url/function" | grep -q '"busy": [1-9]' &&
		test $i -lt 100
	do
		i=$((i + 1))
		sleep 0.1
	done
}

# children PID...: of all of them
children() {
	for p; do
		cat "/proc/$p/task/$p/children" 2>/dev/null
	done | tr ' ' '\n' | grep .
}

# tree PID: all processes under a server: references, clones, guests
tree() {
	# shellcheck disable=SC2046
	set -- $(children "$1")
	echo "$@"
	# shellcheck disable=SC2046
	set -- $(children "$@")
	echo "$@"
	# shellcheck disable=SC2046
	set -- $(children "$@")
	echo "$@"
}

# idle PID: soon, no process under a server runs, ten looks in a row
idle() {
	i=0 looks=0
	while test $looks -lt 10; do
		running=
		for p in $(tree "$1"); do
			grep -qs '^State:.R' "/proc/$p/status" &&
				running="$running $p"
		done
		looks=$((looks + 1))
		test -z "$running" || looks=0
		i=$((i + 1))
		test $i -lt 300 || break
		sleep 0.1
	done
	test -z "$running" || ps -o pid,ppid,stat,comm,wchan \
		-p "$(echo $running | tr ' ' ,)"
	test $looks -ge 10
}

# gone PID...: soon (in $gone_tries tenths of a second), none of them is there,
# or only its exit status is
gone_tries=100
gone() {
	i=0
	while :; do
		left=
		for p; do
			grep -qs '^State:.[^ZX]' "/proc/$p/status" &&
				left="$left $p"
		done
		test -n "$left" || return 0
		i=$((i + 1))
		test $i -lt $gone_tries || break
		sleep 0.1
	done
	# shellcheck disable=SC2086
	ps -o pid,ppid,stat,comm -p "$(echo $left | tr ' ' ,)"
	return 1
}

# call NAME EVENT [CURL OPTION...]: body in $tmp/out, status in $status
call() {
	call_name=$1 event=$2
	shift 2
	status=$(curl -sS -m 60 -o "$tmp/out" -D "$tmp/head" \
		-w '%{http_code}' "$@" -d "$event" \
		"$url/function/$call_name" 2>"$tmp/err")
}
