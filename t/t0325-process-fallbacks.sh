#!/bin/sh
# the process tender where the kernel or a container refuses what it would
# like to use: another way is taken, and rollbacks are as complete
. "$(dirname "$0")/lib.sh"
need_tender
need_python
test "$tender" = process || skip_all "of the process tender only"
deny=$(dirname "$usetl")/t/deny
if ! test -x "$deny"; then
	deny=$tmp/deny
	${CC:-cc} -o "$deny" "$t/deny.c" -lseccomp 2>"$tmp/err" ||
		skip_all "t/deny.c cannot be built here"
fi
"$deny" sched_setaffinity -- true 2>/dev/null ||
	skip_all "no seccomp filters here"
bake_or_end echo
# long enough for many pages of a result, and for many runs of a list
"$python" -c 'import json
print(json.dumps({"text": "0123456789abcdef" * 60000}))' >"$tmp/event.json"
USETL_VERIFY=1
export USETL_VERIFY

# repeated NAME COMMAND...: five requests, each rolled back and compared
repeated() {
	name=$1
	shift
	ok "$name" "$@" "$usetl" invoke --repeat 5 -d "@$tmp/event.json" \
		"$tmp/echo.usetl"
	is "$name: the answer" "$(json 'len(str(d))')" "$want"
}

want=960012
repeated "nothing is refused" env
repeated "no PAGEMAP_SCAN" "$deny" pagemap_scan --
repeated "PAGEMAP_SCAN refused" "$deny" ioctl:1:0xc0606610 --
repeated "no process_vm_readv" "$deny" process_vm --
repeated "process_vm_readv unknown" "$deny" process_vm_readv=ENOSYS --
repeated "no processor of one's own choice" "$deny" sched_setaffinity --
if instrumented; then
	skip "no list of the processors there are" \
		"a sanitizer's runtime looks, too"
else
	repeated "no list of the processors there are" \
		"$deny" sched_getaffinity --
fi
repeated "no PAGEMAP_SCAN, process_vm_readv or choice of processors" \
	"$deny" pagemap_scan process_vm sched_setaffinity --

# a rollback that cannot give memory back ends its clone, and no request
bake_or_end hostile
ok "no madvise" "$deny" madvise -- "$usetl" invoke --repeat 3 \
	-d '{"do": "memory_caught"}' "$tmp/hostile.usetl"
# before the next request came to it, or after
like "no madvise: a clone is lost" "$tmp/err" \
	"an? (idle )?clone was lost: rollback"
is "no madvise: no request is lost" "$(json '16 < d["megabytes"] < 64')" true

# tender and guest share a processor: by real-time rules one would starve
if chrt -f 1 true 2>/dev/null; then
	fails "a loop ends where real-time rules hold" 1 timeout 100 chrt -f 1 \
		"$usetl" invoke -t 1s -d '{"do": "loop"}' "$tmp/hostile.usetl"
	like "a loop where real-time rules hold: by its time limit" \
		"$tmp/err" 'time limit of 1 s'
else
	skip "a loop ends where real-time rules hold" "not ours to set"
fi
plan
