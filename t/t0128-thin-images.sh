#!/bin/sh
# thin images, whose layers lie in the store: the same as whole ones, and what
# is said where the store does not have them
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"

store=$tmp/store
mkdir -p "$tmp/packages/p" "$tmp/src"
echo 'N = 1' >"$tmp/packages/p/__init__.py"
for f in one two; do
	mkdir "$tmp/src/$f"
	printf '%s\n' 'import json, p' 'def handler(event, context):' \
		"    return ['$f', p.N, event]" >"$tmp/src/$f/app.py"
	printf '%s\n' '[function]' "name = $f" 'handler = app.handler' \
		'[packages]' "path = $tmp/packages" >"$tmp/src/$f/function.ini"
done

# thin NAME [OPTION...]: $tmp/NAME.usetl
thin() {
	thin_name=$1
	shift
	"$usetl" bake --thin --store "$store" "$@" \
		-o "$tmp/$thin_name.usetl" "$tmp/src/$thin_name"
}

# about FILE EXPRESSION: of what inspect says of an image, as d
about() {
	"$usetl" inspect --store "$store" --json "$1" >"$tmp/out" 2>&1
	json "$2"
}

# layer KIND: its file in the store, of one.usetl
layer() {
	echo "$store/layers/sha256-$(about "$tmp/one.usetl" "[l['sha256']
		for l in d['layers'] if l['name'] == '$1'][0]" | tr -d '"')"
}

run() {
	"$usetl" invoke --store "$store" -d '{}' "$tmp/one.usetl"
}

# answers NAME: it runs, and that is all
answers() {
	run >"$tmp/out" 2>"$tmp/err"
	is "$1" "$(cat "$tmp/out" "$tmp/err")" '["one", 1, {}]'
}

# refused NAME PATTERN COMMAND...: status 1 and one line
refused() {
	refused=$1 pattern=$2
	shift 2
	fails "$refused" 1 "$@"
	is "$refused: one line" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
	like "$refused: what is said" "$tmp/err" "$pattern"
}

# flip FILE AT: another bit, and the time that it had
flip() {
	"$python" - "$1" "$2" <<'END'
import os, sys
st = os.stat(sys.argv[1])
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(-1, 1)
    file.write(bytes([byte ^ 1]))
os.utime(sys.argv[1], ns=(st.st_atime_ns, st.st_mtime_ns))
END
}

# what puts a layer back into that store
again="bake or pull it again with --thin --store '$store'"

# --- the same as whole

ok "bake" thin one --no-check
like "bake says what is where" "$tmp/out" \
	'^baked .*one.usetl: .* files, 0\.0[0-9] MB and [0-9.]+ MB in the store'
ok "bake of a whole one" "$usetl" bake --no-check --no-store \
	-o "$tmp/whole.usetl" "$tmp/src/one"
ok "it is small" test "$(stat -c %s "$tmp/one.usetl")" -lt 100000
cp "$tmp/one.usetl" "$tmp/first.usetl"
ok "bake again" thin one --no-check
ok "the same input gives the same bytes" \
	cmp "$tmp/one.usetl" "$tmp/first.usetl"
is "the store has two layers" "$(ls "$store/layers" | wc -l)" 2
rm -rf "$store"
ok "bake with an empty store" thin one --no-check
ok "which gives the same bytes" cmp "$tmp/one.usetl" "$tmp/first.usetl"
is "its digest is the whole one's" "$(about "$tmp/one.usetl" 'd["sha256"]')" \
	"$(about "$tmp/whole.usetl" 'd["sha256"]')"
is "and so are its layers'" \
	"$(about "$tmp/one.usetl" '[l["sha256"] for l in d["layers"]]')" \
	"$(about "$tmp/whole.usetl" '[l["sha256"] for l in d["layers"]]')"
is "inspect says where they are" \
	"$(about "$tmp/one.usetl" '[not l["offset"] for l in d["layers"]]')" \
	'[true, true, false]'
is "they have the same files" \
	"$("$usetl" inspect --store "$store" -l "$tmp/one.usetl" | cksum)" \
	"$("$usetl" inspect -l "$tmp/whole.usetl" | cksum)"
ok "verify" "$usetl" inspect --store "$store" --verify "$tmp/one.usetl"
is "tar lists what is in the file" "$(tar tf "$tmp/one.usetl" | wc -l)" 5
answers "it runs"
answers "it runs by what the store knows"
"$usetl" bake --thin --no-store "$tmp/src/one" >"$tmp/out" 2>"$tmp/err"
is "without a store there is none" "$? $(cat "$tmp/err")" \
	"2 usetl bake: --thin needs the store: without --no-store"

# the user's own store, where no other is named
ok "bake with the user's own store" "$usetl" bake --thin --no-check \
	-o "$tmp/own.usetl" "$tmp/src/one"
ok "it is the same image" cmp "$tmp/own.usetl" "$tmp/one.usetl"
"$usetl" invoke -d '{}' "$tmp/own.usetl" >"$tmp/out" 2>"$tmp/err"
is "invoke finds its layers there" "$(cat "$tmp/out" "$tmp/err")" \
	'["one", 1, {}]'
rm -rf "$XDG_DATA_HOME/usetl"
refused "a store that is not there" \
	"^usetl invoke: '.*own.usetl' is thin, and there is no store '.*' with" \
	"$usetl" invoke "$tmp/own.usetl"
like "what makes that one" "$tmp/err" \
	"layers: bake or pull it again with --thin, or name the store$"
refused "another store, which has none of its layers" \
	"is not in the store '$tmp/snaps': bake or pull it again with --thin --store '$tmp/snaps'$" \
	"$usetl" invoke --store "$tmp/snaps" "$tmp/own.usetl"
refused "another store that is not there" \
	"there is no store '$tmp/none' with its layers: bake or pull it again with --thin --store '$tmp/none', or name the store$" \
	"$usetl" inspect --store "$tmp/none" "$tmp/own.usetl"
ok "what that line says" "$usetl" bake --thin --store "$tmp/snaps" \
	--no-check -o "$tmp/own.usetl" "$tmp/src/one"
ok "helps" "$usetl" invoke --store "$tmp/snaps" "$tmp/own.usetl"

# two at once
rm -rf "$store"
thin one --no-check >"$tmp/a.out" 2>&1 &
a=$!
thin two --no-check >"$tmp/b.out" 2>&1 &
wait $a
a=$?
wait $!
is "two bakes at once" "$a $?" "0 0"
ok "the first is the same" cmp "$tmp/one.usetl" "$tmp/first.usetl"
ok "and all is there" "$usetl" inspect --store "$store" --verify \
	"$tmp/two.usetl"

# --- what the store does not have

runtime=$(layer runtime)
packages=$(layer packages)
digest=$(basename "$runtime" | cut -c 8-19)
# missing NAME PATTERN: nobody opens it
missing() {
	for c in invoke inspect "push" serve; do
		to=
		test $c != push || to=127.0.0.1:1/x:1
		test $c != serve || to="-l 127.0.0.1:0"
		# shellcheck disable=SC2086
		refused "$1: $c" "^usetl $c: '.*one.usetl' is thin, and $2" \
			"$usetl" $c --store "$store" "$tmp/one.usetl" $to
	done
}
mv "$runtime" "$tmp/runtime"
missing "a layer that is missing" \
	"its layer $digest \(runtime\) is not in the store '$store': $again$"
ok "bake makes it anew" thin one --no-check
ok "which gives the same image" cmp "$tmp/one.usetl" "$tmp/first.usetl"
answers "which runs"
truncate -s -4096 "$runtime"
missing "a layer that was cut short" \
	"its layer $digest \(runtime\) in the store '$store' cannot be used: it was cut short; $again$"
ok "bake after that" thin one --no-check
ok "there is the whole of it" cmp "$runtime" "$tmp/runtime"
chmod g+w "$packages"
missing "a layer that others may write" \
	"its layer [0-9a-f]* \(packages\) .*can be written by others; "
chmod g-w "$packages"
if test "$(id -u)" = 0; then
	chown 1 "$packages"
	missing "a layer of another user" ".*belongs to another user; "
	chown 0 "$packages"
	chown 1 "$store"
	refused "a store of another user" \
		"is thin, and the store of its layers cannot be opened: .* another user$" \
		"$usetl" inspect --store "$store" "$tmp/one.usetl"
	chown 0 "$store"
fi
rm "$packages"
ln -s "$runtime" "$packages"
missing "a link in a layer's place" "its layer [0-9a-f]* \(packages\) .*"
rm "$packages"
mkdir "$packages"
missing "a folder in a layer's place" ".*is a folder; remove it; "
rmdir "$packages"
ok "bake after all of that" thin one --no-check
answers "it runs again"

# what is known of a layer's bytes counts for the very file
sleep 3
answers "it is verified"
answers "which is remembered"
flip "$runtime" 20000000
refused "another bit in a layer, and the old times" \
	"'.*one.usetl' is thin, and its layer $digest \(runtime\) in the store was altered: $again$" \
	run
refused "verify finds it" "was altered: bake" \
	"$usetl" inspect --store "$store" --verify "$tmp/one.usetl"
cp "$tmp/first.usetl" "$tmp/one.usetl"
if start_serve --store "$store" "$tmp/one.usetl"; then
	like_soon "serve does not start it" "$tmp/serve.err" \
		"function 'one' cannot boot: .*its layer $digest .*altered"
	call one '{}'
	is "nor answers" "$status" 503
fi
stop_serve
ok "bake finds it, too" thin one --no-check
like "and says so" "$tmp/err" "warning: store: layer $digest was changed"
ok "there is the right one again" cmp "$runtime" "$tmp/runtime"
answers "it runs once more"

# --- a disk that is full or read-only

as() {
	unshare -m sh -c 'mount --make-rprivate / &&
		mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"' sh \
		"$@"
}
if test "$(id -u)" = 0 && as mode=700 "$store" true 2>/dev/null; then
	fails "a full store" 1 as size=2m,mode=700 "$store" "$usetl" bake \
		--thin --no-check --store "$store" -o "$tmp/full.usetl" \
		"$tmp/src/one"
	like "a full store: what is said" "$tmp/err" \
		"^usetl bake: .*No space left on device$"
	fails "a full store: no image" 1 test -e "$tmp/full.usetl"
	# shellcheck disable=SC2016
	ok "a read-only store is as good to read" unshare -m sh -c \
		'mount --make-rprivate / && mount --bind "$1" "$1" &&
		mount -o remount,bind,ro "$1" && exec "$2" invoke --store "$1" \
		-d 1 "$3"' sh "$store" "$usetl" "$tmp/one.usetl"
	is "and it runs" "$(cat "$tmp/out")" '["one", 1, 1]'
else
	skip "a full and a read-only store" "no tmpfs can be mounted"
fi

# --- gc

old() {
	find "$store/layers" "$store/keys" -type f -exec \
		touch -d "$1 days ago" {} +
}
gc() {
	"$usetl" store --store "$store" "$@" gc >"$tmp/gc" 2>&1
}
# all that bake knows of them is gone: a thin image's word is left
layers() {
	ls "$store/layers" | wc -l
}
find "$store/keys" -type f -size +1k -exec rm {} +
old 40
gc
is "gc leaves what a thin image was made with" "$(layers)" 2
gc --age 50
is "gc by an age that nothing has" "$(layers)" 2
answers "a thin image is used"
gc --age 30
is "gc leaves what was used" "$(layers)" 2
old 40
gc --age 30
is "and takes what nobody used for so long" "$(layers)" 0
missing "after that" "its layer $digest \(runtime\) is not in the store"

# --- a server

ok "bake one" thin one --no-check
ok "bake two" thin two --no-check
cat >"$tmp/serve.conf" <<END
[serve]
store = $store
[pool]
refresh = 2s
[function one]
image = $tmp/one.usetl
[function two]
image = $tmp/two.usetl
[function whole]
image = $tmp/whole.usetl
END
serve_or_end -c "$tmp/serve.conf"
is "a server of thin and whole ones" "$(for f in one two whole; do
	call $f 1 && tr '\n' ' ' <"$tmp/out"; done)" \
	'["one", 1, 1]["two", 1, 1]["one", 1, 1]'
# files without a name that it has open, by their kilobytes
unnamed() {
	for d in "/proc/$serve_pid/fd/"*; do
		case $(readlink "$d") in
		*memfd:*) ;;
		*' (deleted)') stat -Lc '%b %B' "$d" ;;
		esac
	done | awk '{ sum += $1 * $2 } END { print int(sum / 1024) }'
}
sed '/^\[function whole\]/,$d' "$tmp/serve.conf" >"$tmp/thin.conf"
stop_serve
serve_or_end -c "$tmp/thin.conf"
call one 1
ok "of a store's layers there is no copy ($(unnamed) KB)" \
	test "$(unnamed)" -lt 2000
find "$store/layers" "$store/snapshots" -type f -exec rm {} +
refreshed() {
	curl -sS -m 60 "$url/function" >"$tmp/out"
	test "$(json 'min(f["refreshes"] for f in d) > 1')" = true
}
ok "without its layers a server goes on, and boots anew" await refreshed
call two 2
is "and answers" "$status $(cat "$tmp/out")" '200 ["two", 1, 2]'
kill -HUP "$serve_pid"
like_soon "it says what is missing when it is to read its images again" \
	"$tmp/serve.err" "function 'one': '.*one.usetl' is thin, and its layer $digest .* $again; it goes on as it was$"
call one 3
is "and goes on" "$status $(cat "$tmp/out")" '200 ["one", 1, 3]'
sed -i 's/"one"\|.one., p/"eins", p/; s/'"'one'"'/"eins"/' "$tmp/src/one/app.py"
ok "another one is baked" thin one --no-check
kill -HUP "$serve_pid"
deployed() {
	call one 4
	test "$(cat "$tmp/out")" = '["eins", 1, 4]'
}
ok "which it takes" await deployed
stop_serve
is "it ends" "$serve_status" 0
plan
