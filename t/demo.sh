#!/bin/sh
# demo.sh USETL - bake the example, serve it, invoke it, print what it took
#
# Everything happens in a temporary folder and on loopback; what it starts,
# it ends.
set -eu
cd "$(dirname "$0")/.."
usetl=$1
tmp=$(mktemp -d)
httpd= serve=
cleanup() {
	test -z "$serve" || { kill "$serve" 2>/dev/null; wait "$serve" || :; }
	test -z "$httpd" || { kill "$httpd" 2>/dev/null; wait "$httpd" || :; }
	rm -rf "$tmp"
} 2>/dev/null
trap cleanup EXIT
trap 'exit 1' INT TERM

say() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}
test -t 1 || say() { printf '\n%s\n' "$*"; }

# waits until sed -n SCRIPT prints something of the file, and prints it
await() {
	i=0
	while ! sed -n "$2" "$1" | grep -q .; do
		i=$((i + 1))
		test $i -lt 200 || { cat "$1" >&2; exit 1; }
		sleep 0.05
	done
	sed -n "$2" "$1" | head -n 1
}

say '$ usetl check'
"$usetl" check

say "an HTTP server on loopback, with a CSV file of 3 rows"
: >"$tmp/httpd"
/usr/bin/python3 t/httpd.py >"$tmp/httpd" &
httpd=$!
port=$(await "$tmp/httpd" '/^[0-9]/p')
printf 'id,amount\n1,1000\n2,200\n3,34.5\n' >"$tmp/in.csv"
curl -fsS -T "$tmp/in.csv" "http://127.0.0.1:$port/orders.csv" >/dev/null
cat "$tmp/in.csv"

mkdir "$tmp/total"
cp t/functions/total/app.py "$tmp/total"
sed "s|127.0.0.1:9000|127.0.0.1:$port|" t/functions/total/function.ini \
	>"$tmp/total/function.ini"
say '$ cat total/app.py total/function.ini'
cat "$tmp/total/app.py" "$tmp/total/function.ini"

say '$ usetl bake -o total.usetl total'
"$usetl" bake -o "$tmp/total.usetl" "$tmp/total"

event="{\"source\": \"http://127.0.0.1:$port/orders.csv\", \"sink\": \"http://127.0.0.1:$port/sum\"}"
say "\$ usetl invoke --stats -d '$event' total.usetl"
"$usetl" invoke --stats -d "$event" "$tmp/total.usetl"

say '$ usetl serve -l 127.0.0.1:0 total.usetl &'
: >"$tmp/serve"
"$usetl" serve -l 127.0.0.1:0 "$tmp/total.usetl" 2>"$tmp/serve" &
serve=$!
url=$(await "$tmp/serve" 's/.*listening on //p')
cat "$tmp/serve"

say "\$ curl -d '$event' $url/function/total"
for i in 1 2 3; do
	curl -fsS -w '   (%{time_total} s)\n' -d "$event" "$url/function/total"
done
say "what the function posted to /sum"
curl -fsS "http://127.0.0.1:$port/sum"
echo
