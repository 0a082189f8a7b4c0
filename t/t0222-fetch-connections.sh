#!/bin/sh
# no answer crosses from one request to another, whatever servers leave unread
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
start_httpd origin.py

# functions that make the requests of their event, and say what came
cat >"$tmp/app.py" <<'END'
import time

import usetl


def one(method, url, data=None, timeout=10):
    try:
        more = {f"X-{i}": "" for i in range(int(url.partition("?")[2] or 0))}
        r = usetl.request(method, url, data=data, timeout=timeout,
                          headers=more)
        return r.text if method != "HEAD" else str(r.status)
    except usetl.Error as e:
        return type(e).__name__


def handler(event, context):
    if "sleep" in event:
        time.sleep(event["sleep"])
    if event.get("gather"):
        return [r.text for r in usetl.gather(*(
            usetl.Request(*r) for r in event["gather"]))]
    return [one(*r) for r in event["requests"]]
END
fetcher one 30s <"$tmp/app.py"
fetcher two 30s <"$tmp/app.py"
serve_or_end "$tmp/one.usetl" "$tmp/two.usetl"

# request METHOD PATH [TIMEOUT]: with a body that is a request itself
request() {
	smuggled="GET /smuggled HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
	printf '["%s", "%s%s", "%s", %s]' "$1" "$http" "$2" "$smuggled" \
		"${3:-10}"
}

# get PATH: one that has no body
get() {
	printf '["GET", "%s%s"]' "$http" "$1"
}

# crosses NAME FIRST SECOND METHOD PATH: FIRST sends such a body, and then
# SECOND asks for something; nine times in ten it had the smuggled answer
crosses() {
	wrong=0
	for i in 1 2 3 4 5 6 7 8 9 10; do
		call "$2" "{\"requests\": [$(request "$4" "$5")]}"
		cp "$tmp/out" "$tmp/first"
		call "$3" "{\"requests\": [$(get "/mine$i"), $(get /again)]}"
		test "$(json d)" = "[\"/mine$i\", \"/again\"]" ||
			wrong=$((wrong + 1))
	done
	is "$1" "$wrong" 0
	test "$wrong" = 0 || diag "$(cat "$tmp/out")"
}

for method in GET POST PUT DELETE; do
	path=/before
	test $method != GET || path=/unread
	crosses "$method: the next function has its own answers" \
		one two $method $path
	crosses "$method: the first function has its own answers" \
		two one $method $path
	crosses \
		"$method: the same function has its own answers next" \
		one one $method $path
done
crosses "a second answer goes to nobody" one two POST /twice

for how in after before; do
	call one "{\"requests\": [$(request POST /$how), $(request PUT /$how/2),
		$(get /mine), $(request POST /$how/3), $(get /too)]}"
	is "each of five requests has its answer: bodies are read $how" \
		"$(json d)" \
		"[\"/$how\", \"/$how/2\", \"/mine\", \"/$how/3\", \"/too\"]"
done
call one "{\"requests\": [$(get /twice)]}"
call one "{\"sleep\": 0.5, \"requests\": [$(get /mine), $(get /too)]}"
is "a kept connection with a second answer in it is not used" \
	"$(json d)" '["/mine", "/too"]'
call two "{\"requests\": [$(request POST /never 0.5), $(get /mine),
	[\"GET\", \"$http/never\", null, 0.5], $(get /too),
	[\"HEAD\", \"$http/x\"], $(get /three)]}"
is "no answer is a timeout, and crosses nowhere" "$(json d)" \
	'["Timeout", "/mine", "Timeout", "/too", "200", "/three"]'

# all at once, on both sides
list=
want=
for i in 1 2 3 4 5 6 7 8; do
	list="$list${list:+, }[\"GET\", \"$http/g$i\"]"
	want="$want${want:+, }\"/g$i\""
done
good=0
for i in 1 2 3 4 5; do
	curl -sS -m 60 -o /dev/null -d "{\"requests\": [$(request GET /a),
		$(request POST /before), $(request PUT /before)]}" \
		"$url/function/one" &
	curl_pid=$!
	call two "{\"gather\": [$list]}"
	test "$(json d)" != "[$want]" || good=$((good + 1))
	wait "$curl_pid"
done
is "eight GETs at once beside a function that smuggles" "$good" 5

# an answer's body that comes late, where none may be, is nobody's answer
call one "{\"requests\": [[\"HEAD\", \"$http/late\"], $(get /first)]}"
is "a late body of HEAD: the next request of this invocation" \
	"$(json d[1])" '"/first"'
call one "{\"sleep\": 0.3, \"requests\": [$(get /second), $(get /third)]}"
is "a late body of HEAD: the next invocation" \
	"$(json d)" '["/second", "/third"]'

# many headers are many steps of the gateway's
call one "{\"requests\": [$(get '/few?90'), $(get '/many?300')]}"
is "as many headers as a fetch may have" "$(json d)" \
	'["/few?90", "Error"]'

# framing without end: the fetch fails, and others are served meanwhile
for what in extension trailers; do
	curl -sS -m 60 -o "$tmp/slow.out" -d "{\"requests\": [$(get /$what)]}" \
		"$url/function/two" 2>"$tmp/slow.err" &
	curl_pid=$!
	served=0
	for i in 1 2 3 4 5 6 7 8; do
		call one "{\"requests\": [$(get /meanwhile)]}"
		test "$(json 'd[0]')" = '"/meanwhile"' && served=$((served + 1))
	done
	wait "$curl_pid"
	is "$what without end: the fetch fails" "$(cat "$tmp/slow.out")" \
		'["Error"]'
	is "$what: another function is served meanwhile" "$served" 8
done
plan
