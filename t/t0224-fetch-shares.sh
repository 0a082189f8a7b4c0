#!/bin/sh
# a function whose servers promise much, or say nothing, takes no other's fetches
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
start_httpd

# functions that make the GETs of their event at once; the bytes of each, or why
# there are none
cat >"$tmp/app.py" <<'END'
import usetl


def handler(event, context):
    got = usetl.gather(*(usetl.Request("GET", url, timeout=event["timeout"])
                         for url in event["urls"]), return_exceptions=True)
    return [len(r) if isinstance(r, usetl.Response) else str(r) for r in got]
END
fetcher greedy 300s <"$tmp/app.py"
fetcher other 300s <"$tmp/app.py"

# serve_with TOTAL: both of them, with that much memory for bodies
serve_with() {
	cat >"$tmp/conf" <<END
[serve]
drain = 1s
[pool]
max = 4
[fetch]
max   = 4G
total = $1
[function greedy]
image = $tmp/greedy.usetl
[function other]
image = $tmp/other.usetl
END
	serve_or_end -c "$tmp/conf"
}

# urls N PATH: as JSON
urls() {
	"$python" -c 'import json, sys
print(json.dumps([sys.argv[2]] * int(sys.argv[1])))' "$1" "$http$2"
}

# waits N: the server has so many under way
waits() {
	test "$(curl -sS "$http/waiting")" -ge "$1"
}

# beside NAME N PATH LEAST: fetches of the one while four requests of the other
# have N such under way each, of which LEAST have begun
beside() {
	serve_with 1000000000
	pids=
	for i in 1 2 3 4; do
		curl -sS -m 300 -o "$tmp/greedy$i" \
			-d "{\"urls\": $(urls "$2" "$3"), \"timeout\": 280}" \
			"$url/function/greedy" 2>/dev/null &
		pids="$pids $!"
	done
	await waits "$4"
	good=0
	for i in 1 2 3 4 5; do
		call other "{\"urls\": $(urls 10 '/big?size=300000'),
			\"timeout\": 40}"
		test "$(json 'd == [300000] * 10')" != true ||
			good=$((good + 10))
	done
	under_way=0
	for pid in $pids; do
		kill -0 "$pid" 2>/dev/null && under_way=$((under_way + 1))
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	is "$1: 50 fetches of another function" "$good" 50
	test "$good" = 50 || diag "$(cut -c 1-400 "$tmp/out")"
	is "$1: while all are under way" "$under_way" 4
	stop_serve
}
beside "four promises of 1 GB" 1 '/promise?size=1000000000&sent=1' 4
beside "128 connections that stall" 32 '/slow?head=1&seconds=280' 100

serve_with 4G
# a large body and small ones of others: each is whole
curl -sS -m 300 -o "$tmp/greedy1" -d "{\"urls\": $(urls 1 \
	'/big?size=900000000'), \"timeout\": 280}" "$url/function/greedy" &
curl_pid=$!
good=0
for i in 1 2 3 4 5; do
	call other "{\"urls\": $(urls 10 '/big?size=300000'), \"timeout\": 40}"
	test "$(json 'd == [300000] * 10')" != true || good=$((good + 10))
done
is "beside a body of 900 MB: 50 fetches of another function" "$good" 50
wait "$curl_pid"
cp "$tmp/greedy1" "$tmp/out"
is "a body of 900 MB comes" "$(json d)" '[900000000]'
plan
