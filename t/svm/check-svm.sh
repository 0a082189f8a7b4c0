#!/bin/sh
# check-svm.sh - usetl on Debian 12's kvm_amd, without the hardware
#
# usage: check-svm.sh USETL TENDER_TEST MKIMAGE
#
# QEMU's tcg emulates AMD-V with nested paging, so that Debian's own kernel
# and its KVM run the guest as on hardware: `out` exits before rip moves,
# page tables are walked by the (emulated) processor, CPUID and XCR0 are
# KVM's.  That kernel is 6.1, which has no PAGEMAP_SCAN.  init and inside.sh
# are what runs there; their TAP comes back by a serial line and is this
# script's.  Times in it mean nothing.
#
# Without SMAP: QEMU 7.2 takes the stack reads of an iretq at CPL 3 for the
# kernel's, which the process tender's tests would meet.
# CPU=max,-smap,-avx,-avx2 is another processor; ACCEL another accelerator.
. "$(dirname "$0")/../lib.sh"
svm=$t
t=$(dirname "$svm")
top=$(dirname "$t")
usetl=$1 tender_test=$2 mkimage=$3
r=$tmp/root
cc=${CC:-cc}

need() {
	command -v "$1" >/dev/null || skip_all "no $1; install $2"
}
need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need cpio cpio
need "$cc" gcc
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
ldd "$usetl" "$tender_test" | awk '/=> \//{print $3} /^\t\/lib64/{print $1}' |
	sort -u | while read -r f
do
	mkdir -p "$r$(dirname "$f")"
	cp -L "$f" "$r$f"
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
cp "$t/lib.sh" "$svm/inside.sh" "$r/t/"
cp "$svm/init" "$r/init"
chmod 755 "$r/init"

# the C programs, each as it is and as a clone
for source in "$t"/guest/*_*.c; do
	name=$(basename "$source" .c)
	for snap in '' "$t/guest/snap.c"; do
		# shellcheck disable=SC2086
		"$cc" -O1 -w -pthread -I"$top" -o "$tmp/program" "$source" \
			$snap -lm 2>"$tmp/err" &&
			"$mkimage" "$r/guest/$name${snap:+-clone}.usetl" \
				"$tmp/program" 2>"$tmp/err" ||
			give_up "$name" "$tmp/err"
		test -n "$snap" || cp "$tmp/program" "$r/guest/$name.native"
	done
done

# the functions, and what Linux answers
for f in echo json stdlib threads hostile total; do
	"$usetl" bake --no-check -o "$r/image/$f.usetl" "$t/functions/$f" \
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
timeout 600 qemu-system-x86_64 -M q35 -accel "${ACCEL:-tcg,thread=single}" \
	-cpu "${CPU:-max,-smap}" -m 3072 -nodefaults -no-user-config -nographic \
	-no-reboot -serial "file:$tmp/console" -serial stdio \
	-kernel "$kernel" -initrd "$tmp/initrd" \
	-append "console=ttyS0 quiet panic=-1 reboot=t" </dev/null \
	2>"$tmp/err" | tee "$tmp/tap"
if ! grep -q '^1\.\.' "$tmp/tap"; then
	# numbered on from there, so that the plan is right and it has failed
	tests=$(grep -cE '^(not )?ok' "$tmp/tap")
	tail -n 20 "$tmp/console" >>"$tmp/err"
	give_up "the machine reached the end of its tests" "$tmp/err"
fi
grep -q '^not ok' "$tmp/tap" && exit 1
exit 0
