#!/bin/sh
# GET and POST through the shared-memory file system, and all that can fail
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
start_httpd
bake_or_end total etl gather big

printf 'name,amount\nada,1200.25\nbob,34.25\n' >"$tmp/in.csv"
curl -sS -o /dev/null -T "$tmp/in.csv" "$http/data.csv"
event="{\"source\": \"$http/data.csv\", \"sink\": \"$http/out\"}"
ok "total: GET, sum, POST" invoke total "$event"
is "total: the result" "$(json d)" '{"total": 1234.5}'
is "total: what arrived" "$(curl -sS "$http/out")" 1234.5
fails "a handler that fails on its data" 1 "$usetl" invoke \
	-d "{\"source\": \"$http/in.csv\", \"sink\": \"$http/out\"}" \
	"$tmp/total.usetl"
like "a handler that fails on its data: why" \
	"$tmp/err" 'ValueError: could not convert'

event="{\"source\": \"$http/in.csv\", \"sink\": \"$http/out\"}"
ok "etl: transform to a file, POST the file" invoke etl "$event"
is "etl: what arrived is JSON lines" "$(curl -sS "$http/out" | "$python" -c '
import json, sys
print(sum(json.loads(line)["amount"] for line in sys.stdin))')" \
	"$(json 'sum(d["totals"].values())')"

# check PATH: what the guest sees of a body against what curl sees
sum_of='import sys; b = sys.stdin.buffer.read(); print(len(b), sum(b))'
for path in /in.csv /gzip '/gzip?size=300000' /chunked \
	'/chunked?size=3000000' /redirect '/redirect?code=307' /headers \
	'/big?size=1' '/big?size=5000000' '/big?size=0' '/big?size=100000'
do
	curl -sSL --compressed "$http$path" >"$tmp/body" ||
		diag "no $path at the test's server"
	if ! invoke gather "{\"urls\": [\"$http$path\"]}"; then
		fail "GET $path" "$tmp/err"
	elif test "$path" = /headers; then
		is "GET $path" "$(json 'd[0][0]')" 200
	else
		is "GET $path" "$(json '"%d %d" % tuple(d[0][1:3])')" \
			"\"$("$python" -c "$sum_of" <"$tmp/body")\""
	fi
done
is "GET /big?size=100000: its length" "$(json 'd[0][1]')" 100000
invoke gather "{\"urls\": [\"$http/redirect\"]}"
is "a redirect ends elsewhere" "$(json 'd[0][3].endswith("/redirect")')" false
invoke gather "{\"urls\": [\"$http/status/404\", \"$http/status/503\"]}"
is "a status is no error" "$(json '[r[0] for r in d]')" '[404, 503]'

urls=$("$python" -c 'import json, sys
print(json.dumps([sys.argv[1] + "/big?size=%d" % (i * 1000)
                  for i in range(1, 51)]))' "$http")
ok "fifty GETs at once" invoke gather "{\"urls\": $urls}"
is "fifty GETs at once: each is whole" "$(json 'sum(r[1] for r in d)')" 1275000

"$python" -c 'print("line of text\n" * 200000)' >"$tmp/body"
curl -sS -o /dev/null -T "$tmp/body" -H 'Content-Type: text/plain' \
	"$http/text"
ok "3 MB, by text" invoke big "{\"url\": \"$http/text\", \"how\": \"text\"}"
is "3 MB, by text: all of it" \
	"$(json 'd["bytes"]')" "$(wc -c <"$tmp/body" | tr -d ' ')"

for how in read file memory; do
	ok "16 MB, by $how" invoke big \
		"{\"url\": \"$http/big?size=16777216\", \"how\": \"$how\"}"
	cp "$tmp/out" "$tmp/big.$how"
done
curl -sS "$http/big?size=16777216" >"$tmp/body"
want=$("$python" -c 'import sys, zlib
print(zlib.adler32(open(sys.argv[1], "rb").read()))' "$tmp/body")
for how in read file memory; do
	cp "$tmp/big.$how" "$tmp/out"
	is "16 MB, by $how: the same bytes" "$(json 'd["check"]')" "$want"
done
rm -f "$tmp/body"

# failures: an exception that names the URL and the reason
# refuses NAME URL PATTERN [TIMEOUT]
refuses() {
	if invoke gather "{\"urls\": [\"$2\"], \"timeout\": ${4:-null}}"; then
		json 'd[0][2] if isinstance(d[0][0], str) else d' >"$tmp/why"
		like "$1" "$tmp/why" "$3"
		is "$1: the URL is named" "$(json 'd[0][3]')" "\"$2\""
	else
		fail "$1" "$tmp/err"
	fi
}
other=$((port + 1))
refuses "a port that is not allowed" "http://127.0.0.1:$other/" \
	'egress|policy|allowed'
refuses "a host that is not allowed" "http://127.0.0.2:$port/" \
	'egress|policy|allowed'
refuses "a URL of another scheme" "ftp://127.0.0.1/x" 'http'
refuses "a slow server" "$http/slow" 'timed out|timeout' 0.3
is "a slow server: it is a Timeout" "$(json 'd[0][0]')" '"Timeout"'
refuses "a server that says nothing" "$http/slow?head=1" \
	'timed out|timeout' 0.3
refuses "a body that is cut short" "$http/truncated" \
	'truncated|expected|short|closed'
refuses "a body in chunks that is cut short" "$http/truncated?chunked=1" \
	'truncated|expected|short|closed|incomplete'
refuses "a connection that ends without an answer" \
	"$http/drop" 'closed|empty|no answer|without'
refuses "an answer that is not HTTP" "$http/garbage" 'HTTP|garbage|protocol'
refuses "redirects without end" "$http/loop" 'redirect'
refuses "a redirect to where it may not go" \
	"$http/redirect?to=http://127.0.0.1:$other/" 'egress|policy|allowed'
invoke gather "{\"urls\": [\"$http/in.csv\"]}"
is "after failures, a GET is fine" "$(json 'd[0][0]')" 200

# a closed port, and a name that there is not
mkdir "$tmp/src/closed"
cp "$t/functions/gather/app.py" "$tmp/src/closed/"
cat >"$tmp/src/closed/function.ini" <<END
[function]
name = closed
handler = app.handler
timeout = 30s
[egress]
allow = http://127.0.0.1:1/ http://no-such-host.invalid/
END
if "$usetl" bake -o "$tmp/gather.usetl" "$tmp/src/closed" \
	>"$tmp/out" 2>"$tmp/err"; then
	refuses "a closed port" "http://127.0.0.1:1/" 'refused|connect'
	refuses "a host that does not exist" "http://no-such-host.invalid/" \
		'resolve'
else
	fail "bake another egress list" "$tmp/err"
fi
plan
