#!/bin/sh
# what check-svm.sh runs in its machine: busybox's shell, no compiler, no
# Python but in the images
#
# /t has lib.sh; /guest t/guest's programs and images of them; /image those of
# functions, with the event and the result that Linux gave beside them.
. /t/lib.sh
usetl=/bin/usetl

# whole NAME FILE STATUS [NATIVE]: TAP that is complete, without a failure but
# those that the program natively has here, and an exit status of 0 or 1
whole() {
	planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$2")
	n=$(grep -cE '^(not )?ok' "$2")
	bad=$(sed -n 's/^not ok \([0-9]*\) .*/\1/p' "$2")
	good=1
	for i in $bad; do
		grep -q "^not ok $i " "${4:-/dev/null}" || good=0
	done
	if test "$planned" = "$n" && test "$n" -gt 0 && test $good = 1 &&
	    test "$3" = $((${#bad} != 0)); then
		pass "$1: $n tests${bad:+, natively not: $(echo $bad)}"
	else
		{
			echo "exit status $3, $n of ${planned:-?} ran"
			grep '^not ok' "$2"
			grep -vE '^(ok|not ok)' "$2" | tail -n 20
		} >"$tmp/why"
		fail "$1" "$tmp/why"
	fi
}

# the machine is the one that is wanted: hardware's KVM, on 6.1
is "kvm_amd runs with nested paging" \
	"$(cat /sys/module/kvm_amd/parameters/npt)" Y
ok "usetl check" "$usetl" check
mv "$tmp/out" "$tmp/check"
unlike "nothing is missing" "$tmp/check" '^FAIL'
like "the kernel has no PAGEMAP_SCAN" "$tmp/check" 'written pages: /proc'

# the tender by itself: exits, traps, rollback
timeout 60 /bin/tender_test >"$tmp/log" 2>&1
whole "tender_test" "$tmp/log" $?

# the libOS: each C program before and after a snapshot.  What QEMU's
# processor lacks (SSE exceptions, alignment checks) natively fails too
for program in /guest/*.native; do
	name=$(basename "$program" .native)
	(cd "$tmp" && timeout 60 "$program") >"$tmp/native" 2>&1
	for image in "$name" "$name-clone"; do
		timeout 60 "$usetl" invoke "/guest/$image.usetl" \
			>"$tmp/log" 2>&1
		status=$(sed -n 's/.*exited with status \([0-9]*\).*/\1/p' \
			"$tmp/log" | tail -n 1)
		whole "$image" "$tmp/log" "$status" "$tmp/native"
	done
done

# Python, every page and register compared after each rollback
export USETL_VERIFY=1
for image in /image/*.usetl; do
	name=$(basename "$image" .usetl)
	test -r "/image/$name.result" || continue
	ok "$name" timeout 120 "$usetl" invoke -d "@/image/$name.event" \
		"$image"
	is "$name: as on Linux" "$(cat "$tmp/out")" \
		"$(cat "/image/$name.result")"
done
for f in echo json stdlib; do
	n=50
	test $f != stdlib || n=3
	ok "$f $n times" timeout 200 "$usetl" invoke --stats --repeat $n \
		-d "@/image/$f.event" "/image/$f.usetl"
	is "$f: the last as the first" "$(cat "$tmp/out")" \
		"$(cat "/image/$f.result")"
	like "$f: rolled back" "$tmp/err" '^rollback .* [1-9][0-9]* pages'
done
ok "a new clone for each" timeout 100 "$usetl" invoke --recycle fork \
	--repeat 5 -d "@/image/json.event" /image/json.usetl
chmod 666 /dev/kvm
if command -v setuidgid >/dev/null; then
	ok "not as root" timeout 100 setuidgid nobody "$usetl" invoke \
		--repeat 5 -d "@/image/json.event" /image/json.usetl
	is "as on Linux" "$(cat "$tmp/out")" "$(cat /image/json.result)"
else
	skip "not as root" "this busybox has no setuidgid"
fi
unset USETL_VERIFY

# served; fetches come in and go out by host windows
mkdir -p "$tmp/www/cgi-bin"
cat >"$tmp/www/cgi-bin/out" <<'END'
#!/bin/sh
cat >"$OUT"
printf 'Content-Type: text/plain\r\n\r\nfine\n'
END
chmod +x "$tmp/www/cgi-bin/out"
{
	echo name,amount
	i=0
	while test $i -lt 20000; do
		echo "row,1.5"
		i=$((i + 1))
	done
} >"$tmp/www/in.csv"
OUT=$tmp/posted httpd -f -p 127.0.0.1:9000 -h "$tmp/www" &
httpd_pid=$!

USETL_VERIFY=1
export USETL_VERIFY
serve_or_end /image/echo.usetl /image/hostile.usetl /image/total.usetl
event='{"source": "http://127.0.0.1:9000/in.csv",
	"sink": "http://127.0.0.1:9000/cgi-bin/out"}'

# ask NAME EVENT [OPTION...]
ask() {
	ask_name=$1 ask_event=$2
	shift 2
	timeout 100 "$usetl" invoke "$@" -d "$ask_event" \
		"$url/function/$ask_name" >"$tmp/out" 2>"$tmp/err"
}

is "an HTTP client is answered" "$(wget -q -O - --post-data '{"a": 1}' \
	"$url/function/echo")" '{"a": 1}'
ok "a GET, a POST" ask total "$event"
is "the sum" "$(cat "$tmp/out")" '{"total": 30000.0}'
is "was sent" "$(cat "$tmp/posted")" 30000.0
ok "and again" ask total "$event" --repeat 3
ok "two hundred requests" ask echo '[]' --repeat 200

# try NAME EVENT PATTERN: it ends so, and the next request is served
try() {
	ask hostile "$2"
	cat "$tmp/err" "$tmp/out" >"$tmp/answer"
	like "$1" "$tmp/answer" "$3"
	ask hostile '{"do": "nothing"}'
	test "$(cat "$tmp/out")" = '{"fine": true}' ||
		fail "$1: the next request" "$tmp/err"
}

try "a null pointer" '{"do": "segv"}' 'signal 11'
try "recursion in C" '{"do": "cstack"}' 'signal 11|RecursionError'
try "an infinite loop" '{"do": "loop"}' 'Timeout'
try "an infinite loop in C" '{"do": "cloop"}' 'Timeout'
try "no memory left" '{"do": "memory"}' 'MemoryError|OutOfMemory'
try "threads left running" '{"do": "spinning_threads"}' 'fine'
for code in f4:hlt fa:cli 0f08:invd 0f09:wbinvd 0f00d8:ltr 0f22d8:mov-cr3 \
	0f20c0:mov-cr0 0f30:wrmsr 0f32:rdmsr e680:out-0x80 ec:in 0f0b:ud2 \
	48b80000000000000080ffe0:jump-uncanonical 0f01f8:swapgs \
	0f34:sysenter cd0e:int-14 cd80:int-128 0f07:sysret 6a0048cf:iretq \
	0f01d8:vmrun 0f01da:vmload 31c90f01d1:xsetbv
do
	try "code: ${code#*:}" "{\"do\": \"code\", \"code\": \"${code%%:*}\"}" \
		'signal|broke its virtual machine'
done
# single steps, alignment checks, and a debugger's call, over a system call
for code in 0f01c1:vmcall 0f01d9:vmmcall cc:int3 9d:popfq 0f05:syscall \
	e640:out-0x40 e660:out-0x60 e66e:out-0x6e \
	9c810c24000100009d90:step 9c810c24000100009d0f05:step-syscall \
	9c810c24000004009d0f05:aligned-syscall 9cfd0f05fc9d:backwards-syscall
do
	try "code: ${code#*:}" "{\"do\": \"code\", \"code\": \"${code%%:*}\"}" .
done
try "write to the page tables" \
	'{"do": "write", "address": 1879048192}' 'signal 11'
try "write to the supervisor's code" \
	'{"do": "write", "address": 1879404544}' 'signal 11'
try "write to the control page" \
	'{"do": "write", "address": 1880117248}' 'signal 11'
try "write to the host region" \
	'{"do": "write", "address": 51539607552}' 'signal 11'
try "write to the image" \
	'{"do": "write", "address": 34359738368}' 'signal 11'
try "garbage over the libOS" \
	'{"do": "write", "address": 1881145344, "bytes": 262144}' .

stop_serve
is "SIGTERM ends serve with 0" "$serve_status" 0
dmesg | grep -iE 'WARNING|BUG:|kvm.*(error|unhandled)' >"$tmp/dmesg"
is "the kernel has nothing to say of it" "$(cat "$tmp/dmesg")" ""
plan
