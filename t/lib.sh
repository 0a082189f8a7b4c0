# lib.sh - what every tNNNN-area-what.sh begins with
#
#	. "$(dirname "$0")/lib.sh"
#
# TAP on standard output, a temporary folder of the script's own in $tmp, the
# tool in $usetl ($USETL, or build/usetl of this tree).  Whatever a script
# starts by start_httpd or start_serve is ended when the script ends, by its
# process id.  `plan` is the last command of each script.  Servers and their
# processes are in serve.sh and procs.sh.
#
# A script that boots guests begins by need_tender, and so runs once for each
# tender that works here, each TAP line naming it.  USETL_TENDER=kvm or
# process in the environment asks for that one.
#
# Nothing here or in the scripts asserts a time.  What takes a while is looked
# at until it is so (await), and the end of that is generous.

set -u
LC_ALL=C
export LC_ALL
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY 2>/dev/null || :

t=$(cd "$(dirname "$0")" && pwd)
# of a script in a folder below, too
test -r "$t/lib.sh" || t=$(dirname "$t")
top=$(dirname "$t")
usetl=${USETL:-$top/build/usetl}
python=${PYTHON:-/usr/bin/python3}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/usetl-t.XXXXXX")
# what bake keeps is the script's own, too
XDG_DATA_HOME=$tmp/data
export XDG_DATA_HOME
# and where serve listens for usetl ctl
XDG_RUNTIME_DIR=$tmp
export XDG_RUNTIME_DIR
tests=0
failed=0
tender=

. "$t/serve.sh"
. "$t/procs.sh"

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

# await COMMAND...: until it succeeds, or for two minutes; it awaits nothing
# itself.  Most come true at once, and are looked at more often at first
await() {
	awaited=0
	until "$@"; do
		awaited=$((awaited + 1))
		test $awaited -lt 1200 || return
		if test $awaited -lt 20; then
			sleep 0.02
		else
			sleep 0.1
		fi
	done
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

# take_layers: this script's store begins with the layers of this host's
# interpreter, if make check has baked them.  Scripts that test baking itself do
# not call it
take_layers() {
	layers=$(dirname "$usetl")/t/layers
	test ! -e "$tmp/data" && test -e "$layers/made" &&
		test -r "$layers/usetl" || return 0
	mkdir "$tmp/data" &&
		cp -r --preserve=mode,timestamps "$layers/usetl" "$tmp/data/"
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
	take_layers
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
	take_layers
	ok "bake $1" "$usetl" bake -o "$tmp/$1.usetl" "$tmp/src/$1"
}

# bake_native NAME FILE: with FILE.c as FILE.so, machine code of its own;
# $tmp/NAME.usetl; 0 when it is there, else why is in $tmp/err
bake_native() {
	copy_function "$1"
	take_layers
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
