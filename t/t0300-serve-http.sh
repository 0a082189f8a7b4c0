#!/bin/sh
# usetl serve: routes, statuses, framing, signals
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
start_httpd
bake_or_end echo json hostile gather

serve_or_end "$tmp/echo.usetl" "$tmp/json.usetl" "$tmp/hostile.usetl" \
	"$tmp/gather.usetl"
pass "serve listens"

call echo '{"a": 1}'
is "a function answers" "$status $(cat "$tmp/out")" '200 {"a": 1}'
like "a function answers in JSON" \
	"$tmp/head" '^[Cc]ontent-[Tt]ype: application/json'
call json "@$t/functions/json/event.json"
is "another function answers" "$status $(json 'd["h"]')" '200 471952060'
is "GET /healthz" "$(curl -sS "$url/healthz")" ok
curl -sS "$url/function" >"$tmp/out"
is "the list has the functions" \
	"$(json 'sorted(f["name"] for f in (d if isinstance(d, list) else d["functions"]))')" \
	'["echo", "gather", "hostile", "json"]'
digest=$("$usetl" inspect "$tmp/echo.usetl" | grep -Eo '[0-9a-f]{64}' | tail -n 1)
is "the list has the digests of images" \
	"$(json '[f["digest"] for f in d if f["name"] == "echo"]')" \
	"[\"$digest\"]"
like "the log has the digest of an image" "$tmp/serve.err" \
	"'echo' is ready: .*, digest $digest\$"

call nosuch '{}'
is "an unknown function" "$status" 404
is "an unknown page" "$(curl -sS -o /dev/null -w '%{http_code}' \
	"$url/elsewhere")" 404
is "the wrong method" "$(curl -sS -o /dev/null -D "$tmp/head" \
	-w '%{http_code}' "$url/function/echo")" 405
like "the wrong method: the right one is said" "$tmp/head" '^[Aa]llow: .*POST'
call echo '{"a": '
is "a body that is not JSON" "$status" 400
is "a body that is not JSON: said as JSON" "$(json '"errorMessage" in d')" true
head -c 7000000 /dev/zero | tr '\0' 1 >"$tmp/large"
call echo x --data-binary "@$tmp/large"
is "a body that is too large" "$status" 413
call echo '{"still": "there"}'
is "after a body that is too large, a request is served" \
	"$(cat "$tmp/out")" '{"still": "there"}'
call hostile '{"do": "raise"}'
is "a handler that raises" "$status $(json 'd["errorType"]')" \
	'500 "ValueError"'
is "a handler that raises: its stack has lines" \
	"$(json 'len(d["stackTrace"]) >= 2')" true

ok "invoke with a URL" "$usetl" invoke -d '{"by": "url"}' \
	"$url/function/echo"
is "invoke with a URL: the answer" "$(cat "$tmp/out")" '{"by": "url"}'
fails "invoke with a URL: a handler that raises" \
	1 "$usetl" invoke -d '{"do": "raise"}' \
	"$url/function/hostile"
like "invoke with a URL: the error" "$tmp/err" 'ValueError: as asked'

# keep-alive: one connection, many requests
curl -sS -v -m 60 -d '{"n": 1}' "$url/function/echo" --next -sS -m 60 \
	-d '{"n": 2}' "$url/function/echo" >"$tmp/out" 2>"$tmp/err"
is "keep-alive: two requests" "$(cat "$tmp/out")" '{"n": 1}{"n": 2}'
like "keep-alive: one connection" "$tmp/err" 'Re-using existing connection'

# framing that two parsers could read in two ways is refused
cat >"$tmp/raw.py" <<'END'
import socket, sys
host, port = sys.argv[1].rsplit("/", 1)[-1].split(":")
s = socket.create_connection((host, int(port)), 20)
s.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin-1"))
data = b""
while b"\r\n" not in data:
    more = s.recv(4096)
    if not more:
        break
    data += more
print(data.split(b"\r\n")[0].decode("latin-1").partition(" ")[2][:3])
END
p='POST /function/echo HTTP/1.1\r\nHost: x\r\n'
raw() {
	is "$1" "$("$python" "$tmp/raw.py" "$url" "$2" 2>&1)" "$3"
}
raw "a plain request" "${p}Content-Length: 2\r\n\r\n{}" 200
raw "a chunked body" \
	"${p}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" 200
raw "two lengths" "${p}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} " 400
raw "the same length twice" \
	"${p}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" 400
raw "a length and chunked" \
	"${p}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" \
	400
raw "an unknown transfer encoding" \
	"${p}Transfer-Encoding: cow\r\n\r\n{}" 400
raw "no host" "POST /function/echo HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" 400

# many at once
cat >"$tmp/many.py" <<'END'
import concurrent.futures, json, sys, urllib.request
def one(i):
    body = json.dumps({"i": i}).encode()
    with urllib.request.urlopen(sys.argv[1] + "/function/echo", body, 60) as r:
        return json.load(r) == {"i": i}
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    print(sum(pool.map(one, range(200))))
END
is "two hundred requests, sixteen at a time" \
	"$("$python" "$tmp/many.py" "$url" 2>&1 | tail -n 1)" 200

fails "a port in use" 1 "$usetl" serve -l "${url#http://}" "$tmp/echo.usetl"
like "a port in use: what is said" "$tmp/err" 'in use'
unlike "a port in use: nothing boots" "$tmp/err" 'is ready'
fails "the same function twice" 1 "$usetl" serve -l 127.0.0.1:0 \
	"$tmp/echo.usetl" "$tmp/echo.usetl"
fails "serve without an image" 2 "$usetl" serve -l 127.0.0.1:0
fails "no such tender" 2 "$usetl" serve --tender=none "$tmp/echo.usetl"
fails "an unknown option" 2 "$usetl" serve --frobnicate "$tmp/echo.usetl"
like "an unknown option: it is said in usetl's name" \
	"$tmp/err" '^usetl serve: '
fails "check takes nothing" 2 "$usetl" check "$tmp/echo.usetl"
ok "check --help" "$usetl" check --help
fails "what is no function's URL" 1 "$usetl" invoke "$http/function/echo"
like "what is no function's URL: it is told from an error of usetl's" \
	"$tmp/err" \
	"status 201, and not as usetl serve does"

# who leaves within a body, with its last bytes, keeps no place
cat >"$tmp/leave.py" <<'END'
import socket
import sys
import time

port = int(sys.argv[1])
for i in range(10):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"POST /function/echo HTTP/1.1\r\nHost: a\r\n"
                  b"Content-Length: 50\r\n\r\n{")


def left():
    """Connections of the server whose caller has closed."""
    with open("/proc/net/tcp") as f:
        rows = [line.split() for line in f]
    return sum(r[1].endswith(":%04X" % port) and r[3] == "08" for r in rows)


for i in range(300):
    if not left():
        break
    time.sleep(0.1)
print(left())
END
is "callers that leave within a body: their connections end" \
	"$("$python" "$tmp/leave.py" "${url##*:}")" 0

# SIGTERM: what runs is finished, then 0
holding() {
	test "$(curl -sS "$http/holding")" = 1
}
takes_none() {
	! curl -sS -m 5 "$url/healthz" >"$tmp/out" 2>&1
}
begin gather "{\"urls\": [\"$http/held\"]}"
await holding
kill "$serve_pid"
ok "SIGTERM: no more connections are taken" await takes_none
is "SIGTERM: the request in flight is waited for" \
	"$(cat "$tmp/slow")$(kill -0 "$serve_pid" && echo runs)" runs
curl -sS "$http/release" >"$tmp/out"
wait "$serve_pid"
is "SIGTERM: exit status" $? 0
serve_pid=
wait "$curl_pid"
is "SIGTERM: the request in flight was answered" \
	"$(cat "$tmp/slow") $(head -c 9 "$tmp/slow.out")" '200 [[200, 9,'

# configuration, and SIGHUP
cat >"$tmp/usetl.conf" <<END
[function one]
image = $tmp/echo.usetl
END
serve_or_end -c "$tmp/usetl.conf"
call one '{"n": 1}'
is "a function of the configuration" "$(cat "$tmp/out")" '{"n": 1}'
cat >>"$tmp/usetl.conf" <<END
[function two]
image = $tmp/json.usetl
END
kill -HUP "$serve_pid"
# has NAME EVENT STATUS: the function's answer has that
has() {
	call "$1" "$2"
	test "$status" = "$3"
}
await has two "@$t/functions/json/event.json" 200
is "SIGHUP: a function is added" "$status $(json 'd["h"]')" '200 471952060'
call one '{"n": 2}'
is "SIGHUP: the function that stays keeps answering" \
	"$(cat "$tmp/out")" '{"n": 2}'
sed -i 's/^\[function two\]/[function three]/' "$tmp/usetl.conf"
kill -HUP "$serve_pid"
await has two '{}' 404
is "SIGHUP: a function with a new name loses the old one" "$status" 404
cp "$tmp/usetl.conf" "$tmp/good.conf"
echo 'colour = red' >>"$tmp/usetl.conf"
kill -HUP "$serve_pid"
ok "SIGHUP: a bad file is said to change nothing" wait_for "$tmp/serve.err" \
	"usetl\.conf:.*'colour'.*; all goes on as it was" "$serve_pid"
{ printf '[serve]\nlisten = localhost\n'; cat "$tmp/good.conf"; } \
	>"$tmp/usetl.conf"
kill -HUP "$serve_pid"
ok "SIGHUP: an address that is none is said to change nothing" wait_for \
	"$tmp/serve.err" \
	"usetl\.conf: listen: 'localhost' is not .*; all goes on as it was" \
	"$serve_pid"
cp "$tmp/good.conf" "$tmp/usetl.conf"
call three "@$t/functions/json/event.json"
is "SIGHUP: a function with a new name answers to it" \
	"$status $(json 'd["h"]')" '200 471952060'
printf '[pool]\ncolour = red\n' >"$tmp/bad.conf"
fails "a bad configuration" 1 "$usetl" serve -c "$tmp/bad.conf"
like "a bad configuration: file and line are said" "$tmp/err" 'bad\.conf:2: '
plan
