#!/bin/sh
# what bake's tools say reaches who bakes: wheels for another interpreter,
# the end of pip's words, and a line now and then while it takes its time
. "$(dirname "$0")/lib.sh"
need_usetl
need_python

f=$tmp/f
mkdir "$f"
echo 'def handler(event, context): return None' >"$f/app.py"
# manifest LINE...: of [packages]; and the interpreter, where $runtime has one
runtime=
manifest() {
	printf '%s\n' '[function]' 'handler = app.handler' \
		${runtime:+"runtime = $runtime"} '[packages]' "$@" \
		>"$f/function.ini"
}
# bake_it: no trial boot
bake_it() {
	"$usetl" bake --no-check -o "$tmp/f.usetl" "$f"
}

# wheel NAME [TAG...]: an empty one, with those tags in its WHEEL
wheel() {
	"$python" - "$f" "$@" <<'END'
import sys, zipfile
folder, name, *tags = sys.argv[1:]
with zipfile.ZipFile(folder + "/" + name, "w") as z:
    z.writestr("w.py", "")
    z.writestr("w-1.0.dist-info/WHEEL",
               "Wheel-Version: 1.0\n" + "".join("Tag: %s\n" % t for t in tags))
END
	manifest "path = $1"
}
own=$("$python" -c 'import sys; print(sys.version_info[1])')
next=$((own + 1)) before=$((own - 1))
abi=$("$python" -c 'import sys; print(sys.abiflags)')
linux=manylinux_2_5_x86_64.manylinux1_x86_64
for tag in "cp3$next-cp3$next-$linux" "cp3$before-cp3$before-linux_x86_64" \
	"cp3$next-abi3-$linux" "py2-none-any" "py3$next-none-any" \
	"cp3$own-cp3$own$abi-win_amd64" "cp3$own-cp3$own$abi-linux_i686" \
	"cp3$own-cp3$own$abi-manylinux_2_99_x86_64" \
	"cp3$own-cp3$own$abi-musllinux_1_1_x86_64" "pp3$own-pypy_73-$linux"
do
	wheel "w-1.0-$tag.whl"
	fails "a wheel for $tag" 1 bake_it
	like "a wheel for $tag: it is said, with what would fit" "$tmp/err" \
		"'w-1.0-$tag.whl' is for $tag; $python.*, takes cp3$own-cp3$own"
done
for tag in "cp3$own-cp3$own$abi-$linux" "cp3$before-abi3-$linux" \
	"cp3$own-none-any" "py2.py3-none-any" "py3$before-none-linux_x86_64" \
	"cp3$next.cp3$own-cp3$next.cp3$own$abi-linux_x86_64"
do
	wheel "w-1.0-1build-$tag.whl"
	ok "a wheel for $tag" bake_it
done
wheel renamed.whl "cp3$next-cp3$next-linux_x86_64" "cp3$next-abi3-$linux"
fails "a renamed wheel's own tags" 1 bake_it
like "a renamed wheel's own tags: both are said" "$tmp/err" \
	"is for cp3$next-cp3$next-linux_x86_64, cp3$next-abi3-$linux"
wheel renamed.whl "cp3$next-cp3$next-linux_x86_64" py3-none-any
ok "a renamed wheel: one of two tags fits" bake_it
wheel renamed.whl
ok "a renamed wheel without tags" bake_it
echo 'no wheel' >"$f/renamed.whl"
fails "a wheel that is none" 1 bake_it
like "a wheel that is none: what is said" \
	"$tmp/err" 'cannot read .*renamed\.whl.* as a wheel'

# pip: a real one that finds nothing, and one of many words that takes its time
"$python" -m venv --without-pip "$tmp/venv" >/dev/null 2>&1 || {
	skip "pip" "$python cannot make a venv"
	plan
}
site=$("$tmp/venv/bin/python" -c 'import sysconfig
print(sysconfig.get_path("purelib"))')
mkdir "$site/pip"
: >"$site/pip/__init__.py"
cat >"$site/pip/__main__.py" <<'END'
import sys, time
time.sleep(12)
for i in range(30):
    print("line", i + 1, file=sys.stderr)
sys.exit("ERROR: that is all")
END
runtime=$tmp/venv/bin/python
manifest 'requirements = r.txt'
echo six >"$f/r.txt"
fails "pip fails" 1 bake_it
like "pip fails: its last line is the reason" "$tmp/err" \
	"pip could not install '.*r\.txt'.*: ERROR: that is all"
is "pip fails: its last 20 lines are shown" \
	"$(grep -Ec '^(line [0-9]+|ERROR: that is all)$' "$tmp/err")" 20
like "pip fails: the first line that is shown" "$tmp/err" '^line 12$'
like "a log has a line, while pip takes so long" "$tmp/err" \
	'^usetl bake: [1-9][0-9]+ s so far, waiting for pip$'
runtime=
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
	script -qec "'$usetl' bake --no-check -o '$tmp/f.usetl' '$f'" \
		/dev/null 2>&1 </dev/null | tr '\r' '\n' >"$tmp/lines"
	like "a terminal has the seconds, and no count of files before" \
		"$tmp/lines" 'waiting for pip, [1-9][0-9]* s$'
	like "a terminal has the reason" "$tmp/lines" 'ERROR: that is all'
	script -qec "'$usetl' bake --no-check -o '$tmp/e.usetl' \
		'$t/functions/echo'" /dev/null 2>&1 </dev/null |
		tr '\r' '\n' >"$tmp/lines"
	like "a terminal: the last bar is full" \
		"$tmp/lines" 'writing \[#{20}\]'
else
	skip "a terminal has the seconds" "no script(1), or no terminals"
fi
"$python" -m pip --version >/dev/null 2>&1 || {
	skip "a real pip" "$python has none"
	plan
}
manifest 'requirements = r.txt'
printf '%s\n' --no-index 'nosuch-distribution==1' >"$f/r.txt"
fails "a real pip finds nothing" 1 bake_it
like "a real pip finds nothing: its lines are shown" "$tmp/err" \
	'^ERROR: Could not find a version that satisfies'
plan
