#!/bin/sh
# whatever a function does, its caller hears what happened and the next
# request is served
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end hostile
# patient is for what takes a while on a busy machine and does end
cat >"$tmp/usetl.conf" <<END
[function hostile]
image = $tmp/hostile.usetl
[function patient]
image = $tmp/hostile.usetl
timeout = 60s
END
serve_or_end -c "$tmp/usetl.conf"
whom=hostile

# after NAME: the function is fine
after() {
	call "$whom" '{"do": "nothing"}'
	if test "$status $(json d)" = '200 {"fine": true}' &&
	    kill -0 "$serve_pid"; then
		return 0
	fi
	{
		echo "status $status"
		cat "$tmp/out"
		tail -n 20 "$tmp/serve.err"
	} >"$tmp/why"
	fail "$1: the next request is served" "$tmp/why"
	return 1
}

# try NAME EVENT STATUS PATTERN: that answer, one of whose lines is like
# that; and the next request is served.  Where several ends will do, it is
# the second half that is the test
try() {
	call "$whom" "$2"
	cp "$tmp/out" "$tmp/answer"
	if ! echo "$status" | grep -Eqx "$3"; then
		{
			echo "status $status, not $3"
			cat "$tmp/answer"
			tail -n 10 "$tmp/serve.err"
		} >"$tmp/why"
		fail "$1" "$tmp/why"
		after "$1" || :
		return
	fi
	like "$1: $status" "$tmp/answer" "$4"
	after "$1" || :
}

# errors of the handler
try "a handler that raises" '{"do": "raise"}' 500 '"errorType": "ValueError"'
try "a chain of exceptions" '{"do": "chain"}' 500 'in the second place'
try "a result that is not JSON" '{"do": "notjson"}' 500 'Runtime\.MarshalError'
try "a result of NaN" '{"do": "nan"}' 500 'Runtime\.MarshalError'
try "recursion without end" '{"do": "recursion"}' 500 'RecursionError'
whom=patient
try "no memory left" '{"do": "memory"}' '500|502' 'MemoryError|OutOfMemory'
try "no memory for small objects" '{"do": "small_memory"}' '500|502' \
	'MemoryError|OutOfMemory'
try "MemoryError, caught" '{"do": "memory_caught"}' 200 'megabytes'
is "MemoryError, caught: as much as the manifest says" \
	"$(cp "$tmp/answer" "$tmp/out"; json '16 < d["megabytes"] < 64')" true
whom=hostile
try "a fork" '{"do": "fork"}' 500 'Errno 38'
try "a socket" '{"do": "network"}' 500 'OSError'
whom=patient
try "a result that is too long" '{"do": "huge", "bytes": 40000000}' \
	'500|502' 'error'
whom=hostile

# ends of the guest
try "os._exit" '{"do": "exit", "status": 3}' 502 'status 3'
try "sys.exit" '{"do": "sysexit", "status": 4}' 502 'status 4'
try "abort" '{"do": "abort"}' 502 'signal 6'
try "kill -9 itself" '{"do": "kill"}' 502 'signal 9'
try "a null pointer" '{"do": "segv"}' 502 'signal 11'
try "recursion in C" '{"do": "cstack"}' '500|502' \
	'signal 11|RecursionError|MemoryError'
try "an infinite loop" '{"do": "loop"}' 504 'Runtime\.Timeout'
try "an infinite loop in C" '{"do": "cloop"}' 504 'Runtime\.Timeout'
try "a sleep past the time limit" '{"do": "sleep"}' 504 'Runtime\.Timeout'
try "a loop with all signals ignored" '{"do": "ignore"}' 504 \
	'Runtime\.Timeout'

# too much of what there is
try "many threads" '{"do": "threads"}' '200|500|502' '.'
try "many descriptors" '{"do": "files"}' 200 'descriptors'
try "a long log" '{"do": "log", "bytes": 50000000}' '200|502|504' '.'
try "a log of any bytes" '{"do": "garbage_log"}' 200 'fine'
try "threads left running" '{"do": "spinning_threads"}' 200 'fine'

# machine code: what only the kernel may do is a fault
for code in f4:hlt fa:cli 0f08:invd 0f09:wbinvd 0f00d8:ltr 0f22d8:mov-cr3 \
	0f20c0:mov-cr0 0f30:wrmsr 0f32:rdmsr e680:out-0x80 ec:in 0f0b:ud2 \
	48b80000000000000080ffe0:jump-uncanonical 0f01f8:swapgs \
	0f34:sysenter cd0e:int-14 cd80:int-128 0f07:sysret 6a0048cf:iretq
do
	try "code: ${code#*:}" "{\"do\": \"code\", \"code\": \"${code%%:*}\"}" \
		502 'signal|broke its virtual machine'
done
for code in 0f01c1:vmcall 0f01d9:vmmcall cc:int3 9d:popfq 0f05:syscall \
	e640:out-0x40 e660:out-0x60 e66e:out-0x6e
do
	try "code: ${code#*:}" "{\"do\": \"code\", \"code\": \"${code%%:*}\"}" \
		'200|500|502|504' '.'
done

# the pages between guest and host, and the libOS itself
try "write to the page tables" \
	'{"do": "write", "address": 1879048192}' 502 'signal 11'
try "write to the supervisor's code" \
	'{"do": "write", "address": 1879404544}' 502 'signal 11'
try "write to the doorbell" \
	'{"do": "write", "address": 1880096768}' 502 'signal 11'
try "write to the control page" \
	'{"do": "write", "address": 1880117248}' 502 'signal 11'
try "write to the host region" \
	'{"do": "write", "address": 51539607552}' 502 'signal 11'
try "write to the image" \
	'{"do": "write", "address": 34359738368}' 502 'signal 11'
try "garbage in the page to the host" \
	'{"do": "write", "address": 1880129536, "bytes": 4096}' \
	'200|500|502|504' '.'
try "garbage over the libOS" \
	'{"do": "write", "address": 1881145344, "bytes": 262144}' \
	'500|502|504' '.'
try "doorbells rung badly" '{"do": "call_badly", "address": 1880096768,
	"numbers": [2, 3, 4, 5, 8, 9, 63, 255]}' '200|500|502|504' '.'
for number in 0 1 6 7 9 4096; do
	try "doorbell $number rung out of turn" "{\"do\": \"call\",
		\"address\": 1880096768, \"arguments\": [0, 0, 0, $number]}" \
		'200|500|502|504' '.'
done
try "a result from nowhere" '{"do": "call", "address": 1880096768,
	"arguments": [0, 18446744073709547520, 8192, 1]}' '200|500|502|504' '.'

stop_serve
is "after all attacks, SIGTERM ends serve with 0" "$serve_status" 0
plan
