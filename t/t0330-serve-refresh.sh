#!/bin/sh
# a reference is replaced now and then, and no caller notices
. "$(dirname "$0")/lib.sh"

need_tender
need_python
bake_or_end echo

cat >"$tmp/usetl.conf" <<EOF
[pool]
min = 1
max = 2
refresh = 500ms
[function echo]
image = $tmp/echo.usetl
EOF
serve_or_end -c "$tmp/usetl.conf"

refreshes() {
	curl -sS -m 60 "$url/function" >"$tmp/out" 2>>"$tmp/err"
	json 'd[0]["refreshes"]'
}

# requests all the while, until it has happened three times
n=0
bad=0
while test "$n" -lt 30000; do
	n=$((n + 1))
	call echo "{\"n\": $n}"
	if test "$status" != 200 || ! grep -q "\"n\": *$n\b" "$tmp/out"; then
		bad=$((bad + 1))
		cp "$tmp/out" "$tmp/bad"
	fi
	test $((n % 20)) != 0 || test "$(refreshes)" -lt 3 || break
done
diag "$n requests, $(refreshes) references replaced"
is "every request is answered" "$bad" 0
if test "$(refreshes)" -ge 3; then
	pass "references are replaced while requests run"
else
	fail "references are replaced while requests run" "$tmp/serve.err"
fi
like_soon "a reference is replaced: the operator is told" \
	"$tmp/serve.err" 'a new reference took over'
stop_serve
is "after three references, SIGTERM ends serve with 0" "$serve_status" 0
plan
