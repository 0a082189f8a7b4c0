#!/bin/sh
# what the trial boot of bake notices: who draws randomness that requests would
# share, and threads, which keep READY from being a fork
. "$(dirname "$0")/lib.sh"
need_tender
need_python
cc=${CC:-cc}

# noted TITLE [PATTERN...]: the notes about $tmp/f are these, in any order
noted() {
	title=$1
	shift
	if ! "$usetl" bake -o "$tmp/f.usetl" "$tmp/f" >"$tmp/out" \
			2>"$tmp/notes"; then
		fail "$title: bake" "$tmp/notes"
		return
	fi
	is "$title: how many notes" \
		"$(grep -c '^usetl bake: note: ' "$tmp/notes")" $#
	for pattern; do
		like "$title: a note" "$tmp/notes" "^usetl bake: note: $pattern"
	done
}

mkdir "$tmp/f"
printf '[function]\nname = f\nhandler = app.handler\n' >"$tmp/f/function.ini"
cat >"$tmp/f/app.py" <<'END'
import random, secrets, ssl, tempfile, uuid, hashlib, threading
rng = random.Random()
names = tempfile.mkdtemp()
value = random.random()
ssl.RAND_bytes(8)
def handler(event, context):
    return [rng.random(), secrets.token_hex(4)]
END
noted "what is seeded anew in each request"

cat >"$tmp/f/app.py" <<'END'
import os, uuid
from other import TOKEN
ID = uuid.uuid4()
with open("/dev/urandom", "rb", buffering=0) as f:
    more = f.read(8)
def handler(event, context):
    os.urandom(8)
END
echo 'import os; TOKEN = [os.urandom(8) for _ in range(3)]' >"$tmp/f/other.py"
noted "randomness that is kept" \
	'/app/other.py line 1 \(called at /app/app.py line 2\) drew .* @usetl.on_clone' \
	'/app/app.py line 3 drew randomness that all requests will share' \
	'/app/app.py line 5 drew'
"$usetl" invoke -d 1 "$tmp/f.usetl" >"$tmp/out" 2>"$tmp/err"
is "randomness that is kept: an invocation notes nothing" \
	"$(cat "$tmp/err")" ""

# from where requests start before the module, each draws for itself
fork() {
	printf '[function]\nname = f\nhandler = app.handler\nfork = %s\n' "$1" \
		>"$tmp/f/function.ini"
}
for point in packages interpreter boot; do
	fork $point
	noted "fork = $point: what each request draws"
done
mkdir "$tmp/lib"
echo 'import os; SALT = os.urandom(8)' >"$tmp/lib/salted.py"
cat >"$tmp/f/app.py" <<'END'
import salted
import os, threading, time
ID = os.urandom(8)
threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
def handler(event, context): pass
END
fork packages
printf '[packages]\npath = %s\n' "$tmp/lib" >>"$tmp/f/function.ini"
noted "fork = packages: what a package draws is shared" \
	'.*salted.py line 1 \(called at .* line .*\) drew randomness'
fork function

if command -v "$cc" >/dev/null; then
	cat >"$tmp/draw.c" <<'END'
#include <sys/random.h>
static char state[16];
int draw(void) { return getrandom(state, sizeof(state), 0) == 16; }
END
	"$cc" -shared -fPIC -o "$tmp/f/libdraw.so" "$tmp/draw.c"
	cat >"$tmp/f/app.py" <<'END'
import ctypes
lib = ctypes.CDLL("/app/libdraw.so")
def begin():
    assert lib.draw() == 1
begin()
def handler(event, context): pass
END
	noted "a library that draws" \
		'libdraw.so drew randomness, at /app/app.py line 4;'
else
	skip "a library that draws" "no C compiler"
fi

cat >"$tmp/f/app.py" <<'END'
import threading, time
threading.Thread(target=time.sleep, args=(3600,), daemon=True,
                 name="pump").start()
def handler(event, context): pass
END
noted "threads that live on" "threads live on .*: 'pump'; "

# a program that draws without end is not noted without end
cat >"$tmp/f/app.py" <<'END'
import os
for i in range(5000):
    os.urandom(1)
def handler(event, context): pass
END
noted "many draws" '/app/app.py line 3 '

# what the runtime uses for this is not the function's
cat >"$tmp/f/app.py" <<'END'
import os, signal
assert "USETL_TRIAL" not in os.environ
signal.signal(63, signal.SIG_IGN)
os.urandom(1)
def handler(event, context): return sorted(os.listdir("/tmp"))
END
noted "the signal taken away"
plan
