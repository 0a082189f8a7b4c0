#!/bin/sh
# what booted is kept in a store: restarts, damage, strangers, two at once
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end kept echo

# all memory and registers are compared after each request
USETL_VERIFY=1
export USETL_VERIFY
store=$tmp/store
snapshots=$store/snapshots
cat >"$tmp/kept.conf" <<END
[serve]
store = $store
[pool]
share = yes
[function a]
image = $tmp/kept.usetl
[function b]
image = $tmp/kept.usetl
memory = 128M
[function not]
image = $tmp/kept.usetl
store = no
[function c]
image = $tmp/echo.usetl
END
ready() {
	test "$(grep -c 'is ready' "$tmp/serve.err")" = 4
}
# serve_all: all four are ready
serve_all() {
	serve_or_end -c "$tmp/kept.conf" "$@"
	await ready || fail "four functions are ready" "$tmp/serve.err"
}
# kept N: so many files are there, whole
kept() {
	test "$(ls "$snapshots" 2>/dev/null | grep -c .)" = "$1"
}
boot_of() {
	call "$1" '{}'
	json 'd["boot"]'
}
said() {
	grep -c "$1" "$tmp/serve.err"
}

serve_all
is "the first time nothing is from a store" "$(said 'from the store')" 0
a=$(boot_of a) b=$(boot_of b) not=$(boot_of not)
ok "a runtime and three functions come to be there" await kept 4
# shellcheck disable=SC2012
is "for nobody else to see" "$(ls -ld "$store" "$snapshots" "$snapshots"/* |
	cut -c 1-10 | sort -u | tr '\n' ' ')" '-rw------- drwx------ '
stop_serve

serve_all
is "the second time three are from there" "$(said 'from the store')" 3
like "and this is said of each" "$tmp/serve.err" \
	"'a' is ready: app.handler, from the store, [0-9.]* MB, digest"
is "a was not booted again" "$(boot_of a)" "$a"
is "nor was b" "$(boot_of b)" "$b"
ok "what is not to be kept was" test "$(boot_of not)" != "$not"
call c '{"n": 7}'
is "c" "$status $(json d)" '200 {"n": 7}'
is "no reference runs for them" "$(processes usetl-ref | grep -c .)" 1

"$usetl" store --store "$store" list >"$tmp/out" 2>"$tmp/err"
is "usetl store lists them" "$(sed 's/  */ /g' "$tmp/out" |
	grep -Ec '^snapshot [0-9a-f]{12} [0-9.]+ MB used .* (runtime|a|b|c)$')" 4
ok "and finds nothing wrong" "$usetl" store --store "$store" verify
ok "what was used stays" "$usetl" store --store "$store" gc
ok "in the store" kept 4

# requests of one snapshot know nothing of each other
drawn() {
	for i in 1 2 3 4; do
		call a '{}'
		test "$(json 'd["calls"]')" = 1 || echo "calls: $(cat "$tmp/out")"
		json '[d["drawn"], d["urandom"]]'
	done
}
first=$(drawn)
stop_serve
serve_all
second=$(drawn)
is "what they draw is drawn once, in either life" \
	"$(printf '%s\n%s\n' "$first" "$second" | sort -u | grep -c .)" 8
call a '{"nap": 0.02}'
is "time goes on from where it was" \
	"$status $(json '[d["later"], d["slept"]]')" '200 [true, true]'
for p in $(processes usetl-base); do
	kill -9 "$p"
done
again() {
	test "$(boot_of a) $(boot_of b)" = "$a $b"
}
ok "a runtime that is killed comes from there, too" await again
curl -sS -m 60 "$url/function" >"$tmp/out"
is "what requests found is told" "$(json \
	'sorted({k for f in d for k in f["starts"]})')" \
	'["boot", "clone", "shell", "snapshot", "warm"]'
is "a's were warm, or made from its snapshot" "$(json \
	'[f["starts"]["snapshot"] > 0 and f["starts"]["warm"] > 0 and
	f["starts"]["boot"] == 0 for f in d if f["name"] == "a"]')" '[true]'
stop_serve

# the runtime is the larger one
base() {
	find "$snapshots" -type f -size +8M | head -n 1
}
function_files() {
	find "$snapshots" -type f -size -8M
}
function_file() {
	function_files | head -n 1
}
# damaged NAME LINE: it is said, and answers are right
damaged() {
	serve_all
	like_soon "$1: it is said" "$tmp/serve.err" "store: $2"
	call a '{}'
	is "$1: and booted" "$status $(json 'd["calls"]')" '200 1'
	ok "$1: and kept again" await kept "$3"
	stop_serve
}
flip() {
	"$python" - "$1" "$2" <<'END'
import os, sys
with open(sys.argv[1], "r+b") as file:
    at = int(sys.argv[2])
    if at < 0:
        at += os.fstat(file.fileno()).st_size
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes([byte ^ 0x40]))
END
}
shorten() {
	truncate -s "$(($(stat -c %s "$1") * 2 / 3))" "$1"
}
shorten "$(base)"
damaged "a runtime cut short" 'snapshot [0-9a-f]* was cut short or changed' 7
flip "$(base)" 4000000
damaged "a runtime with another bit" 'snapshot [0-9a-f]* was changed' 10
flip "$(base)" -4000
damaged "an end with another bit" 'snapshot [0-9a-f]* was cut short' 13
rm -rf "$store"
serve_all
ok "the store is made anew" await kept 4
stop_serve
flip "$(function_file)" 70000
fails "usetl store finds it" 1 "$usetl" store --store "$store" verify
like "and names it" "$tmp/out" '^[0-9a-f]{64}: its checksum is another one'
damaged "a function with another bit" 'snapshot [0-9a-f]* was changed' 4
for f in "$snapshots"/*; do
	: >"$f"
done
damaged "all of them are empty" 'snapshot [0-9a-f]* was cut short' 7

rm -rf "$store"
serve_all
ok "the store is made anew" await kept 4
stop_serve
touch -d '2 minutes ago' "$snapshots"/*
before=$(function_files)
shorten "$(base)"
serve_all
# all of them are over one that is no longer there
anew() {
	kept 4 && for f in $before; do
		test ! -e "$f" || return 1
	done
}
ok "with another runtime what was over the one before goes" await anew
stop_serve
f=$(function_file)
rm "$f"
mkdir -p "$f/folder"
serve_all
like_soon "a folder in a file's place: what to remove is said" \
	"$tmp/serve.err" "store: '$f' is a folder; remove it\$"
call a '{}'
is "a folder in a file's place: it is booted" "$status" 200
stop_serve
is "a folder in a file's place: that is the only line" \
	"$(grep -c 'store: ' "$tmp/serve.err")" 1
rm -r "$f"
serve_all
ok "without it all is kept again" await kept 4
stop_serve
unlike "and nothing is wrong" "$tmp/serve.err" 'store: '
chmod 666 "$(base)"
serve_all
like_soon "what others can write is not trusted" "$tmp/serve.err" \
	'can be written by others'
ok "and booted" test "$(boot_of a)" != "$a"
stop_serve
if test "$(id -u)" = 0; then
	chown nobody "$(base)"
	serve_all
	like_soon "nor is what belongs to others" "$tmp/serve.err" \
		'belongs to another user'
	stop_serve
	chown -R nobody "$store"
	serve_all
	like_soon "nor their store" "$tmp/serve.err" \
		'nothing is kept in a store: .*belongs to another user'
	call a '{}'
	is "without one" "$status $(json 'd["calls"]')" '200 1'
	stop_serve
fi
rm -rf "$store"
: >"$store"
serve_all
like_soon "a file in its place" "$tmp/serve.err" \
	'nothing is kept in a store: .*Not a directory'
stop_serve
rm -f "$store"

# a full disk
if test "$(id -u)" = 0 && unshare -m true 2>/dev/null; then
	mkdir -m 700 "$store"
	real=$usetl
	cat >"$tmp/full" <<END
#!/bin/sh
exec unshare -m sh -c 'mount -t tmpfs -o size=2m,mode=700 none "$store" &&
	exec "$real" "\$@"' sh "\$@"
END
	chmod +x "$tmp/full"
	usetl=$tmp/full
	serve_all
	like_soon "a full disk is said" "$tmp/serve.err" \
		"store: cannot write '$store': No space left"
	call a '{}'
	is "and nothing else comes of it" "$status $(json 'd["calls"]')" \
		'200 1'
	stop_serve
	usetl=$real
else
	skip "a full disk" "only root can mount one"
fi

# two at once, killed while they write
rm -rf "$store"
for i in 1 2 3; do
	"$usetl" serve -l 127.0.0.1:0 -c "$tmp/kept.conf" >"$tmp/other.err" \
		2>&1 &
	other=$!
	serve_all
	call a '{}'
	is "beside another, round $i" "$status $(json 'd["calls"]')" '200 1'
	sleep "0.$i"
	kill -9 "$serve_pid" "$other"
	wait "$serve_pid" "$other" 2>/dev/null
	serve_pid=
done
serve_all
unlike "nothing of what was killed is taken for whole" "$tmp/serve.err" \
	'store: '
again_kept() {
	test "$(find "$snapshots" -type f -size +8M | grep -vc '/\.')" -ge 1
}
ok "and what is there in the end is whole" await again_kept
stop_serve
serve_all
is "and served from" "$(said 'from the store')" 3
stop_serve

# an image that was altered, whose snapshot is there: refused at once
cp "$tmp/echo.usetl" "$tmp/altered.usetl"
flip "$tmp/altered.usetl" -9000
sed "s,echo,altered," "$tmp/kept.conf" >"$tmp/hup.conf"
sed "/^\[function c\]/,+1d" "$tmp/kept.conf" >"$tmp/now.conf"
serve_or_end -c "$tmp/now.conf"
cp "$tmp/hup.conf" "$tmp/now.conf"
kill -HUP "$serve_pid"
like_soon "an altered image is refused" "$tmp/serve.err" \
	"function 'c' cannot boot: .*altered"
sleep 1
call c '{}' -m 20
is "and its requests at once, whatever the store has" "$status $(json \
	'"cannot boot" in d["errorMessage"]')" '503 true'
call b '{}'
is "others go on" "$status" 200
stop_serve

# an age that is over, and another limit
sed 's/^share = yes/&\nrefresh = 1s/' "$tmp/kept.conf" >"$tmp/old.conf"
sleep 2
serve_or_end -c "$tmp/old.conf"
await ready
is "what is older than pool.refresh is not used" "$(said 'from the store')" 0
# new references take the place of the ones that are there
refreshed() {
	curl -sS -m 60 "$url/function" >"$tmp/out"
	test "$(json 'min(f["refreshes"] for f in d) > 2')" = true
}
ok "functions are refreshed, again and again" await refreshed
stop_serve
listed() {
	"$usetl" store --store "$store" list | grep -c "  $1\$"
}
ok "of each function one snapshot is kept" test \
	"$(listed a)" -le 3 -a "$(listed runtime)" -le 2
ok "gc by age takes them" "$usetl" store --store "$store" --age 0 gc
# but for what a killed one was writing, for a day
is "all of them" "$(find "$snapshots" -type f -name '[!.]*' | grep -c .)" 0

# usetl invoke
invoke() {
	"$usetl" invoke --store "$tmp/mine" --stats=json "$tmp/kept.usetl" \
		>"$tmp/out" 2>"$tmp/err"
}
ok "usetl invoke keeps what it booted" invoke
first=$(json 'd["boot"]')
ok "and runs it" invoke
is "it is the same" "$(json 'd["boot"]')" "$first"
cp "$tmp/err" "$tmp/out"
is "by a snapshot" "$(json 'd["starts_snapshot"]')" 1
# an image that was verified is not read again, as long as it is the same file
cp "$tmp/kept.usetl" "$tmp/own.usetl"
touch -d '2 days ago' "$tmp/own.usetl" "$tmp/times"
own() {
	"$usetl" invoke --store "$tmp/mine" "$tmp/own.usetl" >"$tmp/out" \
		2>"$tmp/err"
}
verified() {
	find "$tmp/mine/keys" -name 'verified-*' | grep -c .
}
before=$(verified)
sleep 3.5
ok "an image is verified" own
ok "which is remembered" test "$(verified)" -gt "$before"
ok "it runs" own
flip "$tmp/own.usetl" 30000000
touch -r "$tmp/times" "$tmp/own.usetl"
sleep 3.5
fails "another bit in it, and the old times: it is refused" 1 own
like "by its digest" "$tmp/err" "digest"
chmod 666 "$tmp/own.usetl"
fails "what others may write is always read" 1 own

USETL_VERIFY= ok "who does not compare keeps others" invoke
chmod 755 "$tmp/mine/snapshots"
ok "its store may be read by others" invoke
chmod 777 "$tmp/mine/snapshots"
ok "but not written" invoke
like "and that is said" "$tmp/err" \
	'nothing is kept in a store: .*can be written by others'

# nothing is compared: files are mapped, and the clone is the only process
unset USETL_VERIFY
mine=$tmp/mapped
mapped() {
	"$usetl" invoke --store "$mine" --stats=json "$@" "$tmp/kept.usetl" \
		>"$tmp/out" 2>"$tmp/err"
}
# kind NAME: the store's file of that name, the one that was used last
kind() {
	"$usetl" store --store "$mine" list >"$tmp/list"
	id=$(sed -n "s/^snapshot *\([0-9a-f]*\) .* $1\$/\1/p" "$tmp/list" |
		head -n 1)
	find "$mine/snapshots" -name "$id*"
}
anew() {
	rm -rf "$mine"
	mapped || fail "it boots" "$tmp/err"
}
by_snapshot() {
	grep -o '"starts_snapshot": [0-9]*' "$tmp/err"
}
anew
first=$(json 'd["boot"]')
ok "a function that is kept is mapped" mapped
is "and the same" "$(json 'd["boot"]')" "$first"
is "by a snapshot" "$(by_snapshot)" '"starts_snapshot": 1'

# a process 1 that is no init has what each command has left by its end
cat >"$tmp/adopts.py" <<'END'
import ctypes
import os
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
status = subprocess.run(sys.argv[1:], check=False).returncode
time.sleep(0.2)
left = 0
try:
    while True:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        left += 1
        if pid == 0:
            time.sleep(1)
except ChildProcessError:
    pass
sys.exit(status or left)
END
ok "invoke from the store leaves no process, ended or not" \
	python3 "$tmp/adopts.py" "$usetl" invoke --store "$mine" \
	"$tmp/kept.usetl"
ok "nor does one that boots" \
	python3 "$tmp/adopts.py" "$usetl" invoke "$tmp/kept.usetl"
ok "nor one of a new clone each" python3 "$tmp/adopts.py" "$usetl" invoke \
	--repeat 3 --recycle fork "$tmp/kept.usetl"
ok "nor bake, which tries it" python3 "$tmp/adopts.py" "$usetl" bake \
	-o "$tmp/left.usetl" "$tmp/src/kept"
"$usetl" invoke --store "$mine" -d '{"nap": 1}' "$tmp/kept.usetl" \
	>"$tmp/out" 2>"$tmp/err" &
pid=$!
has_process() {
	children "$pid" >/dev/null
}
await has_process || fail "it has a process" "$tmp/err"
sleep 0.2
is "it has one process, whose child the guest may be" \
	"$(children "$pid" | grep -c .)" 1
# whoever reads the result reads to its end, which is not to be the clone's
open=$(for i in 0 1 2; do
	readlink "/proc/$(children "$pid")/fd/$i"
done | grep -cF "$tmp/")
if instrumented; then
	skip "it has none of its files" "it says there what it finds"
else
	is "it has none of its files" "$open" 0
fi
wait "$pid"
ok "one clone, three requests" mapped --repeat 3
is "each of them from the start" "$(json 'd["calls"]')" 1
ok "three clones" mapped --repeat 3 --recycle=fork
is "each of them from the start, too" "$(json 'd["calls"]')" 1

# overwrite FILE OFFSET: bytes that no snapshot has there
overwrite() {
	printf '\377\376\375\374' | dd of="$1" bs=1 seek="$2" conv=notrunc \
		2>/dev/null
}
# where the last of its runs is, whose list ends the head
runs_end() {
	"$python" - "$1" <<'END'
import sys
with open(sys.argv[1], "rb") as file:
    head = file.read(0x10000)
print((len(head.rstrip(b"\0")) + 3) // 4 * 4 - 4)
END
}
# wrong WHAT LINE: said in one line, and it boots; the next time it is mapped
wrong() {
	ok "$1: it runs" mapped
	is "$1: booted" "$(by_snapshot)" '"starts_snapshot": 0'
	is "$1: it is said once" "$(grep -c 'store: ' "$tmp/err")" 1
	like "$1: by its name" "$tmp/err" "store: $2"
	ok "$1: it runs again" mapped
	is "$1: and was kept" "$(by_snapshot)" '"starts_snapshot": 1'
}
for what in runtime kept; do
	anew
	overwrite "$(kind $what)" 0
	wrong "$what, no snapshot" 'snapshot [0-9a-f]* is of another usetl'
	overwrite "$(kind $what)" "$(runs_end "$(kind $what)")"
	wrong "$what, its list" 'cannot use a snapshot: its list of pages is'
	shorten "$(kind $what)"
	wrong "$what, cut short" 'snapshot [0-9a-f]* was cut short or changed'
	chmod 666 "$(kind $what)"
	ok "$what, that others can write: it runs" mapped
	like "$what, that others can write: it is said" "$tmp/err" \
		'can be written by others'

	# and what is cut short under its feet
	anew
	"$usetl" invoke --store "$mine" -d '{"nap": 1}' "$tmp/kept.usetl" \
		>"$tmp/out" 2>"$tmp/err" &
	pid=$!
	await has_process
	sleep 0.5
	truncate -s 69632 "$(kind $what)"
	wait "$pid"
	is "$what, cut short while it runs: no result" "$? $(cat "$tmp/out")" \
		'1 '
	like "$what, cut short while it runs: it is said" "$tmp/err" \
		'its snapshot in the store was cut short while it ran'
	ok "$what, cut short while it runs: the next one runs" mapped
done
# what makes no sense to the guest is looked at once that has crashed
anew
dd if=/dev/zero of="$(kind runtime)" bs=64k seek=1 count=128 conv=notrunc \
	2>"$tmp/dd"
fails "a runtime of zeros: it crashes" 1 mapped
like "a runtime of zeros: and why" "$tmp/err" \
	'its snapshot was damaged, and is gone now; try again'
ok "a runtime of zeros: the next one runs" mapped
is "a runtime of zeros: booted" "$(by_snapshot)" '"starts_snapshot": 0'
anew
overwrite "$(kind kept)" 40
wrong "of another base" 'snapshot [0-9a-f]* is of another usetl'

# a base that cannot be written is not waited for
deny=$(dirname "$usetl")/t/deny
if test -x "$deny"; then
	rm -rf "$mine"
	ok "no SEEK_DATA: it runs" "$deny" lseek:2:3 -- "$usetl" invoke \
		--store "$mine" "$tmp/kept.usetl"
	like "no SEEK_DATA: it is said" "$tmp/err" \
		'its runtime: store: its snapshot cannot be written'
	is "no SEEK_DATA: and nothing is kept" \
		"$(find "$mine/snapshots" -type f | grep -c .)" 0
else
	skip "a base that cannot be written" "no t/deny; make check builds it"
fi
plan
