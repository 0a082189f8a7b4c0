#!/bin/sh
# functions that do in their warm-up what they should not, in a runtime that
# others share: these are ready, answer, and find nothing of it
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end shares

# bad NAME: a function that leaves a mark wherever it can, and then runs the
# lines of standard input
bad() {
	copy_function shares "$1"
	cat - >>"$tmp/src/$1/app.py"
	ok "bake $1" "$usetl" bake --no-check -o "$tmp/$1.usetl" "$tmp/src/$1"
}

bad flood <<'END'
while True:
    print("x" * 1000)
END
bad hang <<'END'
while True:
    pass
END
bad fork <<'END'
while True:
    try:
        os.fork()
    except OSError:
        pass
END
bad threads <<'END'
import threading
while True:
    try:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    except RuntimeError:
        pass
END
bad memory <<'END'
hog = []
while True:
    hog.append(bytearray(1 << 20))
END
bad crash <<'END'
import ctypes
ctypes.string_at(8)
END
bad exits <<'END'
os._exit(3)
END
bad raises <<'END'
raise ValueError("as asked")
END
# READY by machine code: `call stub`, whose address is UK_STUB's
stub=$(sed -n 's/^#define UK_STUB[[:blank:]]*\(0x[0-9a-f]*\).*/\1/p' \
	"$top/unikernel/abi.h")
ring='
import ctypes, mmap, struct
code = (b"\x55\x48\x89\xe5\xbf" + struct.pack("<I", LEVEL) +
        b"\x31\xf6\x31\xd2\x31\xc9\x48\xb8" + struct.pack("<Q", '$stub') +
        b"\xff\xd0\x5d\xc3")
page = mmap.mmap(-1, 4096, prot=7)
page.write(code)
at = ctypes.addressof(ctypes.c_char.from_buffer(page))
print("rung:", ctypes.CFUNCTYPE(ctypes.c_long)(at)())
'
bad level <<END
LEVEL = 1
$ring
END
bad twice <<END
LEVEL = 0
$ring
END

USETL_VERIFY=1
export USETL_VERIFY
conf() {
	printf '[serve]\nlog = %s\n[limits]\nboot = 10s\nlog.max = 64K\n' \
		"$tmp/log"
	printf '[pool]\nmax = 2\n'
	for f; do
		image=$f
		case $f in a | b | c) image=shares ;; esac
		printf '[function %s]\nimage = %s\n' "$f" "$tmp/$image.usetl"
	done
}
all='["builtins", "environment", "file", "library", "modules"]'
answers() {
	call "$1" '{}'
	is "$1, $2: it answers, and its module found nothing of others" \
		"$status $(json d)" "200 {\"calls\": 0, \"found\": [], \"left\": \
$all, \"memory\": 64}"
}

conf a b >"$tmp/usetl.conf"
serve_or_end -c "$tmp/usetl.conf"
base=$(process usetl-base)
ok "two functions are ready" wait_for "$tmp/serve.err" "'b' is ready" \
	"$serve_pid"
answers a "before"
conf a b flood hang fork threads memory crash exits raises level twice c \
	>"$tmp/usetl.conf"
kill -HUP "$serve_pid"
ok "one that is to start beside them all is ready" \
	wait_for "$tmp/serve.err" "'c' is ready" "$serve_pid"
for f in a b c; do
	answers "$f" "while they boot"
done

fails_so() {
	like_soon "$1: what is said of it" "$tmp/serve.err" \
		"'$1' cannot boot: $2"
	call "$1" '{}'
	is "$1: its requests are refused" "$status" 503
}
for f in flood hang fork; do
	fails_so "$f" 'it was not ready within 10 s'
done
fails_so threads 'it (exited with status|was not ready within) 1'
fails_so memory 'it exited with status 1 before it was ready'
like_soon "memory: why" "$tmp/log" '^memory: .*MemoryError|memory limit'
fails_so crash 'it ended by signal 11 before it was ready'
fails_so exits 'it exited with status 3 before it was ready'
fails_so raises ''
like_soon "raises: why" "$tmp/log" '^raises: ValueError: as asked'
like_soon "flood: the beginning of it is in the log" "$tmp/log" '^flood: xxx'
# a level that was reached before is refused, and the function goes on
like_soon "level: it is told that it is in a runtime" "$tmp/log" \
	'^level: rung: -22'
answers level "whose ring was refused"
# what it froze is not where a request is taken: that is its own loss
call twice '{}'
case $status in
5*) pass "twice: its requests fail" ;;
*) fail "twice: its requests fail, not $status" "$tmp/out" ;;
esac

for f in a b c; do
	answers "$f" "after them"
done
is "all have the runtime that there was" "$(processes usetl-base)" "$base"
stop_serve
is "SIGTERM ends serve with 0" "$serve_status" 0
plan
