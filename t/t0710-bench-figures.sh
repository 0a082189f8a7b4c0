#!/bin/sh
# the bench's figures: tables, plots and the page, of values made up; and that
# peers get the files of an image
. "$(dirname "$0")/lib.sh"
need_python
merge "bench_test.py" "$python" -B "$t/python/bench_test.py"

"$usetl" bake --no-check -o "$tmp/json.usetl" "$t/functions/json" >"$tmp/err" 2>&1
ok "bake a function for peers" test -e "$tmp/json.usetl"
(cd "$t/bench" && "$python" -B -c 'import guestroot, sys
guestroot.unpack(*sys.argv[1:])' "$tmp/json.usetl" "$tmp/root") 2>"$tmp/err"
for file in usr/bin/python3 app/app.py bench/host.py bench/fresh.py; do
	ok "a peer's root has $file" test -e "$tmp/root/$file"
done
ok "the function in it is the one that was baked" \
	cmp -s "$t/functions/json/app.py" "$tmp/root/app/app.py"
plan
