#!/bin/sh
# what functions of the world outside bring along: libraries of older
# linkers, time zones, files by a path that nobody holds, long tracebacks
. "$(dirname "$0")/lib.sh"
need_tender
need_python

# make NAME LINE...: a folder $tmp/src/NAME with these lines of function.ini;
# the function is standard input
make_function() {
	name=$1
	shift
	mkdir -p "$tmp/src/$name"
	cat >"$tmp/src/$name/app.py"
	{
		echo '[function]'
		echo "name = $name"
		echo 'handler = app.handler'
		for line; do
			echo "$line"
		done
	} >"$tmp/src/$name/function.ini"
}

bake_it() {
	"$usetl" bake -o "$tmp/$1.usetl" "$tmp/src/$1" >"$tmp/out" \
		2>"$tmp/err"
}

# A library whose segments are aligned to 2 MB, as those in many wheels are:
# the loader reserves memory first and maps the library over that.
make_function aligned <<'END'
import ctypes
import threading

first = ctypes.CDLL("/app/libfirst.so")


def handler(event, context):
    second = ctypes.CDLL("/app/libsecond.so")
    first.bump()
    seen = []
    t = threading.Thread(target=lambda: seen.append(second.bump()))
    t.start()
    t.join()
    return [first.bump(), second.bump(), seen[0], first.sum(200)]
END
cat >"$tmp/lib.c" <<'END'
static int n = 40, zeros[200000];
int bump(void) { return ++n; }
int sum(int k) { int s = 0; while (k) s += zeros[k-- * 999]; return s; }
END
if cc -shared -fPIC -O1 -Wl,-z,max-page-size=0x200000 \
	-Wl,-z,noseparate-code -o "$tmp/src/aligned/libfirst.so" \
	"$tmp/lib.c" 2>"$tmp/err" &&
   cc -shared -fPIC -O1 -Wl,-z,max-page-size=0x10000 \
	-o "$tmp/src/aligned/libsecond.so" "$tmp/lib.c" 2>>"$tmp/err"
then
	ok "bake with libraries aligned to 2 MB and 64 KB" bake_it aligned
	ok "libraries aligned to 2 MB and 64 KB load" invoke aligned '{}'
	is "libraries aligned to 2 MB and 64 KB run" \
		"$(json d)" '[42, 42, 41, 0]'
else
	skip "libraries of other alignments" "cc cannot make them"
fi

# A path is all that is kept of a response.
start_httpd
make_function paths '[egress]' "allow = $http/" <<'END'
import usetl


def handler(event, context):
    url = event["url"]
    with open(usetl.get(url).path, "rb") as f:
        one = len(f.read())
    paths = [usetl.get(url + str(i)).path for i in range(1, 6)]
    many = [len(open(p, "rb").read()) for p in paths]
    # more than a clone has transfers
    for i in range(100):
        with open(usetl.get(url).path, "rb") as f:
            f.read(1)
    return [one, many, len(usetl.gather(*[url] * 32))]
END
ok "bake: paths" bake_it paths
ok "the path of a response that nobody holds" invoke paths \
	"{\"url\": \"$http/big?size=1000\"}"
is "the path of a response that nobody holds is a file" "$(json d)" \
	'[1000, [10001, 10002, 10003, 10004, 10005], 32]'

# Debian's pytz has its zones elsewhere, and so has the standard library.
zones=/usr/share/zoneinfo
if test -r $zones/Europe/Berlin; then
	make_function zones "include = $zones" <<'END'
import datetime
import zoneinfo


def handler(event, context):
    t = datetime.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo(event))
    return t.utcoffset().total_seconds()
END
	ok "bake: zones" bake_it zones
	invoke zones '"Europe/Berlin"'
	is "zoneinfo with include" "$(json d)" 7200.0
else
	skip "zoneinfo" "no $zones here"
fi
if test -r $zones/tzdata.zi && "$python" -c 'import pytz, sys
sys.exit(not pytz.__file__.startswith("/usr/lib/python3/"))' 2>/dev/null; then
	make_function pytz '[packages]' 'installed = pytz' <<'END'
import datetime
import pytz


def handler(event, context):
    t = pytz.timezone(event).localize(datetime.datetime(2024, 7, 1))
    return t.utcoffset().total_seconds()
END
	ok "bake: Debian's pytz" bake_it pytz
	invoke pytz '"Europe/Berlin"'
	is "Debian's pytz comes with its zones" "$(json d)" 7200.0
else
	skip "Debian's pytz" "it is not installed"
fi

# The function's own frame is the first of a traceback: it has to be seen.
make_function deep <<'END'
def down(n):
    if n == 0:
        raise LookupError("x" * 600)
    # a line that is long enough for the end alone not to show the beginning
    down(n - 1) if n % 2 else down(n - 1)


down(40)
END
fails "a long traceback at import" 1 "$usetl" bake -o "$tmp/deep.usetl" \
	"$tmp/src/deep"
like "a long traceback at import: the error comes first" \
	"$tmp/err" "^usetl bake: function 'deep' cannot"
like "a long traceback at import: its beginning" \
	"$tmp/err" '"/app/app.py", line 8, in <module>'
like "a long traceback at import: its end" "$tmp/err" '^LookupError: xxx'

# What ends a start for want of memory is said.
make_function hog 'memory = 32M' <<'END'
hog = [bytearray(1 << 20) for _ in range(64)]
END
fails "more memory than the limit at import" 1 "$usetl" bake \
	-o "$tmp/hog.usetl" "$tmp/src/hog"
like "more memory than the limit at import: the limit is said" \
	"$tmp/err" 'memory limit of 32 MB'

make_function bare <<'END'
import a_package_from_somewhere
END
fails "a package that was not packed" 1 "$usetl" bake -o "$tmp/b.usetl" \
	"$tmp/src/bare"
like "a package that was not packed: where to name it" \
	"$tmp/err" '\[packages\]'
rm "$tmp/src/bare/function.ini"
fails "no manifest" 1 "$usetl" bake -o "$tmp/b.usetl" "$tmp/src/bare"
like "no manifest: its manual is named" "$tmp/err" \
	"function\.ini': No such file .*function\.ini\(5\)"
plan
