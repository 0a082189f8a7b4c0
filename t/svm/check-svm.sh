#!/bin/sh
# check-svm.sh - usetl on Debian 12's kvm_amd, without the hardware
#
# usage: check-svm.sh USETL TENDER_TEST MKIMAGE
#
# QEMU's tcg emulates AMD-V with nested paging, so that Debian's own kernel
# and its KVM run the guest as on hardware: `out` exits before rip moves,
# page tables are walked by the (emulated) processor, CPUID and XCR0 are
# KVM's.  That kernel is 6.1, which has no PAGEMAP_SCAN.  The same machine
# without KVM is the process tender's; and other processors than the one on
# which was baked follow.  init, inside.sh and cgroups.sh are what runs there;
# their TAP comes back by a serial line and is this script's.  Times in it mean
# nothing.
#
# SVM=slice is a sample of it all, for CI.  Without SMAP: QEMU 7.2 takes the
# stack reads of an iretq at CPL 3 for the kernel's, which the process
# tender's tests would meet.  ACCEL is another accelerator.
. "$(dirname "$0")/../lib.sh"
svm=$t/svm
usetl=$1 tender_test=$2 mkimage=$3
r=$tmp/root
all=yes
test "${SVM:-full}" = full || all=no
cc=${CC:-cc}

need() {
	command -v "$1" >/dev/null || skip_all "no $1; install $2"
}
need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need cpio cpio
need "$cc" gcc
need_usetl
need_python
busybox=$(command -v busybox)
ldd "$busybox" >/dev/null 2>&1 && skip_all "$busybox is not static"
kernel=
for k in /boot/vmlinuz-*-amd64; do
	test -r "$k" -a -d "/lib/modules/${k#/boot/vmlinuz-}" && kernel=$k
done
test -n "$kernel" || skip_all "no kernel in /boot; install linux-image-amd64"
modules=/lib/modules/${kernel#/boot/vmlinuz-}/kernel

give_up() {
	fail "$1" "$2"
	plan
}

# programs, and every library that they name
mkdir -p "$r/bin" "$r/dev" "$r/proc" "$r/sys" "$r/tmp" "$r/mod" "$r/t" \
	"$r/etc" "$r/image" "$r/guest"
cp "$busybox" "$r/bin/busybox"
for applet in $("$busybox" --list); do
	test -e "$r/bin/$applet" || ln -s busybox "$r/bin/$applet"
done
cp "$usetl" "$r/bin/usetl"
cp "$tender_test" "$r/bin/tender_test"
# libraries FILE...: what these need, and what usetl loads when it is called
libraries() {
	ldd "$@" | awk '/=> \//{print $3} /^\t\/lib64/{print $1}' | sort -u |
		while read -r f; do
			mkdir -p "$r$(dirname "$f")"
			cp -L "$f" "$r$f"
		done
}
libraries "$usetl" "$tender_test"
for name in $(sed -n 's/.*= "\(lib[^"]*\)",$/\1/p' \
	"$(dirname "$usetl")/conf/lazylib_names.h")
do
	f=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p |
		awk -v name="$name" '$1 == name && /x86-64/ { print $NF; exit }')
	test -n "$f" || skip_all "no $name"
	mkdir -p "$r$(dirname "$f")"
	cp -L "$f" "$r$f"
	libraries "$f"
done
for m in virt/lib/irqbypass arch/x86/kvm/kvm drivers/crypto/ccp/ccp \
	arch/x86/kvm/kvm-amd
do
	cp "$modules/$m.ko" "$r/mod/" 2>/dev/null ||
		skip_all "$kernel has no module $m.ko"
done
printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' \
	>"$r/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$r/etc/group"
cp "$t/lib.sh" "$t/serve.sh" "$t/procs.sh" "$svm/inside.sh" \
	"$svm/cgroups.sh" "$r/t/"
cp "$svm/init" "$r/init"
chmod 755 "$r/init"

# the C programs, each as it is and as a clone
for source in "$t"/guest/*_*.c; do
	name=$(basename "$source" .c)
	case "$all $name" in
	yes*) ;;
	*signal_frame | *thread_preempt | *mmap_file | *misc_traps) ;;
	*) continue ;;
	esac
	for snap in '' "$t/guest/snap.c"; do
		# shellcheck disable=SC2086
		"$cc" -O1 -w -pthread -I"$top" -o "$tmp/program" "$source" \
			$snap -lm 2>"$tmp/err" &&
			"$mkimage" "$r/guest/$name${snap:+-clone}.usetl" \
				"$tmp/program" 2>"$tmp/err" ||
			give_up "$name" "$tmp/err"
		test -n "$snap" || cp "$tmp/program" "$r/guest/$name.native"
		libraries "$tmp/program"
	done
done

# the functions, with time for a slow processor, and what Linux answers
for f in echo json stdlib threads hostile total; do
	copy_function $f
	sed -i 's/^timeout *= *[0-9]s/timeout = 10s/' "$tmp/src/$f/function.ini"
	"$usetl" bake --no-check -o "$r/image/$f.usetl" "$tmp/src/$f" \
		>"$tmp/out" 2>"$tmp/err" || give_up "bake $f" "$tmp/err"
done
for f in echo json stdlib threads; do
	echo '{}' >"$r/image/$f.event"
	test ! -r "$t/functions/$f/event.json" ||
		cp "$t/functions/$f/event.json" "$r/image/$f.event"
	(cd "$t/functions/$f" && "$python" -B -c 'import app, json, sys
result = app.handler(json.load(open(sys.argv[1])), None)
if "subprocess" in result:
    result["subprocess"] = "ENOSYS"
print(json.dumps(result))' "$r/image/$f.event") >"$r/image/$f.result" \
		2>"$tmp/err" || give_up "$f on Linux" "$tmp/err"
done

(cd "$r" && find . | cpio -o -H newc -R 0:0 2>/dev/null) >"$tmp/initrd" ||
	give_up "the machine's memory disk"
rm -rf "$r"
# machine NAME CPU PART TENDERS [LACKS]: see inside.sh; 1 when it cannot start
machine() {
	timeout 1800 qemu-system-x86_64 -M q35 \
		-accel "${ACCEL:-tcg,thread=single}" -cpu "$2" -m 3072 \
		-nodefaults -no-user-config -nographic -no-reboot \
		-serial "file:$tmp/$1.console" -serial "file:$tmp/$1.tap" \
		-kernel "$kernel" -initrd "$tmp/initrd" -append "console=ttyS0 \
quiet panic=-1 reboot=t part=$3 tenders=$4 lacks=${5:-}" \
		</dev/null >"$tmp/$1.err" 2>&1
}

# report NAME: its TAP, and its last words when that has no end
report() {
	sed -E "s/^(not )?ok [0-9]+ - /&$1: /" "$tmp/$1.tap"
	grep -q '^1\.\.' "$tmp/$1.tap" ||
		tail -n 20 "$tmp/$1.err" "$tmp/$1.console" | sed 's/^/# /'
}

no_avx() {
	machine no-avx max,-smap,-avx,-avx2,-fma,-f16c,-vaes,-vpclmulqdq \
		slice kvm,process avx,avx2
}

# two at a time, of about the same length
if test $all = yes; then
	names="kvm_amd process no-avx EPYC Haswell Opteron_G3 SandyBridge"
	{
		machine kvm_amd max,-smap whole kvm
		no_avx
	} &
	pid=$!
	machine process max,-smap whole process
	machine EPYC EPYC-v1,-smap slice kvm,process
	machine Haswell Haswell-v1,-smap slice process
else
	names="kvm_amd no-avx Opteron_G3 SandyBridge"
	machine kvm_amd max,-smap slice kvm,process &
	pid=$!
	no_avx
fi
machine Opteron_G3 Opteron_G3-v1 refused kvm,process xsave,fsgsbase
machine SandyBridge SandyBridge-v1 refused process fsgsbase
wait $pid
for name in $names; do
	merge "$name" report "$name"
done
plan
