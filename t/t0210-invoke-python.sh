#!/bin/sh
# an unmodified Python in the guest: its library, threads, files, numpy
. "$(dirname "$0")/lib.sh"
need_tender
need_python
bake_or_end stdlib threads files hooks

# part NAME EXPECTED: what a part of the stdlib function answers
part() {
	if ! invoke stdlib "{\"only\": \"$1\"}"; then
		fail "$1" "$tmp/err"
		return
	fi
	if test -n "$2"; then
		want=$2
	else
		# Linux is the oracle
		want=$(cd "$t/functions/stdlib" && "$python" -B -c '
import app, json, sys
print(json.dumps(app.handler({"only": sys.argv[1]}, None)[sys.argv[1]],
                 sort_keys=True))' "$1" 2>/dev/null)
	fi
	is "$1" "$(json "d['$1']")" "$want"
}
for name in asyncio compression ctypes hashes numbers objects random socket \
	sqlite ssl text threads time zip
do
	part $name ""
done
part subprocess '"ENOSYS"'

ok "everything in one invocation" invoke stdlib '{}'

ok "threads" invoke threads '{}'
is "the interpreter's lock changes hands" "$(json d)" \
	'{"left": 1, "lock_timed_out": true, "second": true,'\
' "spun_between": true, "woke": 5}'

for check in append copy_on_write links many meta mmap names rename sparse \
	unlink
do
	if invoke files "{\"do\": \"$check\"}"; then
		is "files: $check" "$(json d)" "[\"$check\"]"
	else
		fail "files: $check" "$tmp/err"
	fi
done
ok "files: fill" invoke files '{"do": "fill"}'
is "a full file system is ENOSPC" "$(json 'd["errno"]')" '"ENOSPC"'
is "near its limit" "$(json '24 <= d["megabytes"] <= 32')" true

ok "hooks" invoke hooks '{}'
is "run once each" "$(json '[d["ready"], d["clone"], d["calls"]]')" \
	'[1, 1, 1]'
cp "$tmp/out" "$tmp/first"
is "memory limit as baked" "$(json 'd["memory"]')" 64
is "the time limit is known" "$(json '0 < d["left"] <= 5000')" true
is "the clock is right" "$(json 'abs(d["time"] - __import__("time").time()) < 60')" true

if has_module numpy; then
	if bake numpy; then
		ok "numpy" invoke numpy '{}'
		is "numpy computes" \
			"$(json '[d["trace"], d["solved"], d["mean"]]')" \
			"$(cd "$t/functions/numpy" && "$python" -B -c '
import app, json
d = app.handler({}, None)
print(json.dumps([d["trace"], d["solved"], d["mean"]]))')"
	else
		fail "bake numpy" "$tmp/bake.err"
	fi
else
	skip "numpy" "$python has no numpy"
fi
plan
