#!/bin/sh
# demo.sh USETL - bake the example, serve it, invoke it, print what it took
#
# Everything happens in the folder demo beside USETL and on loopback.  What it
# starts, it ends; function, image and event stay there, for what it says at
# the end: lines to copy, which t/t0114-demo.sh runs.
set -eu
cd "$(dirname "$0")/.."
usetl=$1
demo=$(dirname "$usetl")/demo
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

# waits until sed -n SCRIPT prints something of the file, and prints it; 1
# when PID has ended before
await() {
	i=0
	while ! sed -n "$2" "$1" | grep -q .; do
		i=$((i + 1))
		test $i -lt 200 || { cat "$1" >&2; return 1; }
		kill -0 "$3" 2>/dev/null || return 1
		sleep 0.05
	done
	sed -n "$2" "$1" | head -n 1
}

# start_httpd PORT: 1 when that is taken
start_httpd() {
	: >"$tmp/httpd"
	/usr/bin/python3 t/httpd.py --port "$1" >"$tmp/httpd" 2>"$tmp/why" &
	httpd=$!
	port=$(await "$tmp/httpd" '/^[0-9]/p' "$httpd")
}

say "\$ $usetl check"
"$usetl" check

say "an HTTP server on loopback, with a CSV file of 3 rows"
start_httpd 9000 || start_httpd 0 || { cat "$tmp/why" >&2; exit 1; }
http=http://127.0.0.1:$port
rm -rf "$demo"
mkdir -p "$demo/total"
printf 'id,amount\n1,1000\n2,200\n3,34.5\n' >"$demo/orders.csv"
curl -fsS -T "$demo/orders.csv" "$http/orders.csv" >/dev/null
cat "$demo/orders.csv"

cp t/functions/total/app.py "$demo/total"
sed "s|http://127.0.0.1:9000|$http|" t/functions/total/function.ini \
	>"$demo/total/function.ini"
say "\$ cat $demo/total/app.py $demo/total/function.ini"
cat "$demo/total/app.py" "$demo/total/function.ini"

say "\$ $usetl bake -o $demo/total.usetl $demo/total"
"$usetl" bake -o "$demo/total.usetl" "$demo/total"

echo "{\"source\": \"$http/orders.csv\", \"sink\": \"$http/sum\"}" \
	>"$demo/event.json"
say "\$ cat $demo/event.json"
cat "$demo/event.json"
say "\$ $usetl invoke --stats -d @$demo/event.json $demo/total.usetl"
"$usetl" invoke --stats -d "@$demo/event.json" "$demo/total.usetl"

say "\$ $usetl serve -l 127.0.0.1:0 $demo/total.usetl &"
: >"$tmp/serve"
"$usetl" serve -l 127.0.0.1:0 "$demo/total.usetl" 2>"$tmp/serve" &
serve=$!
url=$(await "$tmp/serve" 's/.*listening on //p' "$serve") || {
	cat "$tmp/serve" >&2
	exit 1
}
cat "$tmp/serve"

say "\$ curl -d @$demo/event.json $url/function/total"
for i in 1 2 3; do
	curl -fsS -w '   (%{time_total} s)\n' -d "@$demo/event.json" \
		"$url/function/total"
done
say "what the function posted to /sum"
curl -fsS "$http/sum"

say "Next: change $demo/total/app.py (man/usetl-python.7 has what a function
finds, man/function.ini.5 what stands beside it); then, from this folder,"
cat <<END
    python3 t/httpd.py --port $port >/dev/null & httpd=\$!
    $usetl bake -o $demo/total.usetl $demo/total
    curl -fs -o /dev/null --retry 9 --retry-connrefused -T $demo/orders.csv $http/orders.csv
    $usetl invoke -d @$demo/event.json $demo/total.usetl
    kill \$httpd
END
