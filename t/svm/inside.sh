#!/bin/sh
# what check-svm.sh runs in its machines: busybox's shell, no compiler, no
# Python but in the images
#
# /t has lib.sh; /guest t/guest's programs and images of them; /image those of
# functions, with the event and the result that Linux gave beside them.
#
# $part is whole or slice (a sample of each kind of test), by each of
# $tenders; or refused: what a processor gets that is not enough.  $lacks is
# a list with commas of what the processor must not have.
. /t/lib.sh
. /t/cgroups.sh
usetl=/bin/usetl
tenders=$(echo "$tenders" | tr , ' ')

# processor FEATURE: has it that?
processor() {
	grep -Eq "^flags.* $1( |\$)" /proc/cpuinfo
}

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

# the machine is the one that is wanted: Debian's 6.1, on that processor
machine() {
	for feature in $(echo "$lacks" | tr , ' '); do
		ok "the processor has no $feature" eval "! processor $feature"
	done
	"$usetl" check >"$tmp/check" 2>&1
	checked=$?
	like "the kernel has no PAGEMAP_SCAN" "$tmp/check" \
		'written pages: /proc'
	if ! processor xsave; then
		like "usetl check: no xsave" "$tmp/check" '^FAIL cpu: no xsave'
	elif ! processor fsgsbase; then
		like "usetl check: no fsgsbase" "$tmp/check" \
			'^FAIL cpu: no fsgsbase; .* have it'
	else
		like "usetl check: the processor will do" "$tmp/check" \
			'^ok *cpu: xsave, fsgsbase$'
		avx='^warn cpu: no avx'
		! processor avx || avx='^ok *cpu: avx$'
		like "usetl check: AVX or not" "$tmp/check" "$avx"
	fi
}

# kvm_amd, or nothing of the kind
has_tenders() {
	unlike "usetl check: nothing is missing" "$tmp/check" '^FAIL'
	is "usetl check: exit status" "$checked" 0
	case $tenders in
	*kvm*)
		is "kvm_amd runs with nested paging" \
			"$(cat /sys/module/kvm_amd/parameters/npt)" Y
		like "usetl check: KVM" "$tmp/check" '^ok *tender: kvm'
		;;
	*)
		like "usetl check: no KVM, and what that means" "$tmp/check" \
			'^warn tender: process; .*isolates less.*/dev/kvm'
		;;
	esac
}

# the tenders by themselves: exits, traps, rollback
tender_test() {
	timeout 1000 /bin/tender_test >"$tmp/log" 2>&1
	whole "tender_test" "$tmp/log" $?
	for tender in $tenders; do
		like "tender_test has run by this tender" \
			"$tmp/log" "^ok [0-9]* - $tender: "
	done
	tender=
}

# the libOS: each C program before and after a snapshot.  What QEMU's
# processor lacks (SSE exceptions, alignment checks) natively fails too
programs() {
	for program in /guest/*.native; do
		name=$(basename "$program" .native)
		case "$part $name" in
		whole*) ;;
		*signal_frame | *thread_preempt | *mmap_file | *misc_traps) ;;
		*) continue ;;
		esac
		(cd "$tmp" && timeout 100 "$program") >"$tmp/native" 2>&1
		for tender in $tenders; do
			program "$name"
			program "$name-clone"
		done
		tender=
	done
}

program() {
	USETL_TENDER=$tender timeout 100 "$usetl" invoke \
		"/guest/$1.usetl" >"$tmp/log" 2>&1
	whole "$1" "$tmp/log" "$(sed -n \
		's/.*exited with status \([0-9]*\).*/\1/p' "$tmp/log" |
		tail -n 1)" "$tmp/native"
}

# Python, every page and register compared after each rollback
functions() {
	export USETL_VERIFY=1
	for image in /image/*.usetl; do
		name=$(basename "$image" .usetl)
		test -r "/image/$name.result" || continue
		test "$part" = whole || test $name != threads || continue
		ok "$name" timeout 200 "$usetl" invoke \
			-d "@/image/$name.event" "$image"
		is "$name: as on Linux" "$(cat "$tmp/out")" \
			"$(cat "/image/$name.result")"
	done
	for repeat in echo:50 json:50 stdlib:3; do
		f=${repeat%:*} n=${repeat#*:}
		if test "$part" != whole; then
			test $f = json || continue
			n=10
		fi
		ok "$f $n times" timeout 200 "$usetl" invoke --stats \
			--repeat $n -d "@/image/$f.event" "/image/$f.usetl"
		is "$f: the last as the first" "$(cat "$tmp/out")" \
			"$(cat "/image/$f.result")"
		like "$f: rolled back" "$tmp/err" \
			'^rollback .* [1-9][0-9]* pages'
	done
	ok "json: a new clone for each request" timeout 100 "$usetl" invoke \
		--recycle fork --repeat 5 -d "@/image/json.event" \
		/image/json.usetl
	ok "json: not as root" timeout 100 su -s /bin/sh nobody -c \
		"$usetl invoke --repeat 5 -d @/image/json.event /image/json.usetl"
	is "json: not as root, as on Linux" \
		"$(cat "$tmp/out")" "$(cat /image/json.result)"
	unset USETL_VERIFY
}

# served; fetches come in and go out by host windows
start_www() {
	mkdir -p "$tmp/www/cgi-bin"
	printf '%s\n' '#!/bin/sh' 'cat >"$OUT"' \
		"printf 'Content-Type: text/plain\r\n\r\nfine\n'" \
		>"$tmp/www/cgi-bin/out"
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
}

# ask NAME EVENT [OPTION...]
ask() {
	ask_name=$1 ask_event=$2
	shift 2
	timeout 200 "$usetl" invoke "$@" -d "$ask_event" \
		"$url/function/$ask_name" >"$tmp/out" 2>"$tmp/err"
}

# try NAME EVENT PATTERN: it ends so, and the next request is served
try() {
	ask hostile "$2"
	cat "$tmp/err" "$tmp/out" >"$tmp/answer"
	like "$1" "$tmp/answer" "$3"
	ask hostile '{"do": "nothing"}'
	test "$(cat "$tmp/out")" = '{"fine": true}' ||
		fail "$1: the next request" "$tmp/err"
}

# code PATTERN BYTES:NAME...: machine code
code() {
	pattern=$1
	shift
	for code; do
		try "code: ${code#*:}" "{\"do\": \"code\",
			\"code\": \"${code%%:*}\"}" "$pattern"
	done
}

fault='signal|broke its virtual machine'

attacks() {
	try "recursion in C" '{"do": "cstack"}' 'signal 11|RecursionError'
	try "an infinite loop in C" '{"do": "cloop"}' 'Timeout'
	try "no memory left" '{"do": "memory"}' 'MemoryError|OutOfMemory'
	try "threads left running" '{"do": "spinning_threads"}' 'fine'
	code "$fault" f4:hlt fa:cli 0f08:invd 0f09:wbinvd 0f00d8:ltr \
		0f22d8:mov-cr3 0f20c0:mov-cr0 0f30:wrmsr 0f32:rdmsr \
		e680:out-0x80 ec:in 0f0b:ud2 \
		48b80000000000000080ffe0:jump-uncanonical 0f01f8:swapgs \
		0f34:sysenter cd0e:int-14 cd80:int-128 0f07:sysret \
		6a0048cf:iretq 0f01d8:vmrun 0f01da:vmload 31c90f01d1:xsetbv
	# single steps, alignment checks, a debugger's call, over system calls
	code . 0f01c1:vmcall 0f01d9:vmmcall cc:int3 9d:popfq 0f05:syscall \
		e640:out-0x40 e660:out-0x60 e66e:out-0x6e \
		9c810c24000100009d90:step \
		9c810c24000100009d0f05:step-syscall \
		9c810c24000004009d0f05:aligned-syscall \
		9cfd0f05fc9d:backwards-syscall
	for place in 1879404544:"the supervisor's code" \
		1880117248:"the control page" 51539607552:"the host region" \
		34359738368:"the image"
	do
		try "write to ${place#*:}" "{\"do\": \"write\",
			\"address\": ${place%%:*}}" 'signal 11'
	done
	try "garbage over the libOS" \
		'{"do": "write", "address": 1881145344, "bytes": 262144}' .
}

served() {
	USETL_VERIFY=1
	export USETL_VERIFY
	serve_or_end /image/echo.usetl /image/hostile.usetl /image/total.usetl
	event='{"source": "http://127.0.0.1:9000/in.csv",
		"sink": "http://127.0.0.1:9000/cgi-bin/out"}'
	rm -f "$tmp/posted"

	is "an HTTP client is answered" "$(wget -q -O - \
		--post-data '{"a": 1}' "$url/function/echo")" '{"a": 1}'
	ok "a GET, a POST" ask total "$event"
	is "a GET, a POST: the sum" "$(cat "$tmp/out")" '{"total": 30000.0}'
	is "a GET, a POST: what was sent" "$(cat "$tmp/posted")" 30000.0
	try "a null pointer" '{"do": "segv"}' 'signal 11'
	try "an infinite loop" '{"do": "loop"}' 'Timeout'
	try "write to the page tables" \
		'{"do": "write", "address": 1879048192}' 'signal 11'
	if test "$part" = whole; then
		ok "a GET, a POST: three times more" \
			ask total "$event" --repeat 3
		ok "two hundred requests" ask echo '[]' --repeat 200
		attacks
	else
		code "$fault" f4:hlt 0f30:wrmsr cd80:int-128
	fi
	stop_serve
	is "SIGTERM ends serve with 0" "$serve_status" 0
	unset USETL_VERIFY
}

# what is not enough: one line from each command, which names it
refused() {
	missing=xsave
	! processor xsave || missing=fsgsbase
	is "usetl check: exit status" "$checked" 1
	for tender in $tenders; do
		export USETL_TENDER="$tender"
		fails "invoke" 1 timeout 100 "$usetl" invoke /image/json.usetl
		like "invoke: what is missing" "$tmp/err" "$missing"
		is "invoke: in one line" "$(wc -l <"$tmp/err")" 1
		fails "serve" 1 timeout 100 "$usetl" serve -l 127.0.0.1:0 \
			/image/json.usetl
		like "serve: what is missing" "$tmp/err" "$missing"
		is "serve: in one line" "$(wc -l <"$tmp/err")" 1
	done
	tender=
}

machine
if test "$part" = refused; then
	refused
else
	has_tenders
	tender_test
	programs
	test ! -e /dev/kvm || chmod 666 /dev/kvm
	start_www
	for tender in $tenders; do
		export USETL_TENDER="$tender"
		functions
		served
	done
	unset USETL_TENDER
	tender=
	case $tenders,$lacks in
	*process*,) cgroups ;;
	esac
fi
dmesg | grep -iE 'WARNING|BUG:|kvm.*(error|unhandled)' >"$tmp/dmesg"
is "the kernel has nothing to say of all this" "$(cat "$tmp/dmesg")" ""
plan
