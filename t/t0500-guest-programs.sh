#!/bin/sh
# the C programs of t/guest: natively (Linux is the oracle), as a guest of
# each tender, and in a clone after a snapshot
. "$(dirname "$0")/lib.sh"
need_usetl
cc=${CC:-cc}
command -v "$cc" >/dev/null || skip_all "no C compiler"
command -v pkg-config >/dev/null || skip_all "no pkg-config"
libs="libarchive libelf jansson nettle inih"
# shellcheck disable=SC2086
pkg-config $libs || skip_all "no development files of $libs"

# the image builder, from the objects of the build that is tested
objects=$(dirname "$usetl")
test -e "$objects/etlfs/bake/pack_write.o" ||
	skip_all "no object files beside $usetl; run make"
ar rc "$tmp/builder.a" "$objects"/etlfs/*/*.o "$objects"/conf/*.o
for san in "" -fsanitize=address,undefined; do
	# shellcheck disable=SC2046,SC2086
	"$cc" -std=gnu11 -O1 -D_GNU_SOURCE -I"$top" $san \
		-DUSETL_VERSION='"test"' $(pkg-config --cflags $libs) \
		-o "$tmp/mkimage" "$t/guest/mkimage.c" "$tmp/builder.a" \
		$(pkg-config --libs $libs) 2>"$tmp/err" && break
done
if test ! -x "$tmp/mkimage"; then
	fail "mkimage compiles" "$tmp/err"
	plan
fi
find_tenders

# whole NAME FILE STATUS: TAP that is complete, without a failure, and an
# exit status of 0
whole() {
	grep -E '^(ok|not ok|1\.\.)' "$2" >"$tmp/tap"
	planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$tmp/tap")
	n=$(grep -c '^ok' "$tmp/tap")
	if test -n "$planned" && test "$planned" = "$n" &&
	    test "$n" -gt 0 && test "$3" = 0 &&
	    ! grep -q '^not ok' "$tmp/tap"; then
		pass "$1: $n tests"
	else
		{
			echo "exit status $3, $n of ${planned:-?} passed"
			grep '^not ok' "$tmp/tap"
			grep -vE '^(ok|not ok)' "$2" | tail -n 20
		} >"$tmp/why"
		fail "$1" "$tmp/why"
	fi
}

# status_of FILE: the program's exit status, from what invoke says of it
status_of() {
	sed -n 's/.*exited with status \([0-9]*\).*/\1/p' "$1" | tail -n 1
}

# guest NAME PROGRAM: by each tender
guest() {
	if ! "$tmp/mkimage" "$tmp/test.usetl" "$2" 2>"$tmp/err"; then
		fail "$1: image" "$tmp/err"
		return
	fi
	for tender in $tenders; do
		as_tender $tender timeout 60 "$usetl" invoke \
			"$tmp/test.usetl" >"$tmp/log" 2>&1
		whole "$1" "$tmp/log" "$(status_of "$tmp/log")"
	done
	tender=
}

for source in "$t"/guest/*_*.c; do
	name=$(basename "$source" .c)
	test -z "${ONLY:-}" || test "$name" = "$ONLY" || continue
	if ! "$cc" -O1 -w -pthread -I"$top" -o "$tmp/$name" "$source" -lm \
			2>"$tmp/err" ||
	    ! "$cc" -O1 -w -pthread -I"$top" -o "$tmp/$name.snap" "$source" \
			"$t/guest/snap.c" -lm 2>"$tmp/err"; then
		fail "$name compiles" "$tmp/err"
		continue
	fi
	(cd "$tmp" && timeout 60 "./$name") >"$tmp/log" 2>&1
	whole "$name natively" "$tmp/log" $?
	guest "$name" "$tmp/$name"
	guest "$name in a clone" "$tmp/$name.snap"
	rm -f "$tmp/$name" "$tmp/$name.snap"
done

# a static program needs no ld.so
source=$t/guest/misc_process.c
if test -z "${ONLY:-}"; then
	if "$cc" -O1 -w -static -I"$top" -o "$tmp/static" "$source" \
			2>/dev/null; then
		guest "a static program" "$tmp/static"
	else
		skip "a static program" "no static C library"
	fi
fi
plan
