#!/bin/sh
# packages that are imported once for all functions that begin so: what each of
# these sees is what it sees where it imports them itself
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"

# all memory and registers are compared after each request
USETL_VERIFY=1
export USETL_VERIFY
preloads=$t/functions/preloads
names=

# folder NAME: a module of preloads as a function of its own
folder() {
	f=$tmp/src/$1
	mkdir -p "$f"
	cp "$preloads/report.py" "$preloads/$1.py" "$f"
	cat >"$f/function.ini" <<-END
		[function]
		name = $1
		handler = $1.handler
		[packages]
		path = $preloads/packages
		[environment]
		MODE = given
		GIVEN = by function.ini
	END
}
# learns NAME MODULES: which of its imports functions may share
learns() {
	test -d "$tmp/src/$1" || folder "$1"
	if ! "$usetl" bake -o "$tmp/$1.usetl" "$tmp/src/$1" >"$tmp/bake.out" \
		2>"$tmp/bake.err"; then
		fail "$1 bakes" "$tmp/bake.err"
		return
	fi
	"$usetl" inspect --json "$tmp/$1.usetl" >"$tmp/out"
	is "$1: what it may share" "$(json '" ".join(d["preload"] or [])')" \
		"\"$2\""
	names="$names $1"
}

take_layers
learns plain "plainpkg plainpkg.sub envpkg low high"
cp "$tmp/plain.usetl" "$tmp/again.usetl"
learns plain "plainpkg plainpkg.sub envpkg low high"
ok "the same function is baked to the same bytes" cmp "$tmp/plain.usetl" \
	"$tmp/again.usetl"
"$usetl" inspect "$tmp/plain.usetl" >"$tmp/out"
like "inspect says what it shares" "$tmp/out" \
	'packages +with all of sha256 [0-9a-f]{12} that import plainpkg plain'
ok "its digest is right" "$usetl" inspect --verify "$tmp/plain.usetl"
learns environ ""
learns given "envpkg setpkg"
learns patch "low"
learns tried "low"
learns path ""
learns filters ""
learns warns "low"
learns prints "low"
learns seeded "low seedpkg"
learns cond ""
learns thread "low"
learns forks "low"
learns files "filepkg"
learns looks "low"
learns stats "low"
learns lens "low"
learns readys "low"
learns named "low"
folder shadow
echo 'WHOSE = "the function"' >"$tmp/src/shadow/calendar.py"
learns shadow "low"
folder maybes
echo >"$tmp/src/maybes/maybe.py"
learns maybes "low"
learns fetches "low"
learns timers "low"
learns alarms "low"
learns limits "low"
learns mems "low"
learns disks "low"
learns frames "low"
learns stacks "low"
learns callers "low callerpkg high"
learns hooks "low"
learns loops "loopa loopb"
learns states "exitpkg low"
learns star "low plainpkg"
learns draws "low"
like "draws: and who bakes hears of it" "$tmp/bake.err" 'drew randomness'
folder deep
mkdir "$tmp/src/deep/of"
echo 'import low' >"$tmp/src/deep/of/__init__.py"
mv "$tmp/src/deep/deep.py" "$tmp/src/deep/of/"
sed -i 's/deep.handler/of.deep.handler/' "$tmp/src/deep/function.ini"
learns deep "low high"
folder deeper
mkdir "$tmp/src/deeper/of"
printf 'import low\nlow.VALUE = 7\n' >"$tmp/src/deeper/of/__init__.py"
cp "$tmp/src/deep/of/deep.py" "$tmp/src/deeper/of/deeper.py"
sed -i 's/deeper.handler/of.deeper.handler/' "$tmp/src/deeper/function.ini"
learns deeper "low"
folder forked
sed -i 's/^handler.*/&\nfork = packages/' "$tmp/src/forked/function.ini"
learns forked "low high"
folder anew
sed -i 's/^handler.*/&\nfork = interpreter/' "$tmp/src/anew/function.ini"
learns anew ""
learns exists "low existpkg"
fails "what cannot be imported at all" 1 "$usetl" bake -o "$tmp/no.usetl" \
	"$(folder bad; echo "$tmp/src/bad")"
like "is said as ever" "$tmp/err" 'OSError.*not on this machine'
like "with its line" "$tmp/err" '/app/bad.py.*line 2|line 2.*/app/bad.py'

# conf SHARE: all of them, and one twice
conf() {
	printf '[pool]\nshare = %s\n' "$1"
	for name in $names; do
		printf '[function %s]\nimage = %s\n' "$name" "$tmp/$name.usetl"
	done
}
count() {
	processes "$1" | grep -c .
}
# answers FILE: what all say, three times each
answers() {
	for name in $names; do
		for i in 1 2 3; do
			call "$name" '{}'
			echo "$name $i $status $(json d)"
		done
	done >"$1"
}
all_ready() {
	test "$(grep -c 'is ready' "$tmp/serve.err")" = "$n"
}
names=$(printf '%s\n' $names | sort -u | tr '\n' ' ')
n=$(echo "$names" | wc -w)
conf no >"$tmp/alone.conf"
conf yes >"$tmp/shared.conf"
serve_or_end -c "$tmp/alone.conf"
ok "alone all are ready" await all_ready
answers "$tmp/alone"
is "alone all answer" "$(grep -vc ' 200 ' "$tmp/alone")" 0
grep -E '^(warnpkg|printpkg|.*is old)' "$tmp/serve.err" >"$tmp/alone.log"
stop_serve
serve_or_end -c "$tmp/shared.conf"
ok "together all are ready" await all_ready
answers "$tmp/together"
for name in $names; do
	is "$name: it sees the same" "$(grep "^$name " "$tmp/together")" \
		"$(grep "^$name " "$tmp/alone")"
done
# by lists of modules, but for the one that failed
is "who begins alike shares packages" "$(count usetl-base)" \
	"$(($(for name in $names; do
		"$usetl" inspect --json "$tmp/$name.usetl" >"$tmp/out"
		json '" ".join(d["preload"] or [])'
	done | grep -v '""' | sort -u | grep -vc existpkg) + 1))"
like "what cannot be imported without its function is" "$tmp/serve.err" \
	"function 'exists': its packages are imported by it alone: it exited"
like "with what it said" "$tmp/serve.err" \
	'^packages: OSError: there is no function'
is "said once" "$(grep -c "imported by it alone" "$tmp/serve.err")" 1
is "text of an import is shown by each that imports" \
	"$(grep -Ec 'printpkg is imported' "$tmp/serve.err")" 1
stop_serve
# who shares a generator with others draws none of what they do
learns rands "random randpkg"
printf '[pool]\nshare = yes\n' >"$tmp/rands.conf"
for name in a b; do
	printf '[function %s]\nimage = %s\n' $name "$tmp/rands.usetl"
done >>"$tmp/rands.conf"
n=2
serve_or_end -c "$tmp/rands.conf"
ok "two that draw are ready" await all_ready
is "they share packages" "$(count usetl-base)" 2
for i in 1 2 3; do
	for name in a b; do
		call $name '{}'
		json 'd["request"] + d["module"]'
	done
done >"$tmp/drawn"
is "each request draws its own, each module its own" \
	"$(tr -d '[],' <"$tmp/drawn" | tr ' ' '\n' | sort -u | grep -c .)" 16
stop_serve

# limits decide nothing of who shares, and hold where packages are shared, too
learns large "largepkg"
# sized SHARE NAME MEMORY...: these functions are of the same image
sized() {
	printf '[pool]\nshare = %s\n' "$1"
	shift
	while test $# != 0; do
		printf '[function %s]\nimage = %s\nmemory = %s\n' "$1" \
			"$tmp/large.usetl" "$2"
		shift 2
	done
}
# says FILE: how each of the functions ends up
says() {
	for name in small big huge; do
		call $name '{}'
		echo "$name $status $(json '(d or {}).get("x")')"
	done >"$1"
}
n=3
sized no small 96M big 256M huge 512M >"$tmp/sized.conf"
serve_or_end -c "$tmp/sized.conf"
ok "alone three sizes are ready" await all_ready
says "$tmp/sized"
is "the smallest has no room" "$(cat "$tmp/sized")" \
	"small 200 0
big 200 $((96 << 20))
huge 200 $((96 << 20))"
stop_serve
sized yes small 96M big 256M huge 512M >"$tmp/sized.conf"
serve_or_end -c "$tmp/sized.conf"
ok "together they are, the smallest first" await all_ready
says "$tmp/now"
ok "each has what it has alone" cmp "$tmp/sized" "$tmp/now"
is "who has room shares packages" "$(count usetl-base)" 2
like "why the other one does not is said" "$tmp/serve.err" \
	"function 'small': its packages .* alone: shared they have 1[0-9]* MB"
stop_serve
sized yes big 256M small 96M huge 512M >"$tmp/sized.conf"
serve_or_end -c "$tmp/sized.conf"
ok "together they are, the smallest later" await all_ready
says "$tmp/now"
ok "each has what it has alone, then too" cmp "$tmp/sized" "$tmp/now"
stop_serve

# what booted is kept, level by level, and a runtime that ends comes back
cat >"$tmp/kept.conf" <<END
[serve]
store = $tmp/kept
[pool]
share = yes
[function a]
image = $tmp/plain.usetl
[function b]
image = $tmp/plain.usetl
memory = 256M
[function c]
image = $tmp/states.usetl
END
n=3
kept() {
	test "$("$usetl" store --store "$tmp/kept" list | awk '{ print $NF }' |
		sort | tr '\n' ' ')" = "$1"
}
serve_or_end -c "$tmp/kept.conf"
ok "three are ready" await all_ready
ok "all levels come to be in the store" await kept \
	'a b c packages packages runtime '
for name in a b c; do
	call $name '{}'
	json '[d["x"], d["modules"]]'
done >"$tmp/first"
stop_serve
serve_or_end -c "$tmp/kept.conf"
ok "three are ready again" await all_ready
is "all from the store" "$(grep -c 'from the store' "$tmp/serve.err")" 3
unlike "nothing of it is wrong" "$tmp/serve.err" 'store: '
is "with three bases" "$(count usetl-base)" 3
same_as_first() {
	for name in a b c; do
		call $name '{}'
		json '[d["x"], d["modules"]]'
	done >"$tmp/now"
	cmp "$tmp/first" "$tmp/now"
}
ok "and they are what they were" same_as_first
for p in $(processes usetl-base); do
	kill -9 "$p"
done
three_bases() {
	same_as_first && test "$(count usetl-base)" = 3
}
ok "bases that were killed come back" await three_bases
unlike "each as it was" "$tmp/serve.err" 'alone'
stop_serve
# the largest is the runtime, the next ones packages
for p in $(find "$tmp/kept/snapshots" -type f -printf '%s %p\n' | sort -rn |
	sed -n '2,3s/.* //p'); do
	printf x | dd of="$p" bs=1 seek=70000 conv=notrunc 2>/dev/null
done
serve_or_end -c "$tmp/kept.conf"
ok "with damaged packages they come up" await all_ready
like "and that is said" "$tmp/serve.err" 'store: snapshot .* was changed'
ok "answering as before" same_as_first
stop_serve

# who bakes again begins with these imported: the image is the same as without
f=$tmp/src/again
mkdir "$f"
rebake() {
	"$usetl" bake --no-store -o "$tmp/anew.usetl" "$f" >"$tmp/anew.out" \
		2>"$tmp/anew.err"
	"$usetl" bake --store "$tmp/rebakes" -o "$tmp/rebaked.usetl" "$f" \
		>"$tmp/again.out" 2>"$tmp/again.err"
	# a slow machine hears of progress, too
	for err in anew again; do
		grep -v ' so far' "$tmp/$err.err" >"$tmp/$err.said"
	done
	{
		cmp "$tmp/rebaked.usetl" "$tmp/anew.usetl" &&
			diff "$tmp/anew.said" "$tmp/again.said"
	} >&2
}
imports() {
	"$usetl" inspect --json "$tmp/rebaked.usetl" >"$tmp/out"
	json '" ".join(d["preload"] or [])'
}
snapshots() {
	"$usetl" store --store "$tmp/rebakes" list | awk '$1 == "snapshot" {
		print $NF }' | sort | tr '\n' ' '
}
# again NAME MODULES TEXT
again() {
	printf '%s\n' "$3" 'import report' 'X = 0' \
		'def handler(event, context): return report.of(globals())' \
		>"$f/app.py"
	ok "$1: the image is the same as without a store" rebake
	is "$1: so is what it shares" "$(imports)" "\"$2\""
}
cp "$preloads/report.py" "$f"
sed "s/^name = .*/name = again/;s/^handler = .*/handler = app.handler/" \
	"$tmp/src/plain/function.ini" >"$f/function.ini"
again "baked first" "low csv envpkg" "import low, csv, envpkg"
is "the first time nothing is kept" "$(snapshots)" ""
again "another line" "low csv envpkg" "import low, csv, envpkg
Y = 1"
is "the second time what was imported is" "$(snapshots)" "packages runtime "
again "one more" "low csv envpkg plainpkg" "import low, csv, envpkg
import plainpkg"
again "others" "envpkg plainpkg" "import envpkg, json, plainpkg"
again "a draw behind them" "envpkg plainpkg" "import envpkg, plainpkg
import drawpkg"
like "and who bakes hears of it" "$tmp/again.err" "drew randomness"
echo 'WHOSE = "the function"' >"$f/csv.py"
again "a module of its own" "envpkg low" "import envpkg, low
import plainpkg"
again "none" "" "import sys
sys.path.append('/x')
import low"
rm "$f/csv.py"
again "some again" "low" "import low"
again "and again" "low" "import low
Y = 3"
printf 'import low\nimport badpkg\ndef handler(e, c): return 0\n' >"$f/app.py"
fails "a rebake that fails" 1 "$usetl" bake --store "$tmp/rebakes" \
	-o "$tmp/rebaked.usetl" "$f"
like "says why, once" "$tmp/err" 'OSError: not on this machine'
is "with one traceback" "$(grep -c Traceback "$tmp/err")" 1
plan
