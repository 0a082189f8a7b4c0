#!/bin/sh
# README's shell blocks do what README says of them, word for word
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
instrumented && skip_all "its words build without sanitizers"

# the blocks as a reader would copy them, one after the other
awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' \
	"$top/README.md" >"$tmp/block"
like "README has a block that builds" "$tmp/block" '^make deps && make$'
like "README has a block that bakes" "$tmp/block" '^build/usetl bake '
ok "README's blocks are shell" sh -n "$tmp/block"

# a checkout of its own, with what is built here
mkdir "$tmp/tree"
ln -s "$top"/* "$tmp/tree"
rm -f "$tmp/tree/build" "$tmp/tree/total"
ln -s "$(dirname "$usetl")" "$tmp/tree/build"
cd "$tmp/tree" || exit 1

# its ports are free: in a network of its own, where that can be had
cat >"$tmp/up.py" <<'END'
import fcntl, socket, struct
s = socket.socket()
fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 1))  # SIOCSIFFLAGS: up
END
cat >"$tmp/free.py" <<'END'
import socket
for port in 18080, 9000:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
END
if unshare -n "$python" "$tmp/up.py" 2>/dev/null; then
	# shellcheck disable=SC2016
	set -- unshare -n sh -c '"$1" "$2" && exec sh -e "$3"' sh \
		"$python" "$tmp/up.py" "$tmp/block"
elif "$python" "$tmp/free.py" 2>/dev/null; then
	set -- sh -e "$tmp/block"
else
	skip "README's commands succeed" \
		"its ports are taken, and no network is to be had"
	plan
fi
unset MAKEFLAGS MFLAGS MAKELEVEL DEVELOPER
ok "README's commands succeed" timeout 300 "$@"
# a line for each attempt would look as if the commands had failed
grep -e --retry "$tmp/block" |
	sed 's/--retry 9/--retry 1/; s,127.0.0.1:[0-9]*,127.0.0.1:1,' >"$tmp/wait"
is "README waits for two servers" "$(grep -c '^curl .*:1/' "$tmp/wait")" 2
is "README says nothing while it waits for them" \
	"$(sh "$tmp/wait" 2>&1 | grep .)" ""
# what a helper prints would land in the middle of a line of bake's
is "README's helpers print nothing" "$(grep -cEx '[0-9]+|' "$tmp/out")" 0
is "README's results: of invoke, of curl, what was posted" \
	"$(grep -E '^\{"total|^[0-9]*\.' "$tmp/out" | tr '\n' ' ')" \
	'{"total": 1234.5} {"total": 1234.5} 1234.5 '
ok "README's function is the one that make demo shows" \
	cmp total/app.py "$t/functions/total/app.py"
ok "README's manifest is the one that make demo shows" \
	cmp total/function.ini "$t/functions/total/function.ini"
plan
