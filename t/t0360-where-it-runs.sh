#!/bin/sh
# machines and containers without all that is needed: another way is taken,
# or one line says what is missing and how to get it; nothing hangs
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
deny=$(dirname "$usetl")/t/deny
test -x "$deny" || skip_all "no $deny; make check builds it"
start_httpd
bake_or_end echo total
chmod 755 "$tmp"
printf 'name,amount\nada,1200.25\nbob,34.25\n' >"$tmp/in.csv"
curl -sS -o /dev/null -T "$tmp/in.csv" "$http/data.csv"
job="{\"source\": \"$http/data.csv\", \"sink\": \"$http/out\"}"

# to find leaks takes ptrace, /proc and a process more; other scripts look
if instrumented; then
	ASAN_OPTIONS=detect_leaks=0
	export ASAN_OPTIONS
fi

# a process's end by a signal is its parent's to see, or a tracer's
straces=
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	straces=yes
else
	skip "nothing crashes" "no strace that may trace"
fi

# what starts from there asks what the host allows only once something fails
store=$tmp/store
"$usetl" invoke --store "$store" -d 1 "$tmp/echo.usetl" >"$tmp/out" 2>&1

# ends NAME COMMAND...: usetl under COMMAND ends with none of its processes hurt
ends() {
	where=$1
	shift
	for stored in "" "--store $store"; do
		# shellcheck disable=SC2086
		timeout 60 strace -f -e trace=none -o "$tmp/ends" \
			"$@" "$usetl" invoke $stored -d 1 "$tmp/echo.usetl" \
			>/dev/null 2>&1
		grep 'killed by' "$tmp/ends"
	done >"$tmp/killed"
	is "$where: nothing of it crashes" \
		"$(grep -v SIGKILL "$tmp/killed")" ""
}

# refused NAME PATTERN COMMAND...: usetl under COMMAND says a line like that
refused() {
	where=$1 said=$2
	shift 2
	test -z "$straces" || ends "$where" "$@"
	fails "$where: invoke" 1 timeout 60 "$@" "$usetl" invoke -d 1 \
		"$tmp/echo.usetl"
	like "$where: invoke: what is said" "$tmp/err" \
		"^usetl invoke: .*$said"
	is "$where: invoke: in one line" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
	fails "$where: invoke of what is stored" 1 timeout 60 "$@" "$usetl" \
		invoke --store "$store" -d 1 "$tmp/echo.usetl"
	like "$where: invoke of what is stored: what is said" "$tmp/err" \
		"^usetl invoke: .*$said"
	# another user has no store there, which is said, too
	is "$where: invoke of what is stored: in one line" \
		"$(grep -vc 'nothing is kept in a store' "$tmp/err")" 1
	fails "$where: serve" 1 timeout 60 "$@" "$usetl" serve \
		-l 127.0.0.1:0 "$tmp/echo.usetl"
	like "$where: serve: what is said" "$tmp/err" "$said"
	is "$where: serve: in one line" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
	fails "$where: check" 1 timeout 60 "$@" "$usetl" check
	like "$where: check: what is said" "$tmp/out" "^FAIL .*$said"
}

# runs NAME COMMAND...: functions do, rollbacks are whole, and files are sent
runs() {
	where=$1
	shift
	ok "$where: three requests, each rolled back" timeout 60 \
		env USETL_VERIFY=1 "$@" "$usetl" invoke --repeat 3 -d 1 \
		"$tmp/echo.usetl"
	curl -sS -o /dev/null -T /dev/null "$http/out"
	ok "$where: GET and POST" timeout 60 "$@" "$usetl" invoke \
		-d "$job" "$tmp/total.usetl"
	is "$where: what arrived" "$(curl -sS "$http/out")" 1234.5
	ok "$where: check" timeout 60 "$@" "$usetl" check
}

unlimited="ulimit -[vfdun] (unlimited|1024|4096)"
container='--security-opt seccomp=unconfined'
for what in seccomp:'a seccomp filter' seccomp=EINVAL:'a seccomp filter' \
	memfd=ENOSYS:memfd_create close_range=ENOSYS:close_range \
	pidfd_open:pidfd_open prctl:0:38:PR_SET_NO_NEW_PRIVS
do
	call=${what%:*}
	refused "no $call" "${what##*:}.*; .*$container" "$deny" "$call" --
done
runs "no PAGEMAP_SCAN" "$deny" pagemap_scan --
runs "PAGEMAP_SCAN not allowed" "$deny" pagemap_scan=EPERM --
runs "no process_vm_readv, no process_vm_writev" "$deny" process_vm --
runs "not allowed to trace" "$deny" tracing --
runs "calls that are newer than the profile" "$deny" clone3=ENOSYS \
	rseq=ENOSYS userns --

# limits: too little, and as much as it says
if command -v bash >/dev/null; then
	# bashed LIMIT PATTERN
	bashed() {
		# shellcheck disable=SC2016
		refused "$1" "$2" bash -c 'ulimit $0 && exec "$@"' "$1"
	}
	if instrumented; then
		skip "-v and -d" "a sanitizer's shadow is not within them"
	else
		bashed "-v 8000000" \
			"8000000.*[0-9]+ KB of addresses; $unlimited"
		kb=$(sed -n 's/^FAIL tender:.* to \([0-9]*\) KB.*/\1/p' \
			"$tmp/out")
		# shellcheck disable=SC2016
		runs "-v as it says" \
			bash -c 'ulimit $0 && exec "$@"' "-v ${kb:-0}"
		bashed "-d 50000" "private memory.*; $unlimited"
	fi
	bashed "-n 20" "20 files may be open; $unlimited"
	bashed "-f 1000" "memory file.*; $unlimited"
	# shellcheck disable=SC2016
	runs "-n 32" bash -c 'ulimit $0 && exec "$@"' "-n 32"
	# what a caller has left open counts
	# shellcheck disable=SC2016
	refused "-n 60, 45 open" "60 files may be open and [45].*; $unlimited" \
		bash -c 'for fd in $(seq 10 54); do
				eval "exec $fd</dev/null"
			done; ulimit -n 60; exec "$@"' bash
	# shellcheck disable=SC2016
	runs "an unlimited stack, so addresses from below" \
		bash -c 'ulimit $0 && exec "$@"' "-s unlimited"
fi
if command -v setarch >/dev/null; then
	runs "the old layout of addresses" setarch -L
	runs "no random addresses" setarch -R
	runs "the old layout, no random addresses, 3 GB" setarch -LR3
fi
if command -v setpriv >/dev/null; then
	runs "no new privileges" setpriv --no-new-privs
fi
if test "$straces"; then
	ok "traced with all its children" timeout 100 strace -f \
		-o /dev/null "$usetl" invoke --repeat 3 -d 1 "$tmp/echo.usetl"
	times=$(grep -c 'strace (pid .*invoke .*--gdb$' "$tmp/err")
	case $tender in
	process) is "traced: it is said, and what to do" "$times" 1 ;;
	*) is "traced: nothing to say" "$times" 0 ;;
	esac
else
	skip "traced with all its children" "no strace that may trace"
fi

if command -v gdb >/dev/null; then
	timeout 100 gdb -q -batch -ex run --args "$usetl" invoke -d 7 \
		"$tmp/echo.usetl" >"$tmp/out" 2>"$tmp/err"
	like "under a debugger: the result" "$tmp/out" '^7$'
	like "under a debugger: it ended well" "$tmp/out" 'exited normally'
else
	skip "under a debugger" "no gdb"
fi

# find_user: $as runs a command as a user who may use what the tender needs,
# $uid or 54321; or there is no way, and $why
find_user() {
	cat >"$tmp/as" <<'END'
#!/bin/sh
# as GROUP COMMAND...: as a user in that group alone
group=$1
shift
exec setpriv --reuid "${uid:-54321}" --regid "$group" --clear-groups "$@"
END
	cat >"$tmp/as-open" <<'END'
#!/bin/sh
# as-open DIR COMMAND...: the same where /dev/kvm is everybody's
exec unshare -m sh -c 'mount --make-rprivate / &&
	mount -t tmpfs -o mode=755 none "$0" &&
	mknod -m 666 "$0/kvm" c "0x$(stat -c %t /dev/kvm)" \
		"0x$(stat -c %T /dev/kvm)" &&
	mount --bind "$0/kvm" /dev/kvm && exec sh "$0/../as" 54321 "$@"' "$@"
END
	group=$(stat -c %g /dev/kvm 2>/dev/null || echo 54321)
	as="sh $tmp/as $group"
	if ! $as test -r "$tmp/total.usetl" 2>/dev/null; then
		why="others cannot reach $tmp"
		return 1
	fi
	test "$tender" = kvm || return 0
	! $as dd if=/dev/kvm of=/dev/null count=0 2>/dev/null || return 0
	mkdir "$tmp/dev"
	as="sh $tmp/as-open $tmp/dev"
	why="only root may use /dev/kvm"
	$as dd if=/dev/kvm of=/dev/null count=0 2>/dev/null
}

users() {
	if ! find_user; then
		skip "a plain user" "$why"
		return
	fi
	# of what was built in a folder of root's alone, a copy
	real=$usetl
	if ! $as test -x "$usetl" 2>/dev/null; then
		cp "$usetl" "$tmp/usetl"
		usetl=$tmp/usetl
	fi
	# shellcheck disable=SC2086
	runs "a plain user" $as
	# of a number of its own: all processes of a user count
	# shellcheck disable=SC2016,SC2086
	refused "one process for a user" "a process: .*; $unlimited" \
		env uid=54322 $as bash -c 'ulimit -u 1 && exec "$@"' bash
	usetl=$real
}

if test "$(id -u)" = 0 && command -v setpriv >/dev/null; then
	# what is left in a container by default
	caps=-all
	for c in chown dac_override fowner fsetid kill setgid setuid setpcap \
		net_bind_service net_raw sys_chroot mknod audit_write setfcap
	do
		caps=$caps,+$c
	done
	runs "root with a container's capabilities" \
		setpriv --bounding-set="$caps" --inh-caps=-all
	refused "root that may not change its user" \
		'user to nobody.*--cap-add=SETUID,SETGID' \
		setpriv --bounding-set=-setuid,-setgid --inh-caps=-all
	users
else
	skip "capabilities and users" "only root can give them up"
fi
if test "$(id -u)" = 0 && unshare -mpf true 2>/dev/null; then
	cat >"$tmp/within" <<'END'
#!/bin/sh
# within SETUP COMMAND...: in namespaces of its own
setup=$1
shift
exec unshare -mpf sh -c "mount --make-rprivate / && $setup"' && exec "$@"' \
	sh "$@"
END
	if instrumented; then
		skip "no /proc" "a sanitizer's runtime reads there"
	else
		refused "no /proc" '/proc/self/pagemap.*; mount -t proc' \
			sh "$tmp/within" 'mount -t tmpfs none /proc'
	fi
	runs "/proc of one's own processes only" sh "$tmp/within" \
		'mount -t proc -o hidepid=2 proc /proc'
	runs "/proc without its other files" sh "$tmp/within" \
		'mount -t proc -o subset=pid proc /proc'
	echo 4194304 >"$tmp/min_addr"
	test "$tender" = kvm ||
		refused "an odd mmap_min_addr" \
		'vm\.mmap_min_addr is 4194304.*; sudo sysctl' \
		sh "$tmp/within" "mount --bind $tmp/min_addr \
		/proc/sys/vm/mmap_min_addr"
	# whose other numbers are nobody's
	if unshare -Ur true 2>/dev/null; then
		refused "root of a namespace of one user" \
			'user to nobody.*another user than root' \
			unshare -Ur
	fi
else
	skip "other mounts" "only root can make them"
fi

# what only one of the tenders needs
refused_alone() {
	refused "no $1" "process tender: .*$2" "$deny" "$1" --
}
case $tender in
process)
	refused_alone mremap 'mremap.*0x200000.*vm\.mmap_min_addr'
	refused_alone mprotect:2:7 'writable and executable.*execmem'
	if instrumented; then
		skip "no sigaltstack" "a sanitizer's runtime has one"
	else
		refused_alone sigaltstack sigaltstack
	fi
	refused_alone clone:0:0x1011=ENOSYS CLONE_PIDFD
	;;
kvm)
	refused "a KVM that makes no machine" \
		'/dev/kvm: cannot make a virtual machine.*; ' \
		"$deny" kvm --
	refused "a KVM without capabilities" \
		'/dev/kvm: this kernel lacks KVM_CAP.*; use Linux' \
		"$deny" ioctl:1:0xae03=0 --
	# left to choose, it takes what works, and says once what it lacks
	unset USETL_TENDER
	if "$usetl" check | grep -q '^ok *process'; then
		ok "auto: KVM, where processes cannot" \
			"$deny" mremap -- "$usetl" invoke -d 1 "$tmp/echo.usetl"
		is "auto: KVM, and nothing is said" "$(cat "$tmp/err")" ""
		ok "auto: processes, where KVM cannot" \
			"$deny" kvm -- "$usetl" invoke --repeat 3 -d 1 \
			"$tmp/echo.usetl"
		like "auto: what that means, and what is missing" "$tmp/err" \
			'isolates less.*usetl-isolation.*virtual machine'
		is "auto: processes, said in one line" \
			"$(wc -l <"$tmp/err" | tr -d ' ')" 1
		printf '#!/bin/sh\nexec %s kvm -- %s "$@"\n' "$deny" "$usetl" \
			>"$tmp/denied"
		chmod 755 "$tmp/denied"
		real=$usetl usetl=$tmp/denied
		ok "auto: serve" start_serve "$tmp/echo.usetl" \
			"$tmp/total.usetl"
		usetl=$real
		for i in 1 2 3; do
			call echo "$i"
			call total "$job"
		done
		like "auto: serve answers" "$tmp/out" 1234.5
		stop_serve
		is "auto: serve says once what that means" \
			"$(grep -c 'isolates less' "$tmp/serve.err")" 1
		"$deny" kvm -- "$usetl" check >"$tmp/out" 2>&1
		is "auto: check's exit status" $? 0
		like "auto: check" "$tmp/out" '^warn tender: process; .*less'
		like "auto: check, of KVM" "$tmp/out" '^warn /dev/kvm: cannot'
		refused "neither tender works" \
			'virtual machine.*nor as processes: .*mremap' \
			"$deny" kvm mremap --
		refused "neither tender works, for one reason" \
			'close_range: Op' \
			"$deny" close_range --
		unlike "neither tender works: one reason is said once" \
			"$tmp/out" 'nor as processes'
	else
		skip "auto" "locked processes do not work here"
	fi
	;;
esac
plan
