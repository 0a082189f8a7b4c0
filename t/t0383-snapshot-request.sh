#!/bin/sh
# a snapshot of a clone that has a request, which goes on in two places
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
start_httpd

USETL_VERIFY=1
export USETL_VERIFY
bake_or_end goeson
cat >"$tmp/u.conf" <<END
[function goeson]
image = goeson.usetl
[function keeps]
image = goeson.usetl
recycle = keep
END
snap=$tmp/snap
n=0

# begin FUNCTION HOW [MORE]: a request, until it says that it has begun; $at is
# where it looks for a word
begin() {
	n=$((n + 1))
	at=$http/$n-
	curl -sS -o "$tmp/first" -w '%{http_code}' "$url/function/$1" \
		-d "{\"how\": \"$2\", \"at\": \"$at\"${3:-}}" >"$tmp/status" &
	request=$!
	await curl -sf -o "$tmp/begun" "${at}begun"
}
go() {
	curl -sS -o "$tmp/went" -d go "${at}go"
}
answered() {
	wait "$request"
	is "$1: the request is answered" "$(cat "$tmp/status")" "${2:-200}"
}
snapshot() {
	ok "$1: a snapshot of it" "$usetl" ctl snapshot goeson "$snap"
	like "$1: is of a request" "$tmp/out" 'in a request$'
}
from() {
	"$usetl" invoke --from "$snap" "$@"
}
# same WHAT [WITHOUT]: the two answers
same() {
	"$python" - "$tmp/first" "$tmp/out" "${2:-}" >"$tmp/same" 2>&1 <<'END'
import json
import sys
a, b = (json.load(open(path)) for path in sys.argv[1:3])
a.pop(sys.argv[3], 0), b.pop(sys.argv[3], 0)
print("same" if a == b else f"{a} {b}")
END
	is "$1: with the same result" "$(cat "$tmp/same")" same
}
both() {
	begin goeson "$1" "${2:-}"
	snapshot "$1"
	go
	answered "$1"
	ok "$1: it goes on" from
	same "$1"
	ok "$1: and again" from
	same "$1, again"
}

serve_or_end -c "$tmp/u.conf"
ok "nobody has a request" "$usetl" ctl snapshot goeson "$snap"
like "then it is what they start from" "$tmp/out" 'ready$'
both sleep
both thread
both bodies ", \"urls\": [\"$http/in.csv\", \"$http/big?size=300000\",
	\"$http/big?size=9000000\", \"$http/big?size=40000000\"]"

# what is under way does not come along
begin goeson fetch ", \"url\": \"$http/held\""
await sh -c "curl -sS '$http/holding' | grep -q 1"
snapshot fetch
curl -sS -o "$tmp/went" "$http/release"
answered fetch
is "fetch: and has what it fetched" "$(sed -n 's/.*"fetch": \([0-9]*\).*/\1/p' \
	"$tmp/first")" 200
ok "fetch: it goes on" from
like "fetch: without that" "$tmp/out" 'did not come along with the snapshot'
same fetch fetch

# one that does not ask for anything
begin goeson spin ', "spin": 10'
snapshot spin
ok "spin: it goes on" from
answered spin
same spin

# its end is the request's
begin goeson raise
snapshot raise
go
answered raise 500
fails "raise: it goes on, and raises" 1 from
like "raise: as it did" "$tmp/err" 'KeyError: .it went on'
begin goeson sleep
snapshot timeout
fails "timeout: there is nobody to say so" 1 from -t 1s
like "timeout: so its time ends" "$tmp/err" 'did not answer within its time limit of 1 s'
go
answered "its server's does not"

# which of them
begin goeson sleep
ok "what they start from, while one has a request" "$usetl" ctl snapshot \
	--ready goeson "$snap"
like "is said" "$tmp/out" 'ready$'
ok "another one does not count" "$usetl" ctl snapshot keeps "$tmp/other"
like "for it" "$tmp/out" 'ready$'
go
answered "one that was left alone"
begin keeps sleep
ok "keep: a snapshot" "$usetl" ctl snapshot keeps "$snap"
like "keep: of a request" "$tmp/out" 'in a request$'
go
answered keep
ok "keep: it goes on" from
same keep

# figures: it is the only request of its clone, which does not roll back
ok "--stats" from --stats
same "--stats"
unlike "--stats: no report is waited for that nobody sends" "$tmp/err" \
	'did not come'
like "--stats: it was started by a snapshot" "$tmp/err" \
	'^starts .* 1 by a snapshot, 0 by a boot'
like "--stats: which was read" "$tmp/err" '^snapshot .* us '
unlike "--stats: so nothing has booted" "$tmp/err" '^boot '

# what is no request's
for args in '-d {}' '--repeat 2' '--recycle fork'; do
	# shellcheck disable=SC2086
	fails "$args: it has its own" 2 from $args
	like "$args: says so" "$tmp/err" 'is of a request, which goes on'
done
stop_serve

# without a runtime that is shared, and with a fork in between
printf '[pool]\nshare = no\n[function goeson]\nimage = goeson.usetl\n' \
	>"$tmp/u.conf"
serve_or_end -c "$tmp/u.conf"
both sleep
begin goeson sleep
ok "fork beside it" "$usetl" ctl fork goeson
snapshot "of the one before"
go
answered "of the one before"
ok "of the one before: it goes on" from
same "of the one before"
stop_serve

# over packages that are shared, booted and then from the server's store
copy_function goeson
sed -i '1,/^import/s/^import/import plainpkg\n&/' "$tmp/src/goeson/app.py"
printf '[packages]\npath = %s\n' "$t/functions/preloads/packages" \
	>>"$tmp/src/goeson/function.ini"
ok "bake with packages" "$usetl" bake -o "$tmp/goeson.usetl" "$tmp/src/goeson"
printf '[serve]\nstore = %s\n[function goeson]\nimage = goeson.usetl\n' \
	"$tmp/kept" >"$tmp/u.conf"
in_store() {
	test "$("$usetl" store --store "$tmp/kept" list | grep -c .)" = 3
}
for when in booted "from the store"; do
	serve_or_end -c "$tmp/u.conf"
	ok "packages, $when: all is in the store" await in_store
	begin goeson sleep
	snapshot "packages, $when"
	go
	answered "packages, $when"
	ok "packages, $when: it goes on" from
	same "packages, $when"
	stop_serve
done
plan
