#!/bin/sh
# make demo: its results, what it leaves, and what it says to try next
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"

mkdir "$tmp/build"
ln -s "$usetl" "$tmp/build/usetl"
demo=$tmp/build/demo
ok "make demo succeeds" timeout 300 sh "$t/demo.sh" "$tmp/build/usetl"
cp "$tmp/out" "$tmp/said"
is "make demo: one result of invoke, three of serve" \
	"$(grep -c '^{"total": 1234.5}' "$tmp/said")" 4
like "make demo: its timings" "$tmp/said" '^\{"total": 1234.5\} +\([0-9.]+ s\)'
like "make demo: what was posted" "$tmp/said" '^1234.5$'
ok "make demo: the function is left" test -r "$demo/total/app.py" -a \
	-r "$demo/total/function.ini"
ok "make demo: the image is left" "$usetl" inspect "$demo/total.usetl"

# the reader's next step: another sum, by the lines that were printed
sed '1,/^Next: /d' "$tmp/said" | grep '^    ' >"$tmp/next"
sed -i 's/sum(float(r\["amount"\]) for/max(float(r["amount"]) for/' \
	"$demo/total/app.py"
cd "$top" || exit 1
ok "make demo: what to try next succeeds" timeout 100 sh -e "$tmp/next"
like "make demo: what to try next runs the changed function" \
	"$tmp/out" '^\{"total": 1000.0\}$'

# data of one's own, through a pipe: curl does not know its length
start_httpd
printf 'id,amount\n1,2\n' | curl -sS -o "$tmp/out" -T - "$http/piped.csv"
is "a file that is piped to the server" "$(curl -sS "$http/piped.csv")" \
	"$(printf 'id,amount\n1,2')"
plan
