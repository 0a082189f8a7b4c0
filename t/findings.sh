#!/bin/sh
# findings.sh COMMAND...: when a sanitizer finds something in any process of
# the command (t/findings.c), what that was, and it has failed
size=1048576
USETL_FINDINGS=$(mktemp "${TMPDIR:-/tmp}/usetl-findings.XXXXXX") || exit 2
UBSAN_OPTIONS=print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}
export USETL_FINDINGS UBSAN_OPTIONS
trap 'rm -f "$USETL_FINDINGS" "$USETL_FINDINGS.txt"' EXIT
trap 'exit 1' INT TERM HUP

# FUNCTION at FILE:LINE for (PROGRAM+0xOFFSET): a locked process cannot look
name_places() {
	while IFS= read -r line; do
		at=${line##*(}
		at=${at%)*}
		case $at in
		/*+0x*) addr2line -fpse "${at%+*}" "${at##*+}" 2>/dev/null |
			sed "s/^/${line%%(*}/" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
}

head -c $size /dev/zero >"$USETL_FINDINGS" || exit 2
chmod 666 "$USETL_FINDINGS"		# some tests are other users
"$@"
status=$?
if head -c $((size - 8)) "$USETL_FINDINGS" | tr -d '\0' >"$USETL_FINDINGS.txt" &&
    grep -Eq 'ERROR: AddressS|LeakSanitizer: d|CHECK failed|runtime error:' \
	    "$USETL_FINDINGS.txt"; then
	name_places <"$USETL_FINDINGS.txt" >&2
	echo "a sanitizer found something: see above" >&2
	exit 1
fi
exit $status
