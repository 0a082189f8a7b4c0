#!/bin/sh
# [pool] memory: what is idle is given up, the oldest first, and requests go on
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end kept

USETL_VERIFY=1
export USETL_VERIFY
conf() {
	echo "[pool]
share = yes
min = 1
idle = 1h
memory = $1"
	for i in 1 2 3 4 5 6 7 8; do
		echo "[function f$i]
image = $tmp/kept.usetl"
	done
}
count() {
	processes "$1" | grep -c .
}
has() {
	test "$(count "$1")" = "$2"
}
few() {
	test "$(count "$1")" -le "$2"
}
calls() {
	for i in 1 2 3 4 5 6 7 8; do
		call "f$i" '{}'
		is "f$i, $1" "$status $(json 'd["calls"]')" '200 1'
	done
}
conf 0 >"$tmp/serve.conf"
serve_or_end -c "$tmp/serve.conf"
ok "without a budget each has its clone" await has usetl-clone 8
calls "without a budget"

# the runtime alone is more than that
conf 16M >"$tmp/serve.conf"
kill -HUP "$serve_pid"
ok "past the budget none has" await has usetl-clone 0
ok "nor a reference: its snapshot is enough" await has usetl-ref 0
is "the runtime is there" "$(count usetl-base)" 1
calls "past the budget"
ok "and again none has" await has usetl-clone 0
curl -sS -m 60 "$url/function" >"$tmp/out"
is "requests were answered from snapshots" \
	"$(json '[f["starts"]["snapshot"] for f in d]')" \
	'[1, 1, 1, 1, 1, 1, 1, 1]'

conf 1G >"$tmp/serve.conf"
kill -HUP "$serve_pid"
calls "within it"
sleep 3
is "within it they stay" "$(count usetl-clone)" 8
call f3 '{}'
# some of them: the oldest go
conf 48M >"$tmp/serve.conf"
kill -HUP "$serve_pid"
ok "some are given up" await few usetl-clone 7
stop_serve
is "it ends well" "$serve_status" 0
plan
