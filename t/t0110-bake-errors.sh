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

fails "bake of a folder that is not there" \
	1 "$usetl" bake -o "$tmp/m.usetl" "$tmp/nowhere"
fails "bake without a folder" 2 "$usetl" bake
fails "bake with an unknown option" 2 "$usetl" bake --frobnicate "$tmp/m"

# what stands where the image goes
copy_function echo
cp "$tmp/src/echo/app.py" "$tmp/app.py"
fails "onto a source" 1 "$usetl" bake --no-check -o "$tmp/src/echo/app.py" \
	"$tmp/src/echo"
like "onto a source: what is said" "$tmp/err" 'app\.py.* no usetl image'
ok "onto a source: it stays" cmp "$tmp/app.py" "$tmp/src/echo/app.py"
mkfifo "$tmp/fifo"
fails "onto what is no file" 1 "$usetl" bake --no-check -o "$tmp/fifo" \
	"$tmp/src/echo"
ok "onto what is no file: it stays" test -p "$tmp/fifo"
: >"$tmp/replaced"
ok "onto an empty file" "$usetl" bake --no-check -o "$tmp/replaced" \
	"$tmp/src/echo"
ok "onto an image" "$usetl" bake --no-check -o "$tmp/replaced" \
	"$tmp/src/echo"
rm -f "$tmp/replaced"

copy_function syntaxerror
fails "a syntax error" 1 "$usetl" bake -o "$tmp/x.usetl" \
	"$tmp/src/syntaxerror"
like "a syntax error: what is said" "$tmp/err" 'SyntaxError'
like "a syntax error: where" "$tmp/err" 'app\.py.*4'

# an interpreter that is linked to where guests have something else.  The same
# one each time, so a name for its library is enough to link it
lib=$("$python" -c 'import sysconfig
v = sysconfig.get_config_var
print((v("INSTSONAME") or "").strip())')
cat >"$tmp/main.c" <<'END'
int Py_BytesMain(int argc, char **argv);
int main(int argc, char **argv) { return Py_BytesMain(argc, argv); }
END
# link ADDRESS: $tmp/linked, a Python that runs on this host
link() {
	cc -no-pie -fno-pie -mcmodel=large -o "$tmp/linked" "$tmp/main.c" \
		-Wl,--no-relax,-z,max-page-size=4096,-Ttext-segment="$1" \
		-l:"${lib:-none}" >"$tmp/out" 2>"$tmp/err" &&
		"$tmp/linked" -c 'import json' 2>>"$tmp/err"
}
if link 0x400000; then
	runtime="runtime = $tmp/linked"
	all="programs lie between 0x200000 and 0x70000000"
	at="'$tmp/linked'.*segment [0-9]* is linked to"
	link 0x10000
	manifest "linked below guests" "$at 0x10000-.*nothing may lie; $all" \
		"$f" "$h" "$runtime"
	link 0x70000000
	manifest "linked to the libOS" "$at 0x70000000-.*libOS lies; $all" \
		"$f" "$h" "$runtime"
	link 0x6ffff000
	manifest "linked across the libOS's beginning" \
		"$at 0x70000000-.*libOS lies; $all" \
		"$f" "$h" "$runtime"
	link 0x10000000
	manifest "linked beyond the memory limit" \
		'0x10000000-.*memory = 128M ends.*; memory = [0-9]*M would' \
		"$f" "$h" "$runtime"
	need=$(sed -n 's/.*; \(memory = [0-9]*M\) would.*/\1/p' "$tmp/err")
	echo "$need" >>"$tmp/m/function.ini"
	if "$usetl" check >/dev/null 2>&1; then
		ok "linked beyond the limit: bakes with what is said" \
			"$usetl" bake \
			-o "$tmp/m.usetl" "$tmp/m"
		ok "linked beyond the limit: then it runs" \
			"$usetl" invoke -d 3 "$tmp/m.usetl"
		is "linked beyond the limit: its result" "$(cat "$tmp/out")" 3
		rm -f "$tmp/m.usetl"
	else
		skip "linked beyond the limit: bakes with what is said" \
			"no functions run here"
	fi
else
	diag "$(cat "$tmp/err")"
	skip "an interpreter linked elsewhere" "no compiler, or no shared $lib"
fi

# what only a trial boot finds
find_tenders
# trial NAME PATTERN
trial() {
	copy_function "$1"
	fails "$1" 1 as_tender $tender "$usetl" bake -o "$tmp/x.usetl" \
		"$tmp/src/$1"
	like "$1: what is said" "$tmp/err" "$2"
	unlike "$1: no frames of the runtime" "$tmp/err" \
		'/usetl/(boot\.py|lib/_usetl/)'
	test "$1" != importerror ||
		like "$1: where" "$tmp/err" '"/app/app\.py", line 3'
	ok "$1: no image is left" test ! -e "$tmp/x.usetl"
}
for tender in $tenders; do
	trial nohandler "app\.py' has no attribute 'handler'"
	trial badmodule "no module named 'nosuch'"
	trial importerror "No module named 'a_module_that_is_nowhere'"

	copy_function importerror
	ok "importerror: --no-check packs it" "$usetl" bake --no-check \
		-o "$tmp/x.usetl" "$tmp/src/importerror"
	fails "importerror: invoke reports it" 1 as_tender $tender \
		"$usetl" invoke "$tmp/x.usetl"
	like "importerror: invoke shows the traceback" \
		"$tmp/err" 'a_module_that_is_nowhere'
	rm -f "$tmp/x.usetl"
done
plan
