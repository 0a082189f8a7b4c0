#!/bin/sh
# what is wrong with a function or its manifest is said, and where
. "$(dirname "$0")/lib.sh"
need_usetl
need_python

# manifest NAME PATTERN LINE...: bake refuses it with a line like that
manifest() {
	name=$1 pattern=$2
	shift 2
	rm -rf "$tmp/m"
	mkdir "$tmp/m"
	echo 'def handler(e, c): return e' >"$tmp/m/app.py"
	for line; do
		echo "$line"
	done >"$tmp/m/function.ini"
	fails "$name" 1 "$usetl" bake --no-check -o "$tmp/m.usetl" "$tmp/m"
	like "$name: what is said" "$tmp/err" "$pattern"
	is "$name: no image is left" \
		"$(find "$tmp" -name '*.usetl*' | wc -l | tr -d ' ')" 0
}
f='[function]'
h='handler = app.handler'
manifest "unknown key" 'function\.ini:3: .*colour' "$f" "$h" 'colour = red'
manifest "unknown section" 'function\.ini:3: .*paint' "$f" "$h" '[paint]'
manifest "no handler" 'handler' "$f" 'name = x'
manifest "handler without a dot" 'function\.ini:2: ' "$f" 'handler = app'
manifest "memory that is no size" 'function\.ini:3: ' "$f" "$h" \
	'memory = much'
manifest "memory out of range" 'function\.ini:3: ' "$f" "$h" 'memory = 1K'
manifest "timeout out of range" 'function\.ini:3: ' "$f" "$h" 'timeout = 0s'
manifest "a bad name" 'function\.ini:3: ' "$f" "$h" 'name = a/b'
manifest "no such interpreter" 'no-such-python' "$f" "$h" \
	'runtime = no-such-python'
manifest "no such package folder" 'nowhere' "$f" "$h" '[packages]' \
	'path = nowhere'
manifest "no such distribution" 'no-such-thing' "$f" "$h" '[packages]' \
	'installed = no-such-thing'

fails "no folder" 1 "$usetl" bake -o "$tmp/m.usetl" "$tmp/nowhere"
fails "no argument" 2 "$usetl" bake
fails "unknown option" 2 "$usetl" bake --frobnicate "$tmp/m"

copy_function syntaxerror
fails "a syntax error" 1 "$usetl" bake -o "$tmp/x.usetl" \
	"$tmp/src/syntaxerror"
like "a syntax error: what is said" "$tmp/err" 'SyntaxError'
like "a syntax error: where" "$tmp/err" 'app\.py.*4'

# what only a trial boot finds
"$usetl" check >/dev/null 2>&1 || {
	skip "a trial boot" "this host cannot run functions"
	plan
}
# trial NAME PATTERN
trial() {
	copy_function "$1"
	fails "$1" 1 "$usetl" bake -o "$tmp/x.usetl" "$tmp/src/$1"
	like "$1: what is said" "$tmp/err" "$2"
	unlike "$1: no frames of the runtime" "$tmp/err" '/usetl/boot\.py'
	test "$1" != importerror ||
		like "$1: where" "$tmp/err" '"/app/app\.py", line 3'
	ok "$1: no image is left" test ! -e "$tmp/x.usetl"
}
trial nohandler "app\.py' has no attribute 'handler'"
trial badmodule "no module named 'nosuch'"
trial importerror "No module named 'a_module_that_is_nowhere'"

copy_function importerror
ok "--no-check packs it all the same" "$usetl" bake --no-check \
	-o "$tmp/x.usetl" "$tmp/src/importerror"
fails "and invoke reports it" 1 "$usetl" invoke "$tmp/x.usetl"
like "with the traceback" "$tmp/err" 'a_module_that_is_nowhere'
plan
