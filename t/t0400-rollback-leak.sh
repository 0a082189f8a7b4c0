#!/bin/sh
# nothing that an invocation leaves is seen by another
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end leak hooks
start_httpd
fetcher tickets 20s <<'END'
import ctypes

import usetl

URL = "%s/big?size=%d"
WHOLE = bytes(range(251)) * 4096


def handler(event, context):
    some = usetl.gather(*(usetl.Request("GET", URL % (event["url"], n))
                          for n in event["sizes"]))
    right = [r.content == WHOLE[:len(r)] for r in some]
    for r in some:
        r.close()
    one = usetl.get(URL % (event["url"], 10))
    table = ctypes.string_at(0xc00000000, 64 + 64 * 56)
    return {"right": right, "path": one.path, "table": table.hex()}
END

cat >"$tmp/usetl.conf" <<END
[pool]
min = 1
max = 1
[function rollback]
image = $tmp/leak.usetl
[function fork]
image = $tmp/leak.usetl
recycle = fork
[function keep]
image = $tmp/leak.usetl
recycle = keep
[function tickets]
image = $tmp/tickets.usetl
[function hooks]
image = $tmp/hooks.usetl
[function hooks-keep]
image = $tmp/hooks.usetl
recycle = keep
END
serve_or_end -c "$tmp/usetl.conf"

a=0123456789abcdef1122334455667788
b=fedcba98765432108877665544332211
c=00ff11ee22dd33cc44bb55aa66997788

for name in rollback fork; do
	call $name "{\"mark\": \"$a\", \"leave\": true}"
	is "$name: the first leaves something on every road" \
		"$status $(json 'd["seen"]')" '200 []'
	tried=$(json 'd["tried"]')
	is "$name: there are many roads" "$(json 'd["tried"] > 30')" true
	is "$name: its mark can be found in memory" "$(json 'd["control"]')" true
	call $name "{\"mark\": \"$b\", \"leave\": true, \"before\": [\"$a\"]}"
	is "$name: the second finds nothing" "$status $(json 'd["seen"]')" \
		'200 []'
	call $name "{\"mark\": \"$c\", \"before\": [\"$a\", \"$b\"]}"
	is "$name: the third finds nothing" \
		"$status $(json 'd["seen"]')" '200 []'
	is "$name: the third looks down as many roads" \
		"$(json 'd["tried"]')" "$tried"
done

# that the roads lead anywhere shows without rollback
call keep "{\"mark\": \"$a\", \"leave\": true}"
is "keep: the first sees nothing" "$status $(json 'd["seen"]')" '200 []'
call keep "{\"mark\": \"$b\", \"before\": [\"$a\"]}"
is "keep: the second sees what was left" \
	"$status $(json 'len(d["seen"]) >= 20')" '200 true'
is "keep: the second sees the mark" "$(json '"anywhere" in d["seen"]')" true

# the numbers of fetches tell nothing of those before
numbers() {
	call tickets "{\"url\": \"$http\", \"sizes\": $1}"
	is "fetches of $1: all are right" "$status $(json 'd["right"]')" "200 $2"
}
numbers '[]' '[]'
path=$(json 'd["path"]')
table=$(json 'd["table"]')
numbers '[1, 2, 3, 4, 5, 6, 7]' \
	'[true, true, true, true, true, true, true]'
numbers '[]' '[]'
is "after seven fetches: the same name for the first body" \
	"$(json 'd["path"]')" \
	"$path"
is "after seven fetches: the same table" "$(json 'd["table"]')" "$table"
for i in 1 2 3; do
	numbers '[300000, 600000]' '[true, true]'
done
numbers '[]' '[]'
is "after large fetches: the same name" "$(json 'd["path"]')" "$path"
is "after large fetches: the same table" "$(json 'd["table"]')" "$table"

# what must differ between invocations does
for i in 1 2 3 4; do
	call hooks '{}'
	cat "$tmp/out" >>"$tmp/all"
	echo >>"$tmp/all"
done
"$python" -c 'import json, sys
d = [json.loads(line) for line in open(sys.argv[1])]
print(json.dumps({
    "calls": [x["calls"] for x in d], "clone": [x["clone"] for x in d],
    "frozen": len({x["frozen"] for x in d}),
    "random": len({x["random"] for x in d} | {x["drawn"] for x in d}),
    "ids": len({x["id"] for x in d}),
    "time": all(a["time"] < b["time"] for a, b in zip(d, d[1:]))}))' \
	"$tmp/all" >"$tmp/out"
is "each clone begins at the reference" \
	"$(json '[d["calls"], d["clone"], d["frozen"]]')" \
	'[[1, 1, 1, 1], [1, 1, 1, 1], 1]'
is "each clone has randomness of its own" "$(json '[d["random"], d["ids"]]')" \
	'[8, 4]'
is "each clone's clock goes on" "$(json 'd["time"]')" true
call hooks-keep '{}'
call hooks-keep '{}'
is "keep: state is kept" "$(json 'd["calls"]')" 2
plan
