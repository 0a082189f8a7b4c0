#!/bin/sh
# compressed answers are undone by the function, in its time and its memory
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
start_httpd

mkdir -p "$tmp/src/gz"
cat >"$tmp/src/gz/function.ini" <<END
[function]
name    = gz
handler = app.handler
memory  = 128M
files   = 16M
timeout = 300s

[egress]
allow   = $http/
END
cat >"$tmp/src/gz/app.py" <<'END'
import csv
import zlib

import usetl


def check(data):
    return [len(data), zlib.adler32(data)]


def handler(event, context):
    try:
        r = usetl.get(event["url"], headers=event.get("headers"))
    except usetl.Error as e:
        return [type(e).__name__, e.errno, str(e)]
    if event.get("rows"):
        return [row["name"] for row in csv.DictReader(r)]
    if event.get("length"):
        return [len(r), r.headers.get("content-encoding")]
    ways = {"content": check(r.content), "text": len(r.text.encode("latin-1")
            if r.charset != "utf-8" else r.text.encode("utf-8", "replace"))
            if event.get("text") else None}
    view = r.memory()
    with open(r.path, "rb") as f:
        ways["path"] = check(f.read())
    usetl.post(event["sink"], file=r.path).raise_for_status()
    with open(r.path, "rb") as f:
        usetl.put(event["sink"] + "/2", data=f).raise_for_status()
    ways["read"] = check(r.read())
    r.close()
    ways["memory"] = check(view)
    for n, url in ("sent", ""), ("sent2", "/2"):
        ways[n] = check(usetl.get(event["sink"] + url).content)
    ways["headers"] = [name for name in ("Content-Encoding",
                       "Content-Length") if name in r.headers]
    return ways
END
ok "bake a function" "$usetl" bake -o "$tmp/gz.usetl" "$tmp/src/gz"
bake_or_end echo

for size in '' '?size=1' '?size=262144' '?size=262145' '?size=5000000'; do
	want=$(curl -sS --compressed "$http/gzip$size" | "$python" -c '
import sys, zlib
b = sys.stdin.buffer.read()
print([len(b), zlib.adler32(b)])')
	ok "GET /gzip$size" invoke gz \
		"{\"url\": \"$http/gzip$size\", \"sink\": \"$http/out\"}"
	for way in content path read memory sent sent2; do
		is "GET /gzip$size: by $way" "$(json "d['$way']")" "$want"
	done
	is "GET /gzip$size: its headers do not speak of it" \
		"$(json 'd["headers"]')" '[]'
done
ok "lines of a compressed answer" invoke gz \
	"{\"url\": \"$http/gzip\", \"rows\": true}"
is "lines of a compressed answer are rows" \
	"$(json d)" '["Ada", "bob", "ada ", "carol"]'
ok "a range of a compressed answer" \
	invoke gz "{\"url\": \"$http/gzip?size=99999\",
	\"headers\": {\"Range\": \"bytes=0-\"}, \"length\": true}"
is "a range of a compressed answer is left as it was sent" \
	"$(json 'd[0] < 99999, d[1]')" \
	'[true, "gzip"]'

# bad PATH ERRNO PATTERN
bad() {
	ok "GET $1" invoke gz "{\"url\": \"$http$1\"}"
	is "GET $1 is an error" "$(json 'd[:2]')" "[\"Error\", $2]"
	json 'd[2]' >"$tmp/reason"
	like "GET $1 says why" "$tmp/reason" "$http.*$3"
}
bad '/truncated?gzip=1' 5 'truncated'
bad /badgzip 71 'content-encoding could not be undone'
bad '/gzip?size=20000000' 28 'no room for more than'
bad '/te?coding=gzip,%20chunked' 71 'transfer-encoding'
bad '/te?coding=gzip,%20gzip,%20gzip,%20gzip' 71 'transfer-encoding'
bad '/bomb?size=10&coding=gzip,gzip,gzip,gzip,gzip' 71 'at most 2'
ok "an answer that says nothing, twice compressed" invoke gz \
	"{\"url\": \"$http/bomb?size=1000&coding=gzip,%20gzip\",
	\"length\": true}"
is "an answer that says nothing, twice compressed: it is empty" \
	"$(json d)" '[0, null]'

# 100 million empty pieces, as 700 KB, are work for seconds: not the gateway's
serve_or_end "$tmp/gz.usetl" "$tmp/echo.usetl"
bomb="$http/bomb?size=100000000&coding=gzip,%20gzip"
curl -sS -o /dev/null "$bomb"		# made once
for i in 1 2 3 4; do
	call echo '{"warm": true}'
done
curl -sS -m 300 -o "$tmp/bomb" -d "{\"url\": \"$bomb\", \"length\": true}" \
	"$url/function/gz" 2>"$tmp/err" &
bomb_pid=$!
served=0
while kill -0 "$bomb_pid" 2>/dev/null; do
	call echo '{"beside": true}'
	test "$status" != 200 || served=$((served + 1))
done
wait "$bomb_pid"
cp "$tmp/bomb" "$tmp/out"
is "an answer of many empty pieces: who asked has it" "$(json d)" '[0, null]'
test "$served" -ge 4
is "an answer of many empty pieces: others are served ($served)" $? 0
plan
