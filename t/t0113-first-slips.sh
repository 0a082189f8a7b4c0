#!/bin/sh
# what people write at first, and what they are told
. "$(dirname "$0")/lib.sh"
need_tender
need_python

# manifest LINE...: $tmp/f, with a handler that answers a variable
manifest() {
	rm -rf "$tmp/f"
	mkdir "$tmp/f"
	printf '%s\n' 'import os' 'def handler(event, context):' \
		'    return os.environ.get("KEY")' >"$tmp/f/app.py"
	printf '%s\n' '[function]' 'name = f' "$@" >"$tmp/f/function.ini"
}

# told NAME PATTERN LINE...: bake refuses it, with and without a trial boot
told() {
	told=$1 pattern=$2
	shift 2
	manifest "$@"
	fails "$told" 1 "$usetl" bake -o "$tmp/f.usetl" "$tmp/f"
	like "$told: what is said" "$tmp/err" "$pattern"
	fails "$told: --no-check" 1 "$usetl" bake --no-check \
		-o "$tmp/f.usetl" "$tmp/f"
	like "$told: what is said with --no-check" "$tmp/err" "$pattern"
}
h='handler = app.handler'
told "a wildcard for a host" "function\.ini:5: allow = 'https://\*\.exa.*out" \
	"$h" '[egress]' 'allow = https://*.example.org/'
told "a query in a rule" "allow = 'https://a/\?b': only scheme, host" \
	"$h" '[egress]' 'allow = https://a/?b'
told "memory without a unit" '; write 128M$' "$h" 'memory = 128'
told "a comment behind a value" "begins with ';'" "$h # note"
told "commas between distributions" "'nosuch-one' is not installed" \
	"$h" '[packages]' 'installed = nosuch-one, nosuch-two'
told "a version behind a distribution" \
	"'nosuch==1\.0' is not a distribution's name alone" \
	"$h" '[packages]' 'installed = nosuch==1.0'

told "a package for a file of them" \
	"python-dateutil': No such.*; it is a file that lists packages" \
	"$h" '[packages]' 'requirements = python-dateutil'
told "a package that is not there" "'nosuch' is not installed.*; install it" \
	"$h" '[packages]' 'installed = nosuch'

# handler SIGNATURE: of the function that bake boots
handler() {
	manifest "$h"
	printf '%s\n' "def handler($1):" '    return 1' >"$tmp/f/app.py"
}
for takes in '' event 'event, context, more' 'event, context, *, more'; do
	handler "$takes"
	fails "a handler that takes ($takes)" 1 "$usetl" bake \
		-o "$tmp/f.usetl" "$tmp/f"
	like "a handler that takes ($takes): what is said" "$tmp/err" \
		'is called with two arguments, \(event, context\); it takes \('
done
handler 'event, context'
sed -i 's/def handler/def handle/' "$tmp/f/app.py"
fails "a handler by another name" 1 "$usetl" bake -o "$tmp/f.usetl" "$tmp/f"
like "a handler by another name: what is said" "$tmp/err" \
	"has no attribute 'handler'; it has: handle\$"
for takes in '*both' 'event, *more' 'event=1, context=2' 'a, b, c=3, *, d=4'; do
	handler "$takes"
	ok "a handler that takes ($takes)" "$usetl" bake \
		-o "$tmp/f.usetl" "$tmp/f"
done

# patterns that leave nothing out
manifest "$h" 'exclude = a.csv,b.csv *.txt, data docs/ gone' \
	'exclude = /nosuch/* docs/*.md /app/sub __pycache__ .venv' 'include = c.txt'
mkdir -p "$tmp/f/data" "$tmp/f/docs" "$tmp/f/sub"
touch "$tmp/f/a.csv" "$tmp/f/c.txt" "$tmp/f/data/x" "$tmp/f/docs/y.md" \
	"$tmp/f/sub/z"
ok "patterns that leave nothing out" "$usetl" bake --no-check \
	-o "$tmp/f.usetl" "$tmp/f"
is "patterns that leave nothing out: each is said" "$(cat "$tmp/err")" \
	"usetl bake: warning: exclude = 'a.csv,b.csv' leaves nothing out; a\
 ',' between patterns needs a blank behind it
usetl bake: warning: exclude = 'docs/' leaves nothing out; a folder is\
 written without '/' at its end
usetl bake: warning: exclude = 'gone' leaves nothing out
usetl bake: warning: exclude = '/nosuch/*' leaves nothing out"

# a value of several lines
manifest "$h" '[environment]' 'KEY =' '    -----BEGIN KEY-----' \
	'    bm90IG9uZQ==' '    -----END KEY-----'
ok "a PEM value on indented lines" "$usetl" bake -o "$tmp/f.usetl" "$tmp/f"
ok "a PEM value: the function runs" invoke f '{}'
is "a PEM value: the function finds it whole" "$(json d)" \
	'"-----BEGIN KEY-----\nbm90IG9uZQ==\n-----END KEY-----"'

# the network by its usual name
manifest "$h"
cat >"$tmp/f/app.py" <<'END'
import socket, urllib.request


def handler(event, context):
    found = socket.gethostbyname("localhost")
    try:
        urllib.request.urlopen("http://example.org/")
    except OSError:
        return found
END
ok "bake a function that opens a URL by itself" "$usetl" bake \
	-o "$tmp/f.usetl" "$tmp/f"
ok "a function that opens a URL by itself fails to" invoke f '{}'
is "a function that opens a URL by itself: localhost is known" \
	"$(json d)" '"127.0.0.1"'
like "a function that opens a URL by itself: usetl.get is named" \
	"$tmp/err" '^usetl: sockets.*use usetl\.get'

# an event from a file; a folder instead of an image
echo '{}' >"$tmp/event.json"
fails "-d FILE" 2 "$usetl" invoke -d "$tmp/event.json" "$tmp/f.usetl"
like "-d FILE: what is said" "$tmp/err" "-d '@$tmp/event\.json'"
fails "-d FILE that is not there" 2 "$usetl" invoke -d "$tmp/no.json" \
	"$tmp/f.usetl"
like "-d FILE that is not there: what is said" "$tmp/err" "-d '@$tmp/no\.json'"
fails "a URL without http://" 2 "$usetl" invoke 127.0.0.1:8099/function/f
like "a URL without http://: what is said" "$tmp/err" 'begins with http://'
ok "-d @FILE" "$usetl" invoke -d "@$tmp/event.json" "$tmp/f.usetl"
fails "invoke FOLDER" 1 "$usetl" invoke "$tmp/f"
like "invoke FOLDER: what is said" "$tmp/err" \
	"'$tmp/f' is a folder.*usetl bake '$tmp/f'"
fails "serve FOLDER" 1 "$usetl" serve -l 127.0.0.1:0 "$tmp/f"
like "serve FOLDER: what is said" "$tmp/err" "usetl bake '$tmp/f'"
plan
