#!/bin/sh
# bake, and what an image is: a tar, the same bytes from the same input
. "$(dirname "$0")/lib.sh"
need_usetl
need_python

copy_function echo
ok "bake" "$usetl" bake --no-check -o "$tmp/a.usetl" "$tmp/src/echo"
test -s "$tmp/a.usetl" || plan
is "one line says what was baked" \
	"$(cat "$tmp/out" "$tmp/err" | grep -c baked)" 1

ok "tar lists the image" tar tf "$tmp/a.usetl"
is "tar lists the image without a complaint" "$(cat "$tmp/err")" ""
like "image: the manifest is in it" "$tmp/out" '^usetl/manifest.json$'
like "image: the function is in it" "$tmp/out" '^root/app/app.py$'
like "image: the interpreter is in it" "$tmp/out" '/python3'
unlike "image: no tests of the standard library" \
	"$tmp/out" 'lib/python3[^/]*/test/'
unlike "image: no byte code of other interpreters" "$tmp/out" \
	"pycache__.*\.opt-"
grep '^root/usetl/.*\.py$' "$tmp/out" | sort >"$tmp/got"
(cd "$top/unikernel/python" && find . -name '*.py') |
	sed 's|^\./|root/usetl/lib/|; s|/lib/boot\.py$|/boot.py|' |
	sort >"$tmp/want"
ok "the whole runtime is in it" diff "$tmp/want" "$tmp/got"

mkdir "$tmp/x"
ok "tar extracts a file of the image" \
	tar xf "$tmp/a.usetl" -C "$tmp/x" root/app/app.py
is "image: the function's file is what it was" \
	"$(cat "$tmp/x/root/app/app.py")" "$(cat "$t/functions/echo/app.py")"

touch "$tmp/src/echo/app.py"
cp -r "$tmp/src/echo" "$tmp/elsewhere"
touch -r "$tmp/src/echo/app.py" "$tmp/elsewhere/app.py"
touch -r "$tmp/src/echo/function.ini" "$tmp/elsewhere/function.ini"
ok "bake the same folder again" "$usetl" bake --no-check -o "$tmp/b.usetl" \
	"$tmp/src/echo"
ok "bake a copy of the folder" "$usetl" bake --no-check -o "$tmp/c.usetl" \
	"$tmp/elsewhere"
ok "a copy of the folder gives the same bytes" \
	cmp "$tmp/b.usetl" "$tmp/c.usetl"

ok "inspect" "$usetl" inspect "$tmp/a.usetl"
like "inspect names the function" "$tmp/out" 'echo'
like "inspect names the handler" "$tmp/out" 'app\.handler'
like "inspect lists the layers" "$tmp/out" 'runtime'
ok "inspect --json" "$usetl" inspect --json "$tmp/a.usetl"
is "inspect --json: it has the name" "$(json 'd["name"]')" '"echo"'
ok "inspect --verify" "$usetl" inspect --verify "$tmp/a.usetl"
ok "inspect -l" "$usetl" inspect -l "$tmp/a.usetl"
like "inspect -l lists files" "$tmp/out" 'app/app\.py'

# images that are not
size=$(wc -c <"$tmp/a.usetl")
head -c $((size / 2)) "$tmp/a.usetl" >"$tmp/short.usetl"
fails "a truncated image" 1 "$usetl" inspect "$tmp/short.usetl"
is "a truncated image: one line says so" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
fails "a truncated image: invoke does not run it" \
	1 "$usetl" invoke "$tmp/short.usetl"
like "a truncated image: invoke names the file" "$tmp/err" 'short\.usetl'

cp "$tmp/a.usetl" "$tmp/altered.usetl"
printf 'X' | dd of="$tmp/altered.usetl" bs=1 conv=notrunc \
	seek=$((size / 2)) 2>/dev/null
fails "an altered image" 1 "$usetl" inspect --verify "$tmp/altered.usetl"
like "an altered image: its digest is wrong" "$tmp/err" 'altered|digest'

head -c 20000 /dev/urandom >"$tmp/noise.usetl"
fails "noise is no image" 1 "$usetl" inspect "$tmp/noise.usetl"
: >"$tmp/empty.usetl"
fails "an empty file is no image" 1 "$usetl" inspect "$tmp/empty.usetl"
fails "an image that is not there" 1 "$usetl" inspect "$tmp/none.usetl"
like "an image that is not there: the reason" "$tmp/err" 'No such file'
tar cf "$tmp/other.usetl" -C "$tmp/src" echo
fails "another tar is no image" 1 "$usetl" inspect "$tmp/other.usetl"
plan
