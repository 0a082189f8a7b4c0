#!/bin/sh
# where a request's clone starts: fork in function.ini, and usetl.ready()
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"

USETL_VERIFY=1
export USETL_VERIFY
for point in function packages interpreter boot; do
	copy_function points
	sed "s/^fork = .*/fork = $point/;s/^name = .*/name = $point/" \
		"$t/functions/points/function.ini" >"$tmp/src/points/function.ini"
	ok "bake with fork = $point" "$usetl" bake -o "$tmp/$point.usetl" \
		"$tmp/src/points"
	"$usetl" inspect "$tmp/$point.usetl" >"$tmp/out"
	is "inspect says where it starts: $point" \
		"$(sed -n 's/^fork  *//p' "$tmp/out")" $point
	is "inspect says whether it shares a runtime: $point" \
		"$(grep -c '^shared ' "$tmp/out")" \
		"$(test $point = boot && echo 0 || echo 1)"
	"$usetl" inspect --json "$tmp/$point.usetl" >"$tmp/out"
	is "inspect says it as JSON, too: $point" "$(json 'd["fork"]')" \
		"\"$point\""
done
bake_or_end points_ready
serve_or_end "$tmp/function.usetl" "$tmp/packages.usetl" \
	"$tmp/interpreter.usetl" "$tmp/boot.usetl" "$tmp/points_ready.usetl"

# loads NAME [KEY]: what LOADED was in five requests, how many times
loads() {
	for i in 1 2 3 4 5; do
		call "$1" '{}'
		json "d[\"${2:-loaded}\"]"
	done | sort -u | grep -c .
}
answers() {
	call "$1" '{}'
	is "$1: it answers" "$status $(json \
		'[d["calls"], d["helper"], d["names"]]')" \
		'200 [1, 7, ["decimal", "csv"]]'
}
for point in function packages interpreter boot; do
	answers $point
	call $point '{"raise": true}'
	is "$point: and raises" "$status $(json 'd["errorType"]')" \
		'500 "KeyError"'
done
is "the module is loaded once" "$(loads function)" 1
is "packages: each request loads it" "$(loads packages)" 5
is "interpreter: each request loads it" "$(loads interpreter)" 5
is "and has the same interpreter" "$(loads interpreter started)" 1
is "boot: each request loads it" "$(loads boot)" 5
is "and starts an interpreter for that" "$(loads boot started)" 5
call boot '{"left": true}'
is "boot: its start is in the request's time" \
	"$status $(json 'd["left"] + d["ran"] <= 10001 and d["ran"] > 1')" \
	'200 true'

call points_ready '{}'
first=$(json 'd["first"]') second=$(json 'd["second"]')
is "what is behind usetl.ready() is the request's" \
	"$status $(json 'd["called"]')" '200 1'
call points_ready '{}'
is "what is before it was loaded once" "$(json 'd["first"]')" "$first"
ok "what is behind it, anew" test "$(json 'd["second"]')" != "$second"
call points_ready '{"ready": true}'
is "it is for a module" "$status $(json \
	'[d["errorType"], "while usetl loads it" in d["errorMessage"]]')" \
	'500 ["RuntimeError", true]'
stop_serve

# what a request opens: of the modules that its own imports first
loads_in_request() {
	"$usetl" invoke --trace -d '{}' "$tmp/$1.usetl" 2>&1 >"$tmp/out" |
		grep '^\[32768\] openat.*pyc' >"$tmp/opened"
}
loads_in_request packages
like "packages: a request opens the module" "$tmp/opened" app.cpython
unlike "and no package" "$tmp/opened" email/__pycache__/__init__
unlike "nor a module of one that it names" "$tmp/opened" email/__pycache__/policy
loads_in_request interpreter
like "interpreter: a request opens that, too" "$tmp/opened" email/__pycache__/policy

# a module that cannot be loaded: each request hears so, and bake
echo 'raise OSError("no source")' >>"$tmp/src/points/helper.py"
fails "bake tries whether it loads" 1 "$usetl" bake -o "$tmp/bad.usetl" \
	"$tmp/src/points"
like "and says why" "$tmp/err" 'no source'
ok "it can be baked all the same" "$usetl" bake --no-check \
	-o "$tmp/bad.usetl" "$tmp/src/points"
for i in 1 2; do
	fails "a request fails, $i" 1 invoke bad '{}' --recycle=fork
	like "and says why, $i" "$tmp/err" 'OSError: no source'
done
sed 's/^SECOND.*/raise OSError("behind")/' \
	"$t/functions/points_ready/app.py" >"$tmp/src/points_ready/app.py"
ok "what fails behind usetl.ready() fails in the request" "$usetl" bake \
	-o "$tmp/bad.usetl" "$tmp/src/points_ready"
fails "which hears so" 1 invoke bad '{}'
like "with where it was" "$tmp/err" 'OSError: behind'
like "in its stack" "$tmp/err" 'app.py", line 10'

# the limit of a request, not of a boot, ends what it starts
for f in slow ends; do
	cp -r "$tmp/src/points_ready" "$tmp/src/$f"
	printf '[function]\nname = %s\nhandler = app.handler\nfork = boot\n%s\n' \
		$f 'timeout = 1s' >"$tmp/src/$f/function.ini"
done
echo 'while True: pass' >"$tmp/src/slow/app.py"
echo 'import os; os._exit(3)' >"$tmp/src/ends/app.py"
for f in slow ends; do
	ok "bake $f" "$usetl" bake --no-check -o "$tmp/$f.usetl" "$tmp/src/$f"
done
serve_or_end "$tmp/slow.usetl" "$tmp/ends.usetl"
call slow '{}'
is "boot: a module that goes on for ever" "$status" 504
call ends '{}'
is "boot: one that exits" "$status $(json '"status 3" in d["errorMessage"]')" \
	'502 true'
stop_serve

# with keep, what failed once fails again, and hooks are each called once
keep() {
	copy_function "$1" "$2"
	cat >"$tmp/src/$2/app.py"
	test -z "${3:-}" || echo "fork = $3" >>"$tmp/src/$2/function.ini"
	ok "bake $2" "$usetl" bake --no-check -o "$tmp/$2.usetl" "$tmp/src/$2"
}
keep points_ready behind <<'END'
import usetl
usetl.ready()
raise OSError("behind")
END
keep points_ready leaves <<'END'
import sys
import usetl
usetl.ready()
sys.exit(3)
END
keep points_ready half interpreter <<'END'
import os
import usetl
CALLED = []
@usetl.on_ready
def fill():
    if not os.path.exists("/tmp/tried"):
        open("/tmp/tried", "w").close()
        raise OSError("not yet")
    CALLED.append("ready")
@usetl.on_clone
def each():
    CALLED.append("clone")
def handler(event, context):
    return CALLED
END
keep points_ready again interpreter <<'END'
import os
import usetl
CALLED = []
@usetl.on_clone
def each():
    CALLED.append("clone")
if not os.path.exists("/tmp/tried"):
    open("/tmp/tried", "w").close()
    raise OSError("not yet")
def handler(event, context):
    return CALLED
END
keep points_ready kept boot <<'END'
CALLS = []
def handler(event, context):
    CALLS.append(hash("the interpreter's seed"))
    return len(CALLS), len(set(CALLS))
END
for f in behind leaves half again kept; do
	printf '[function %s]\nimage = %s\nrecycle = keep\npool.max = 1\n' $f \
		"$tmp/$f.usetl"
done >"$tmp/keep.conf"
serve_or_end -c "$tmp/keep.conf"
for i in 1 2 3; do
	call behind '{}'
	is "keep: behind usetl.ready(), $i" \
		"$status $(json 'd["errorType"]')" '500 "OSError"'
done
call leaves '{}'
is "keep: an exit there" "$status $(json '"status 3" in d["errorMessage"]')" \
	'502 true'
call half '{}'
is "keep: a hook that fails" "$status" 500
call half '{}'
is "keep: is called again" "$status $(json d)" '200 ["ready", "clone"]'
call again '{}'
is "keep: a module that fails" "$status" 500
call again '{}'
is "keep: is loaded again, with its hooks" "$status $(json d)" '200 ["clone"]'
call kept '{}'
call kept '{}'
is "keep: one interpreter for all" "$status $(json d)" '200 [2, 1]'
stop_serve

sed -i 's/^fork = .*/fork = later/' "$tmp/src/points/function.ini"
fails "another word is refused" 1 "$usetl" bake -o "$tmp/bad.usetl" \
	"$tmp/src/points"
like "with those that there are" "$tmp/err" \
	"fork = 'later' is none of function, packages, interpreter, boot"
plan
