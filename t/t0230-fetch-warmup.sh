#!/bin/sh
# what warm-up fetches is the snapshot's; its windows are free for requests
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
start_httpd

mkdir "$tmp/warm"
cat >"$tmp/warm/function.ini" <<END
[function]
name    = warm
handler = app.handler
memory  = 128M
timeout = 20s

[egress]
allow   = $http/
END
cat >"$tmp/warm/app.py" <<END
import usetl
URL = "$http/big?size=%d"
first = usetl.get(URL % 9000000)
kept = sum(first.read())

def handler(event, context):
    size = event["size"]
    body = usetl.get(URL % size).read()
    return [kept, len(body), sum(body)]
END
take_layers
ok "bake a function that fetches 9 MB in its warm-up" \
	"$usetl" bake -o "$tmp/warm.usetl" "$tmp/warm"
sum() {
	"$python" -c 'import sys
print(sum(i % 251 for i in range(int(sys.argv[1]))))' "$1"
}
want=$(sum 9000000)
for size in 8000000 100; do
	ok "a request fetches $size bytes" invoke warm "{\"size\": $size}" \
		--repeat 5
	is "a request fetches $size bytes: all of them" \
		"$(json d)" "[$want, $size, $(sum $size)]"
done
plan
