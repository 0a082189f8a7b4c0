#!/bin/sh
# usetl ctl snapshot, and usetl invoke --from: a function goes on in a file
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"

USETL_VERIFY=1
export USETL_VERIFY
copy_function points
sed 's/^fork = .*/fork = boot/;s/^name = .*/name = anew/' \
	"$t/functions/points/function.ini" >"$tmp/src/points/function.ini"
take_layers
ok "bake with fork = boot" "$usetl" bake -o "$tmp/anew.usetl" \
	"$tmp/src/points"
sed '/^fork = /d' "$t/functions/points/function.ini" \
	>"$tmp/src/points/function.ini"
ok "bake without" "$usetl" bake -o "$tmp/points.usetl" "$tmp/src/points"
cat >"$tmp/u.conf" <<END
[function points]
image = points.usetl
memory = 96M
[function idle]
image = points.usetl
pool.min = 0
[function anew]
image = anew.usetl
END
snap=$tmp/points.snap
from() {
	f=$1
	shift
	"$usetl" invoke --from "$f" "$@"
}
# loaded: what LOADED was in the answer of an invoke
loaded() {
	sed -n 's/.*"loaded": "\([0-9a-f]*\)".*/\1/p' "$tmp/out"
}

serve_or_end -c "$tmp/u.conf"
call points '{}'
was=$(json 'd["loaded"]' | tr -d '"')
for f in points idle anew; do
	ok "a snapshot of $f" "$usetl" ctl snapshot $f "$tmp/$f.snap"
done
is "is its user's alone" "$(stat -c %a "$snap")" 600
is "and nothing else is left there" \
	"$(find "$tmp" -maxdepth 1 -name '.*snap*' | grep -c .)" 0
ok "another one takes its place" "$usetl" ctl snapshot points "$snap"
fails "a function that there is not" 1 "$usetl" ctl snapshot none "$tmp/n"
fails "leaves no file" 1 test -e "$tmp/n"
echo text >"$tmp/text"
fails "a file that is no snapshot" 1 "$usetl" ctl snapshot points "$tmp/text"
is "stays as it is" "$(cat "$tmp/text")" text
fails "a folder that is not there" 1 "$usetl" ctl snapshot points \
	"$tmp/none/s"
like "is named" "$tmp/err" "none/s"
call points '{}'
is "the function goes on" "$status $(json 'd["loaded"]' | tr -d '"')" \
	"200 $was"
ok "fork" "$usetl" ctl fork points
ok "a snapshot of the new one" "$usetl" ctl snapshot points "$tmp/second"
stop_serve

# without the server
ok "it goes on from there" from "$snap" -d '{}'
is "with what it had loaded" "$(loaded)" "$was"
ok "as often as one likes" from "$snap" -d '{}' --repeat 5
is "and each time from the same" "$(loaded)" "$was"
ok "with figures" from "$snap" -d '{}' --repeat 3 --stats=json
like "it was started by a snapshot, and stayed warm" "$tmp/err" \
	'"starts_warm": 2, .*"starts_snapshot": 1, "starts_boot": 0'
ok "with fork for each" from "$snap" -d '{}' --repeat 3 --recycle fork
is "too" "$(loaded)" "$was"
ok "and keep" from "$snap" -d '{}' --repeat 3 --recycle keep
like "keeps" "$tmp/out" '"calls": 3'
ok "an image that is named" from "$snap" -d '{}' "$tmp/points.usetl"
is "is no other" "$(loaded)" "$was"
fails "an error of the handler" 1 from "$snap" -d '{"raise": true}'
like "is one" "$tmp/err" KeyError
ok "of the one after the fork" from "$tmp/second" -d '{}'
ok "what it loaded is another" test "$(loaded)" != "$was"
ok "of one without a clone" from "$tmp/idle.snap" -d '{}'
ok "fork = boot" from "$tmp/anew.snap" -d '{}'
first=$(loaded)
ok "again" from "$tmp/anew.snap" -d '{}'
ok "loads anew" test "$(loaded)" != "$first"

# what is refused, each with one line
refused() {
	fails "$1" 1 from "$2" -d '{}'
	like "says so: $1" "$tmp/err" "$3"
	is "in one line: $1" "$(grep -c . "$tmp/err")" 1
}
bad() {
	cp "$snap" "$tmp/bad"
}
size=$(stat -c %s "$snap")
# flip OFFSET: one bit of $tmp/bad
flip() {
	"$python" - "$tmp/bad" "$1" <<'END'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    b = f.read(1)[0]
    f.seek(int(sys.argv[2]))
    f.write(bytes([b ^ 4]))
END
}
changed='was cut short or changed'
for at in 0 9 40 5000 $((0x4000)) $((0x4000 + 90)) $((size / 2)) \
	$((size - 1)); do
	bad
	flip "$at"
	refused "a bit at $at" "$tmp/bad" "$changed|no snapshot of this"
done
for len in 0 7 100 $((0x4000)) $((0x5000)) $((size - 4096)) $((size - 1)); do
	bad
	truncate -s "$len" "$tmp/bad"
	refused "$len bytes of it" "$tmp/bad" "$changed|no snapshot of this"
done
bad
cat /dev/zero 2>/dev/null | head -c 4096 >>"$tmp/bad"
refused "bytes behind it" "$tmp/bad" "$changed"
bad
chmod 660 "$tmp/bad"
refused "one that others may write" "$tmp/bad" 'others may write it'
refused "an image" "$tmp/points.usetl" 'no snapshot of this'
refused "a folder" "$tmp" 'no file'
mkfifo "$tmp/fifo"
refused "a FIFO" "$tmp/fifo" 'no file'
refused "one that is not there" "$tmp/none" 'No such file'
if test "$(id -u)" = 0; then
	bad
	chown 65534 "$tmp/bad"
	refused "another user's" "$tmp/bad" "another user's"
fi

for other in kvm process; do
	test "$other" != "$tender" || continue
	"$usetl" invoke --tender="$other" "$tmp/points.usetl" \
		>/dev/null 2>&1 || continue
	fails "by another tender" 1 from "$snap" -d '{}' --tender=$other
	like "it says who made it, and what to type" "$tmp/err" \
		"made by another tender; .*invoke --tender=$tender --from"
done
mv "$tmp/points.usetl" "$tmp/moved.usetl"
refused "an image that was moved" "$snap" \
	"points.usetl.*; .usetl invoke --from $snap IMAGE. says where"
ok "and that line is right" from "$snap" -d '{}' "$tmp/moved.usetl"
mv "$tmp/moved.usetl" "$tmp/points.usetl"
echo '# other' >>"$tmp/src/points/app.py"
ok "the image is baked again" "$usetl" bake -o "$tmp/points.usetl" \
	"$tmp/src/points"
refused "another image" "$snap" \
	"is not the image that it was made from; .usetl invoke --from $snap"
fails "no image" 1 from "$snap" -d '{}' "$tmp/none.usetl"

# its image may be a thin one, whose layers are in a store
ok "a thin image" "$usetl" bake --thin --store "$tmp/layers" \
	-o "$tmp/thin.usetl" "$tmp/src/points"
serve_or_end --store "$tmp/layers" "$tmp/thin.usetl"
ok "a snapshot of it" "$usetl" ctl snapshot points "$tmp/thin.snap"
stop_serve
ok "it goes on with that store" from "$tmp/thin.snap" -d '{}' \
	--store "$tmp/layers"
fails "and not without" 1 env XDG_DATA_HOME="$tmp/none" "$usetl" invoke \
	--from "$tmp/thin.snap" -d '{}'
before=$(find "$tmp/layers" -type f | sort)
ok "nothing is kept there" test "$before" = "$(find "$tmp/layers" -type f | sort)"

# where an image is wanted
for c in invoke inspect; do
	fails "$c of a snapshot" 1 "$usetl" $c "$snap"
	is "$c of a snapshot: what is for it" "$(cat "$tmp/err")" \
		"usetl $c: '$snap' is a snapshot, and no image; go on from it: usetl invoke --from '$snap'"
	fails "$c of another file" 1 "$usetl" $c "$tmp/text"
	is "$c of another file: what it is not" "$(cat "$tmp/err")" \
		"usetl $c: '$tmp/text' is not a usetl image"
done

# what it lies over, the runtime or packages that functions share, and these
# booted or come from the server's store
# module IMPORT VALUE: what it loads is its own
module() {
	cat <<END
import os
$1

LOADED = os.urandom(8).hex()

def handler(event, context):
    return {"loaded": LOADED, "x": $2}
END
}
mkdir -p "$tmp/src/over" "$tmp/src/shares"
module 'import json' 'json.loads("7")' >"$tmp/src/over/app.py"
module 'import plainpkg' plainpkg.X >"$tmp/src/shares/app.py"
cat >"$tmp/src/over/function.ini" <<END
[function]
name = over
handler = app.handler
END
sed 's/over/shares/' "$tmp/src/over/function.ini" - \
	>"$tmp/src/shares/function.ini" <<END
[packages]
path = $t/functions/preloads/packages
END
for of in over shares; do
	ok "bake $of" "$usetl" bake -o "$tmp/$of.usetl" "$tmp/src/$of"
done
cat >"$tmp/shares.conf" <<END
[function shares]
image = shares.usetl
[function over]
image = over.usetl
END
{
	printf '[serve]\nstore = %s\n' "$tmp/kept"
	cat "$tmp/shares.conf"
} >"$tmp/kept.conf"

# goes_on WHEN: a snapshot of each is of what the server has
goes_on() {
	for of in over shares; do
		call $of '{}'
		was=$(json 'd["loaded"]' | tr -d '"')
		ok "$1: a snapshot of $of" "$usetl" ctl snapshot $of \
			"$tmp/$of.snap"
		ok "$1: $of goes on" from "$tmp/$of.snap" -d '{}'
		is "$1: from what $of had loaded" "$(loaded)" "$was"
		rm -f "$tmp/$of.snap"
	done
}
# forked WHEN: the same of new ones
forked() {
	for of in over shares; do
		ok "$1: fork of $of" await "$usetl" ctl fork $of
	done
	goes_on "$1, then fork"
}
two_bases() {
	test "$(processes usetl-base | grep -c .)" = 2
}
in_store() {
	test "$("$usetl" store --store "$tmp/kept" list | grep -c .)" = 4
}
serve_or_end -c "$tmp/shares.conf"
ok "no store: packages are shared" await two_bases
goes_on "no store"
stop_serve
serve_or_end -c "$tmp/kept.conf"
ok "into the store: packages are shared" await two_bases
ok "into the store: all is there" await in_store
goes_on "into the store"
forked "into the store"
stop_serve
serve_or_end -c "$tmp/kept.conf"
ok "from the store: packages are shared" await two_bases
for of in over shares; do
	wait_for "$tmp/serve.err" "'$of' is ready" "$serve_pid"
	like "from the store: $of is" "$tmp/serve.err" \
		"'$of' is ready: .*from the store"
done
goes_on "from the store"
forked "from the store"

# either base is killed: what is below a new one is whole
# bases: that of packages is a child of the other
bases() {
	for p in $(processes usetl-base); do
		state "$(ps -o ppid= -p "$p" | tr -d ' ')"
		case $comm in
		usetl-base) packages=$p ;;
		*) runtime=$p ;;
		esac
	done
	is "$1: there are two bases" "${packages:+1}${runtime:+1}" 11
}
packages='' runtime=''
bases "before one is killed"
kill -9 "$packages"
gone "$packages" >"$tmp/why"
ok "packages are killed: others boot" await two_bases
forked "packages are killed"
packages='' runtime=''
bases "before the other is killed"
kill -9 "$runtime"
gone "$runtime" >"$tmp/why"
ok "the runtime is killed: another one boots" await two_bases
fails "the runtime is killed: no snapshot of what was over it" 1 \
	"$usetl" ctl snapshot shares "$tmp/n"
like "the runtime is killed: it says what makes one" "$tmp/err" \
	'its runtime has ended since; fork makes another one'
forked "the runtime is killed"
stop_serve

# usage
for args in '--trace' '--gdb' 'http://127.0.0.1:1/function/f'
do
	# shellcheck disable=SC2086
	fails "--from with $args is a wrong command line" 2 from "$snap" $args
done
fails "neither an image nor --from" 2 "$usetl" invoke -d '{}'
plan
