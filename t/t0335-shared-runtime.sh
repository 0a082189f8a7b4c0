#!/bin/sh
# functions that are started from one booted runtime: [pool] share
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end shares echo

# all memory and registers are compared after each request
USETL_VERIFY=1
export USETL_VERIFY
cat >"$tmp/shares.conf" <<END
[pool]
share = yes
min = 0
idle = 1s
[function a]
image = $tmp/shares.usetl
[function b]
image = $tmp/shares.usetl
memory = 128M
[function c]
image = $tmp/echo.usetl
[function other]
image = $tmp/shares.usetl
owner = other
[function small]
image = $tmp/shares.usetl
memory = 48M
END
serve_or_end -c "$tmp/shares.conf"
ready() {
	test "$(grep -c 'is ready' "$tmp/serve.err")" = 5
}
ok "five functions are ready" await ready

count() {
	processes "$1" | grep -c .
}
is "three of an owner have one runtime, another's has its own" \
	"$(count usetl-base)" 2

all='["builtins", "environment", "file", "library", "modules"]'
answers() {
	call "$1" '{}'
	is "$2: it is itself, and its module found nothing of others" \
		"$status $(json d)" "200 {\"calls\": 0, \"found\": [], \"left\": \
$all, \"memory\": $3}"
}
for i in 1 2; do
	answers a "a, request $i" 64
	answers b "b, request $i" 128
	answers other "other, request $i" 64
	answers small "small, request $i" 48
	call c "{\"n\": $i}"
	is "c, request $i" "$status $(json d)" "200 {\"n\": $i}"
done

# what nobody calls for pool.idle has no process; one that shares nothing has
rests() {
	test "$(count usetl-clone) $(count usetl-ref)" = '0 1'
}
ok "functions that nobody calls have no process" await rests
is "their runtimes are there" "$(count usetl-base)" 2
for i in 1 2; do
	answers b "b from its snapshot, request $i" 128
	answers a "a from its snapshot, request $i" 64
	answers other "other from its snapshot, request $i" 64
done
is "and no reference was booted for them" "$(count usetl-ref)" 1

# a runtime that is killed is booted again, and its functions are placed anew
ok "functions rest again" await rests
for p in $(processes usetl-base); do
	kill -9 "$p"
done
serves() {
	call "$1" '{}'
	test "$status" = 200
}
for f in a b c other small; do
	ok "$f answers after its runtime was killed" await serves "$f"
done
answers a "a, in another runtime" 64

stop_serve
is "SIGTERM ends serve with 0" "$serve_status" 0
plan
