#!/bin/sh
# an unmodified Python in the guest: its library, threads, files, numpy
. "$(dirname "$0")/lib.sh"
need_tender
need_python
bake_or_end stdlib threads files hooks

# Linux is the oracle of what each part of the stdlib function answers
(cd "$t/functions/stdlib" && "$python" -B -c 'import app, json
print(json.dumps(app.handler({}, None)))') >"$tmp/native" 2>/dev/null
cp "$tmp/native" "$tmp/out"
is "the library natively: fifteen parts" "$(json 'len(d)')" 15
names=$(json '" ".join(sorted(d))' | tr -d '"')

ok "the library in the guest" invoke stdlib '{}'
cp "$tmp/out" "$tmp/guest"
for name in $names; do
	cp "$tmp/native" "$tmp/out"
	want=$(json "d['$name']")
	test "$name" != subprocess || want='"ENOSYS"'
	cp "$tmp/guest" "$tmp/out"
	is "$name" "$(json "d['$name']")" "$want"
done

ok "threads" invoke threads '{}'
is "the interpreter's lock changes hands" "$(json d)" \
	'{"all_spun": true, "left": 1, "lock_timed_out": true,'\
' "spun_between": true, "woke": 5}'

ok "files" invoke files '{}'
is "files behave as on Linux" "$(json d)" '["append", "copy_on_write",'\
' "links", "many", "meta", "mmap", "names", "rename", "sparse", "unlink"]'
ok "files: fill" invoke files '{"do": "fill"}'
is "a full file system is ENOSPC" "$(json 'd["errno"]')" '"ENOSPC"'
is "a full file system: near its limit" \
	"$(json '24 <= d["megabytes"] <= 32')" true
like "a full file system: the key to raise its limit is said" "$tmp/err" \
	'limit of 32 MB; see files in function\.ini'

ok "hooks" invoke hooks '{}'
is "hooks run once each" "$(json '[d["ready"], d["clone"], d["calls"]]')" \
	'[1, 1, 1]'
cp "$tmp/out" "$tmp/first"
is "the memory limit is as baked" "$(json 'd["memory"]')" 64
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
