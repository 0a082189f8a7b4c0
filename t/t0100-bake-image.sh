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
is "image: the members of an OCI layout, and two layers" "$(sed \
	's|^blobs/sha256/[0-9a-f]\{64\}$|blob|' "$tmp/out" | tr '\n' ' ')" \
	"oci-layout index.json blob blob blob blob "
is "image: each blob is named by its digest" "$(for b in $(sed 1,2d "$tmp/out")
do
	tar xOf "$tmp/a.usetl" "$b" | sha256sum | cut -c 1-64
done)" "$(sed '1,2d; s|.*/||' "$tmp/out")"

# layers IMAGE: their members go to $tmp/layer.0 and on
layers() {
	rm -f "$tmp"/layer.*
	n=0
	for b in $(tar tf "$1" | sed 1,4d); do
		tar xOf "$1" "$b" | tar t >"$tmp/layer.$n" 2>>"$tmp/err" ||
			return
		n=$((n + 1))
	done
}
: >"$tmp/err"
layers "$tmp/a.usetl"
is "tar lists the layers without a complaint" "$(cat "$tmp/err")" ""
like "app layer: the function is in it" "$tmp/layer.1" '^app/app.py$'
unlike "app layer: nothing of the runtime is in it" "$tmp/layer.1" \
	'python3\.|^usetl/(boot|lib)'
is "app layer: its index is the last" "$(tail -n 1 "$tmp/layer.1")" \
	"usetl/index"
like "runtime layer: the interpreter is in it" "$tmp/layer.0" '/python3'
unlike "runtime layer: no tests of the standard library" \
	"$tmp/layer.0" 'lib/python3[^/]*/test/'
unlike "runtime layer: no byte code of other interpreters" "$tmp/layer.0" \
	"pycache__.*\.opt-"
grep '^usetl/.*\.py$' "$tmp/layer.0" | sort >"$tmp/got"
(cd "$top/unikernel/python" && find . -name '*.py') |
	sed 's|^\./|usetl/lib/|; s|/lib/boot\.py$|/boot.py|' |
	sort >"$tmp/want"
ok "runtime layer: the whole runtime is in it" diff "$tmp/want" "$tmp/got"

mkdir "$tmp/x"
tar xOf "$tmp/a.usetl" "$(tar tf "$tmp/a.usetl" | tail -n 1)" >"$tmp/x/layer"
ok "tar extracts a file of a layer" \
	tar xf "$tmp/x/layer" -C "$tmp/x" app/app.py
is "layer: the function's file is what it was" \
	"$(cat "$tmp/x/app/app.py")" "$(cat "$t/functions/echo/app.py")"

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

# layers: who has the same below has the same layers
# digests IMAGE: "name digest" of each layer, a line each
digests() {
	"$usetl" inspect --json "$1" >"$tmp/out" 2>"$tmp/err" &&
		"$python" -c 'import json, sys
for layer in json.load(open(sys.argv[1]))["layers"]:
    print(layer["name"], layer["sha256"])' "$tmp/out"
}
# packaged NAME [LINE...]: $tmp/NAME.usetl, with a module and those lines
packaged() {
	name=$1
	shift
	mkdir -p "$tmp/src/$name/folder"
	echo 'A = 1' >"$tmp/src/$name/folder/module.py"
	touch -r "$t/functions/echo/app.py" "$tmp/src/$name/folder/module.py"
	echo "def handler(event, context): return '$name'" \
		>"$tmp/src/$name/app.py"
	printf '%s\n' '[function]' "name = $name" 'handler = app.handler' \
		'exclude = folder' "$@" >"$tmp/src/$name/function.ini"
	ok "bake $name" "$usetl" bake --no-check -o "$tmp/$name.usetl" \
		"$tmp/src/$name"
}
packaged one 'memory = 96M' '[packages]' 'path = folder' '[environment]' 'A = b'
packaged two "runtime = $(readlink -f "$(command -v "$python")")" \
	'[packages]' 'path = folder'
digests "$tmp/a.usetl" >"$tmp/echo.layers"
digests "$tmp/one.usetl" >"$tmp/one.layers"
digests "$tmp/two.usetl" >"$tmp/two.layers"
is "layers: one without packages has two" \
	"$(cut -d ' ' -f 1 "$tmp/echo.layers" | tr '\n' ' ')" "runtime app "
is "layers: one with packages has three" \
	"$(cut -d ' ' -f 1 "$tmp/one.layers" | tr '\n' ' ')" \
	"runtime packages app "
is "layers: one interpreter, one runtime layer" \
	"$(grep -h ^runtime "$tmp"/*.layers | sort -u | wc -l)" 1
is "layers: the same packages, one packages layer" \
	"$(grep -h ^packages "$tmp"/*.layers | sort -u | wc -l)" 1
is "layers: another function, another app layer" \
	"$(grep -h ^app "$tmp"/*.layers | sort -u | wc -l)" 3

if command -v skopeo >/dev/null; then
	ok "skopeo inspects the image" skopeo inspect \
		"oci-archive:$tmp/one.usetl"
	is "skopeo: the layers' digests are those of inspect" \
		"$(json '" ".join(d["Layers"])' | tr -d '"')" \
		"$(sed 's/.* /sha256:/' "$tmp/one.layers" | tr '\n' ' ' |
			sed 's/ $//')"
	ok "skopeo copies the image" skopeo copy --preserve-digests \
		"oci-archive:$tmp/one.usetl" "oci:$tmp/copied"
	is "skopeo: a copy has the same blobs" \
		"$(ls "$tmp/copied/blobs/sha256" | sort)" \
		"$(tar tf "$tmp/one.usetl" | sed '1,2d; s|.*/||' | sort)"
else
	skip "skopeo inspects the image" "there is no skopeo"
fi

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
mkdir "$tmp/usetl"
head -c 9000 /dev/zero >"$tmp/usetl/manifest.json"
tar cf "$tmp/older.usetl" -C "$tmp" usetl/manifest.json
fails "an image of format 1" 1 "$usetl" inspect "$tmp/older.usetl"
is "an image of format 1: one line says so" \
	"$(wc -l <"$tmp/err" | tr -d ' ')" 1
like "an image of format 1: what to do" "$tmp/err" 'format 1.*bake it again'
cp "$tmp/older.usetl" "$tmp/replaced.usetl"
ok "an image of format 1 is replaced" "$usetl" bake --no-check \
	-o "$tmp/replaced.usetl" "$tmp/src/echo"
tar cf "$tmp/other.usetl" -C "$tmp/src" echo
fails "another tar is no image" 1 "$usetl" inspect "$tmp/other.usetl"
plan
