#!/bin/sh
# the control socket of a server: usetl ctl list and fork, and who may ask
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"

bake_or_end points_ready
copy_function points
sed 's/^fork = .*/fork = boot/;s/^name = .*/name = anew/' \
	"$t/functions/points/function.ini" >"$tmp/src/points/function.ini"
ok "bake with fork = boot" "$usetl" bake -o "$tmp/anew.usetl" \
	"$tmp/src/points"
cat >"$tmp/u.conf" <<END
[serve]
control = u.sock
[function f]
image = points_ready.usetl
[function anew]
image = anew.usetl
pool.min = 0
END
sock=$tmp/u.sock
ctl() {
	"$usetl" ctl --control "$sock" "$@"
}
peer() {
	"$python" "$t/ctlpeer.py" "$sock" "$@"
}
# of list --json, with each function and runtime by name in d
listed() {
	ctl list --json >"$tmp/out" &&
	"$python" -c "import json, sys
d = {f['name']: f for f in json.load(open(sys.argv[1]))}
print(json.dumps($1))" "$tmp/out"
}

fails "no server" 1 ctl list
like "it says so" "$tmp/err" "no server listens at '$sock'"
serve_or_end -c "$tmp/u.conf"
is "the socket is its user's alone" "$(stat -c '%F %a' "$sock")" 'socket 600'

# list
call f '{}'
is "list: functions" "$(listed '[d["f"]["level"], d["anew"]["level"],
	d["f"]["ready"], d["f"]["clones"]["idle"], d["f"]["starts"]["warm"],
	d["anew"]["clones"]["idle"]]')" '["function", "boot", true, 1, 1, 0]'
is "list: the runtime that one of them shares" "$(listed '[
	d["runtime"]["level"], d["runtime"]["id"] == d["f"]["base"],
	d["anew"]["base"], d["runtime"]["pages"] > d["f"]["pages"] > 0]')" \
	'["runtime", true, 0, true]'
is "list: ages have no more digits than milliseconds" \
	"$(sed -n 's/.*"age": //p' "$tmp/out" |
	grep -cEx '[0-9]+\.[0-9]{1,3},')" 3
ctl list >"$tmp/out"
is "list: a table of them" "$(awk '{ print $1 }' "$tmp/out" | tr '\n' ' ')" \
	'FUNCTION runtime f anew '
# column NAME: what the row of each has in it, by the table's head
column() {
	awk -v head="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == head)
		at = i } NR > 1 { print $at }' "$tmp/out" | tr '\n' ' '
}
is "list: what their requests found" "$(column WARM)$(column SHELL)$(
	column CLONE)$(column SNAP)$(column BOOT)" \
	'- 1 0 - 0 0 - 0 0 - 0 0 - 0 0 '
is "list: a table of 80 columns" \
	"$(awk 'length($0) > 80' "$tmp/out" | grep -c .)" 0
is "list: whose rows have one length" \
	"$(awk '{ print length($0) }' "$tmp/out" | sort -u | grep -c .)" 1

# fork
call f '{}'
first=$(json 'd["first"]')
ok "fork" ctl fork f
is "its snapshot was replaced" "$(listed 'd["f"]["refreshes"]')" 1
call f '{}'
ok "a request starts from the new one" test "$(json 'd["first"]')" != "$first"
ok "fork once more, of one that has clones of both" ctl fork f
ok "fork of one that shares no runtime" ctl fork anew
call anew '{}'
is "it answers" "$status" 200
fails "fork of none that there is" 1 ctl fork g
like "says so" "$tmp/err" \
	"no function 'g'; .usetl ctl list. lists those there are"

# usage
for args in '' 'list f' fork 'fork f g' 'lost' '--json fork f' '--lost'; do
	# shellcheck disable=SC2086
	fails "ctl $args is a wrong command line" 2 ctl $args
done
wrong() {
	# shellcheck disable=SC2086
	"$usetl" ctl $1 >"$tmp/out" 2>"$tmp/err"
	is "ctl $1: what is wrong" "$(cat "$tmp/err")" "usetl ctl: $2"
}
"$usetl" ctl >"$tmp/out" 2>"$tmp/err"
is "ctl: what is missing, before the usage" "$(sed 2q "$tmp/err")" \
	"usetl ctl: which command?
usage: usetl ctl [OPTION]... COMMAND [ARGUMENT]..."
wrong lost "unknown command 'lost'; see \`usetl help ctl\`"
wrong 'snapshot f' 'snapshot needs NAME FILE'
wrong 'fork f g' 'fork needs NAME, and no more'
wrong 'list f' 'list needs no argument'

# others who ask
say() {
	peer say "$1" >"$tmp/out" 2>"$tmp/err"
}
say 'list f\n'
like "an order that is for no function" "$tmp/out" '^error .* for no function'
say 'shutdown\n'
like "one that there is not" "$tmp/out" '^error there is no such order'
say 'fork \n'
like "no name" "$tmp/out" '^error there is no function'
say 'fork f\0x\n'
like "a NUL" "$tmp/out" '^error an order is one line'
say "$(printf '%0300d' 1)"
like "no end of line" "$tmp/out" '^error an order is one line'
say "fork $(printf '%0249d' 1)\\n"
like "a name as long as there is room" "$tmp/out" '^error there is no function'
peer fds 'list\n' >"$tmp/out" 2>"$tmp/err"
like "descriptors that nobody wants" "$tmp/out" '^ok'
peer slow 'list\n' >"$tmp/out" 2>"$tmp/err"
like "one that is slow to ask and to hear" "$tmp/out" '^ok'
ok "one that does not wait for its answer" peer gone 'fork f\n'
mkfifo "$tmp/hold"
peer hold 40 <"$tmp/hold" >"$tmp/held" 2>&1 &
holder=$!
exec 9>"$tmp/hold"
await grep -q 40 "$tmp/held"
for i in 1 2 3; do
	call f '{}'
	is "beside forty that say nothing requests are answered, $i" \
		"$status" 200
done
exec 9>&-
kill $holder 2>/dev/null
wait $holder 2>/dev/null
ok "then the next order is" ctl list
is "one takes the place of the oldest of eight that say nothing" \
	"$(peer beside 8)" "ok 7"

# another server
fails "another server has it" 1 "$usetl" serve -l 127.0.0.1:0 \
	--control "$sock" "$tmp/points_ready.usetl"
like "one line says so" "$tmp/err" "$sock': another server has it"
is "and nothing else" "$(grep -c . "$tmp/err")" 1
ok "the first one has it still" ctl list
stop_serve
fails "its socket goes with it" 1 test -e "$sock"
fails "and what was beside it" 1 test -e "$sock.lock"

# what is left over
serve_or_end -c "$tmp/u.conf"
kill -9 "$serve_pid"
wait "$serve_pid" 2>/dev/null
serve_pid=
ok "a server that is killed leaves its socket" test -S "$sock"
fails "where nobody listens" 1 ctl list
serve_or_end -c "$tmp/u.conf"
ok "the next one takes it" ctl list
stop_serve
echo mine >"$tmp/file"
fails "what is no socket is left alone" 1 "$usetl" serve -l 127.0.0.1:0 \
	--control "$tmp/file" "$tmp/points_ready.usetl"
like "with a line" "$tmp/err" "$tmp/file' is there, and is no socket: remove it first"
is "and its content" "$(cat "$tmp/file")" mine
fails "a folder that is not there" 1 "$usetl" serve -l 127.0.0.1:0 \
	--control "$tmp/none/s" "$tmp/points_ready.usetl"
like "is named" "$tmp/err" 'No such file'
fails "a path that is too long" 1 "$usetl" serve -l 127.0.0.1:0 \
	--control "$tmp/$(printf '%0110d' 1)" "$tmp/points_ready.usetl"
like "is an error, too" "$tmp/err" 'a path has 107 bytes at most'

# where nobody has said where
mkdir "$tmp/run"
XDG_RUNTIME_DIR=$tmp/run
sock=$tmp/run/usetl.sock
serve_or_end "$tmp/points_ready.usetl"
ok "by default it is in XDG_RUNTIME_DIR" "$usetl" ctl list
first=$serve_pid
serve_or_end "$tmp/points_ready.usetl"
like "another one beside it goes on without" "$tmp/serve.err" \
	'another server has it.*goes on without'
stop_serve
serve_pid=$first
ok "the first is asked" "$usetl" ctl list

# another user, where the folder and the mode would let them
if test "$(id -u)" = 0 && command -v setpriv >/dev/null; then
	chmod 755 "$tmp" "$tmp/run"
	chmod 666 "$sock"
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$python" - "$sock" >"$tmp/out" 2>"$tmp/err" <<'END'
import socket
import sys

s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    s.sendall(b"list\n")
except BrokenPipeError:
    pass
print(s.recv(100).decode())
END
	like "another user is not heard" "$tmp/out" "^error only the server's user"
fi
stop_serve
plan
