#!/bin/sh
# heads and targets that two parsers could read in two ways, and refusals that
# are heard
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end echo
serve_or_end "$tmp/echo.usetl"

# raw NAME BYTES WANT: what comes of them: the statuses, the types of errors,
# and whether the connection is open.  It is when all that is wanted has come,
# and for a second then nothing more, nor its end
cat >"$tmp/raw.py" <<'END'
import re, select, socket, sys
host, port = sys.argv[1].rsplit("/", 1)[-1].split(":")
s = socket.create_connection((host, int(port)), 20)
s.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin-1"))
text = ""

def seen(end):
    return " ".join(re.findall(r"HTTP/1.1 (\d+)", text) +
                    re.findall(r'"errorType": "([A-Za-z.]+)"', text) +
                    re.findall("<html>", text) + end)

end = ["open"]
while select.select([s], [], [], 1 if seen(end) == sys.argv[3] else 60)[0]:
    more = s.recv(65536).decode("latin-1")
    text += more
    if not more:
        end = []
        break
print(seen(end))
END
raw() {
	is "$1" "$("$python" "$tmp/raw.py" "$url" "$2" "$3" 2>&1)" "$3"
}
bad='400 Usetl.BadRequest'
p='POST /function/echo HTTP/1.1\r\n'
l='Content-Length: 2\r\n'
raw "a plain request" "${p}Host: x\r\n$l\r\n{}" '200 open'
raw "two requests at once" "${p}Host: x\r\n$l\r\n{}${p}Host: x\r\n$l\r\n[]" \
	'200 200 open'
raw "an empty line before a request" "\r\n${p}Host: x\r\n$l\r\n{}" '200 open'
raw "many headers, some of them empty" \
	"${p}Host: x\r\nA:\r\nB: \r\nC:\t1\r\nCookie: a=b; c=d\r\n$l\r\n{}" \
	'200 open'
raw "a header that is not ASCII" "${p}Host: x\r\nA: \xe9\r\n$l\r\n{}" \
	'200 open'
raw "HTTP/1.0 without a header" 'GET /healthz HTTP/1.0\r\n\r\n' '200'
raw "a later version, with a host" \
	'GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n' '200'
raw "a later version, without a host" 'GET /healthz HTTP/1.2\r\n\r\n' \
	'400 Usetl.BadRequest'
raw "an absolute target" \
	'GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n' '404 Usetl.NotFound'

# a line feed alone ends no line
raw "a line feed alone ends no request line" "POST /function/echo HTTP/1.1\nHost: x\r\n$l\r\n{}" "$bad"
raw "a line feed alone ends no first header" "${p}Host: x\n$l\r\n{}" "$bad"
raw "a line feed alone ends no header in the middle" "${p}Host: x\r\nA: b\n$l\r\n{}" "$bad"
raw "a line feed alone ends no empty header" "${p}Host: x\r\nA:\n$l\r\n{}" "$bad"
raw "a line feed alone ends no last header" "${p}$l""Host: x\n\r\n{}" "$bad"
raw "a line feed alone is no empty line" "${p}Host: x\r\n$l\n{}" "$bad"
raw "a line feed alone is no empty line without a body" 'GET /healthz HTTP/1.1\r\nHost: x\r\n\n' "$bad"
raw "line feeds alone end no head" "POST /function/echo HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}" \
	"$bad"
raw "a line feed alone makes no length" \
	"${p}Host: x\r\nA: b\nContent-Length: 40\r\n\r\n{}" "$bad"
raw "a carriage return alone" "${p}Host: x\r\nA: b\rC: d\r\n$l\r\n{}" "$bad"
raw "a folded line" "${p}Host: x\r\nA: b\r\n c\r\n$l\r\n{}" "$bad"
raw "a NUL in a value" "${p}Host: x\r\nContent-Length: 2\0003\r\n\r\n{}" "$bad"
raw "a control character in a value" "${p}Host: x\r\nA: \001\r\n$l\r\n{}" \
	"$bad"
raw "a blank before a colon" "${p}Host: x\r\nContent-Length : 2\r\n\r\n{}" \
	"$bad"
raw "a blank behind a length" "${p}Host: x\r\nContent-Length: 2 \r\n\r\n{}" \
	'400 400 <html>'

# nothing behind a chunked body is a request
c='Transfer-Encoding: chunked\r\n'
raw "a request behind chunks" \
	"${p}Host: x\r\n$c\r\n2\r\n{}\r\n0\r\n\r\n${p}Host: x\r\n$l\r\n{}" '200'
raw "a line feed alone in an extension" \
	"${p}Host: x\r\n$c\r\n2;\n{}\r\n0\r\n\r\n${p}Host: x\r\n$l\r\n{}" '200'
raw "a line feed alone in a trailer" \
	"${p}Host: x\r\n$c\r\n2\r\n{}\r\n0\r\nA: b\n\r\n${p}Host: x\r\n$l\r\n{}" \
	'200'

# targets
t() {
	raw "a target with $1" "POST $2 HTTP/1.1\r\nHost: x\r\n$l\r\n{}" "$3"
}
none='404 Usetl.NotFound'
t "an escaped letter" '/function/%65ch%6F' '200 open'
t "a query" '/function/echo?a=b&c' '200 open'
t "an escaped NUL" '/function/echo%00' "$none"
t "an escaped NUL before another letter" '/function/echo%00x' "$none"
t "a NUL" '/function/echo\000x' "$bad"
t "a NUL and a version" '/function/echo\000HTTP/1.1' "$bad"
t "an escaped slash" '/function%2Fecho' "$none"
t "an escaped question mark" '/function/echo%3Fx' "$none"
t "an escape of an escape" '/function/%2565cho' "$none"
t "half an escape" '/function/echo%' "$none"
t "an escape of no digits" '/function/echo%zz' "$none"
t "an escaped blank" '/function/echo%20' "$none"
t "dots" '/function/../function/echo' "$none"
t "a blank" '/function/echo x' "$none"
t "two blanks before" ' /function/echo' "$bad"
t "a control character" '/function/echo\001' "$bad"
# cut where it is too long, it would be the function's name
long=$("$python" -c 'print("/function/" + "%65cho" + "%" * 300)')
t "more than fits" "$long" "$none"
is "a NUL that curl escapes names nothing" "$(curl -sS -o "$tmp/out" -w '%{http_code}' -d '{}' \
	"$url/function/echo%00x")" 404
is "a NUL that curl escapes: the message has it as it came" \
	"$(json 'd["errorMessage"]')" \
	"\"no function 'echo%00x'; GET /function lists those there are\""

# what the library answers by itself, as usetl-serve(8) has it
raw "a header without a colon" "${p}Host x\r\n$l\r\n{}" '400 <html>'
raw "a length that is no number" "${p}Host: x\r\nContent-Length: x\r\n\r\n" \
	'400 400 <html>'
raw "a length above 2^64" \
	"${p}Host: x\r\nContent-Length: 99999999999999999999\r\n\r\n" \
	'413 413 <html>'
raw "a request line of one word" 'GET\r\n\r\n' ''
raw "a request line without a version" 'GET /healthz\r\n\r\n' '400 <html>'
much=$("$python" -c 'print("a" * 40000)')
raw "a request line of 40 KB" "GET /$much HTTP/1.1\r\nHost: x\r\n\r\n" \
	'414 <html>'
raw "a header of 40 KB" "${p}Host: x\r\nA: $much\r\n$l\r\n{}" '431 <html>'
raw "a chunk above 2^64" \
	"${p}Host: x\r\n$c\r\n99999999999999999\r\n" '413 <html>'
raw "a malformed chunk" "${p}Host: x\r\n$c\r\nx\r\n" '400 <html>'
raw "a version that there is not" 'GET /healthz HTTP/3.7\r\n\r\n' '505 <html>'
stop_serve
is "after all heads, SIGTERM ends serve with 0" "$serve_status" 0
plan
