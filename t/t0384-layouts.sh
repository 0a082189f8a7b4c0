#!/bin/sh
# layouts in [pool]: references of one function that are not laid out alike
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"

start_httpd
mkdir -p "$tmp/src/where"
cat >"$tmp/src/where/app.py" <<'END'
"""Where this interpreter's memory lies, and how it hashes."""
import sys

import usetl


def handler(event, context):
    """Once a URL that it is given answers."""
    if "hold" in event:
        usetl.get(event["hold"])
    if "crash" in event:
        sys.exit(1)
    with open("/proc/self/maps", encoding="ascii") as maps:
        heap = [line.split()[0] for line in maps if "[heap]" in line]
    return [hash("the interpreter's seed"), id(sys.modules), heap]
END
# image NAME [FORK]: one that its clones start from there
image() {
	cat >"$tmp/src/where/function.ini" <<-END
	[function]
	name = where
	handler = app.handler
	memory = 64M
	timeout = 60s
	${2:+fork = $2}
	[egress]
	allow = $http/
	END
	ok "bake $1" "$usetl" bake -o "$tmp/$1.usetl" "$tmp/src/where"
}
image where
image anew boot

sock=$tmp/u.sock
# conf POOL SECTION...: pool's lines, then each function's name and lines
conf() {
	printf '[serve]\ncontrol = u.sock\n[pool]\n%b\n' "$1" >"$tmp/u.conf"
	shift
	for f; do
		printf "[function ${f%% *}]\nimage = %s\n%b\n" \
			"${image:-where}.usetl" "${f#* }"
	done >>"$tmp/u.conf"
}
# of list --json: functions by name in d, runtimes alone in r, and of each
# function's layouts that are ready how many clones each has in clones()
listed() {
	"$usetl" ctl --control "$sock" list --json >"$tmp/list" &&
	"$python" -c "import json, sys
a = json.load(open(sys.argv[1]))
d = {f['name']: f for f in a}
r = [f['id'] for f in a if f['name'] == 'runtime']
def clones(name):
    return [l['clones'] for l in d[name].get('layouts', []) if l['ready']]
print(json.dumps($1))" "$tmp/list"
}
# await_listed EXPRESSION VALUE
await_listed() {
	await is_listed "$@"
	is "await: $1" "$(listed "$1")" "$2"
}
is_listed() {
	test "$(listed "$1")" = "$2"
}
# where NAME N: what so many requests, one after the other, answer, a line each
where() {
	n=$2
	while test "$n" -gt 0; do
		call "$1" '{}'
		json d
		n=$((n - 1))
	done
}
# together NAME N: the same of so many at once, each in a clone of its own
together() {
	pids=
	for i in $(seq "$2"); do
		curl -sS -m 60 -d "{\"hold\": \"$http/held\"}" \
			-o "$tmp/held.$i" "$url/function/$1" 2>>"$tmp/err" &
		pids="$pids $!"
	done
	await holding "$2"
	curl -sS "$http/release" >/dev/null
	# shellcheck disable=SC2086
	wait $pids
	for i in $(seq "$2"); do
		cat "$tmp/held.$i"
		echo
	done
}
holding() {
	test "$(curl -sS "$http/holding")" = "$1"
}
# how many different lines there are
differ() {
	sort -u | grep -c .
}

conf 'layouts = 3\nmin = 6\nmax = 6' 'a ' 'b pool.min = 0'
serve_or_end -c "$tmp/u.conf"
await_listed 'clones("a")' '[2, 2, 2]'
await_listed 'clones("b")' '[0, 0, 0]'
is "each layout is a runtime of its own, which functions share" \
	"$(listed '[[l["base"] for l in d[f]["layouts"]] == r
	for f in ("a", "b")]')" '[true, true]'
together a 6 >"$tmp/were"
is "six clones of one function have three seeds" \
	"$(cut -d, -f1 "$tmp/were" | differ)" 3
is "and three places of its objects and heap" \
	"$(cut -d, -f2- "$tmp/were" | differ)" 3
is "two of each" "$(sort "$tmp/were" | uniq -c | awk '{ print $1 }' |
	tr '\n' ' ')" '2 2 2 '
together b 3 >"$tmp/are"
is "those that are made when they are called are spread, too" \
	"$(differ <"$tmp/are")" 3
is "over the same runtimes" "$(cut -d, -f1 "$tmp/were" "$tmp/are" | differ)" 3
is "no request has waited for a boot" "$(listed '[d[f]["starts"]["boot"]
	for f in "ab"]')" '[0, 0]'

# a clone that ends
is "a clone crashes" "$(call a '{"crash": 1}'; echo "$status")" 502
await_listed 'clones("a")' '[2, 2, 2]'

# another snapshot
together a 6 >"$tmp/were"
ok "ctl fork" "$usetl" ctl --control "$sock" fork a
await_listed 'clones("a")' '[2, 2, 2]'
is "ctl fork has made that of each layout anew" \
	"$(grep -c 'a new reference took over' "$tmp/serve.err")" 3
is "and of each it is said which it was" \
	"$(sed -n "s/.*function 'a': \(.*\)a new reference took over/\1/p" \
	"$tmp/serve.err" | sort | tr -d '\n')" 'layout 0: layout 1: layout 2: '

# fewer, more
conf 'layouts = 1\nmin = 6\nmax = 6' 'a ' 'b pool.min = 0'
kill -HUP "$serve_pid"
await_listed 'len(r)' 1
await_listed 'd["a"]["clones"]' '{"idle": 6, "busy": 0, "coming": 0}'
is "layouts = 1, by SIGHUP: all are alike" "$(together a 6 | differ)" 1
is "and nothing is said of layouts" "$(listed '"layouts" in d["a"]')" false
conf 'layouts = 2\nmin = 6\nmax = 6' 'a ' 'b pool.min = 0'
kill -HUP "$serve_pid"
await_listed 'clones("a")' '[3, 3]'
is "layouts = 2, by SIGHUP: they are of two" "$(together a 6 | differ)" 2
stop_serve
is "it stops" "$serve_status" 0

# one clone for each request
conf 'layouts = 3\nmin = 0' 'a recycle = fork'
serve_or_end -c "$tmp/u.conf"
await_listed 'clones("a")' '[0, 0, 0]'
is "recycle = fork: by turns" "$(where a 6 | sort | uniq -c |
	awk '{ print $1 }' | tr '\n' ' ')" '2 2 2 '
stop_serve

# without a runtime that is shared
image=anew conf 'layouts = 3\nmin = 0' 'a recycle = fork'
serve_or_end -c "$tmp/u.conf"
await_listed 'clones("a")' '[0, 0, 0]'
is "fork = boot: three places of them, for six interpreters" \
	"$(where a 6 | cut -d, -f2- | differ)" 3
stop_serve
conf 'layouts = 2\nmin = 2\nshare = no' 'a '
serve_or_end -c "$tmp/u.conf"
await_listed 'clones("a")' '[1, 1]'
is "share = no: two layouts" "$(together a 2 | differ)" 2
stop_serve

# a store
conf 'layouts = 2\nmin = 2' 'a '
serve_or_end -c "$tmp/u.conf" --store "$tmp/store"
await_listed 'clones("a")' '[1, 1]'
together a 2 | sort >"$tmp/were"
is "two layouts" "$(differ <"$tmp/were")" 2
stored() {
	test "$("$usetl" store --store "$tmp/store" list |
		grep -c snapshot)" = "$1"
}
await stored 4
ok "a store keeps each runtime, and the function over each" stored 4
stop_serve
serve_or_end -c "$tmp/u.conf" --store "$tmp/store"
await_listed 'clones("a")' '[1, 1]'
together a 2 | sort >"$tmp/are"
ok "it starts from both again" cmp "$tmp/were" "$tmp/are"
stop_serve
stored 4 || diag "$("$usetl" store --store "$tmp/store" list)"
ok "nothing was booted, and nothing is kept twice" stored 4

# refresh
conf 'layouts = 2\nmin = 2\nrefresh = 2s' 'a '
serve_or_end -c "$tmp/u.conf"
await_listed 'clones("a")' '[1, 1]'
together a 2 >"$tmp/were"
# again WHICH: that is replaced once more than it has been
again() {
	line="function 'a': ${1}a new reference took over"
	times=$(grep -c "$line" "$tmp/serve.err")
	await said_times "$line" $((times + 1))
	ok "refresh: $line" said_times "$line" $((times + 1))
}
again 'layout 0: '
again 'layout 1: '
conf 'layouts = 2\nmin = 2\nrefresh = 0' 'a '
kill -HUP "$serve_pid"
await said_times 'the configuration was read again' 1
await_listed '[clones("a"), d["a"]["clones"]["idle"]]' '[[1, 1], 2]'
together a 2 >"$tmp/are"
is "layouts stay apart, before and after" \
	"$(cat "$tmp/were" "$tmp/are" | differ)" 4
stop_serve

# too little memory for so many: functions are run all the same
conf 'layouts = 3\nmin = 3\nmemory = 1M' 'a '
serve_or_end -c "$tmp/u.conf"
await_listed 'clones("a")' '[0, 0, 0]'
is "memory = 1M: three layouts run" "$(together a 3 | differ)" 3
await_listed 'd["a"]["clones"]' '{"idle": 0, "busy": 0, "coming": 0}'
stop_serve
is "it stops in order" "$serve_status" 0

conf 'min = 2' 'a '
serve_or_end -c "$tmp/u.conf"
is "one by default" "$(together a 2 | differ)" 1
is "of one runtime" "$(listed 'len(r)')" 1
stop_serve

for n in 0 -1 65 1000000 many; do
	conf "layouts = $n" 'a '
	fails "layouts = $n is refused" 1 "$usetl" serve -c "$tmp/u.conf" \
		-l 127.0.0.1:0
	like "and named, of $n" "$tmp/err" "layouts = '$n'"
done
plan
