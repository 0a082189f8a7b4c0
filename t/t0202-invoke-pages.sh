#!/bin/sh
# usetl invoke --stats=pages: whose pages a run wrote
. "$(dirname "$0")/lib.sh"
need_tender
need_python
bake_or_end echo

# pages_of RUNS EVENT: the table in $tmp/table, what came before in $tmp/lines
pages_of() {
	"$usetl" invoke --stats=pages --repeat "$1" -d "$2" \
		"$tmp/echo.usetl" >"$tmp/out" 2>"$tmp/err"
	sed '/^ *pages *changed/,$d' "$tmp/err" >"$tmp/lines"
	sed '1,/^ *pages *changed/d' "$tmp/err" >"$tmp/table"
}
# sum COLUMN, row NAME COLUMN: of the table
sum() {
	awk -v c="$1" '{ n += $c } END { print n + 0 }' "$tmp/table"
}
row() {
	awk -v name="$1" -v c="$2" 'index($0, name) { n += $c }
		END { print n + 0 }' "$tmp/table"
}

pages_of 1 '{}'
is "the result comes as always" "$(cat "$tmp/out")" '{}'
is "the table is of all pages that were written" "$(sum 1)" \
	"$(sed -n 's/^pages.* \([0-9]*\) written$/\1/p' "$tmp/lines")"
for name in 'heap (brk)' 'mmap: anonymous' stack 'libc.so.6' \
	'libOS: allocated' 'python3'
do
	ok "a run writes to: $name" test "$(row "$name" 1)" -gt 0
done
like "variables of the libOS have their names" "$tmp/table" \
	'libOS:.* event_len'
ok "of the pages, only some differ" test "$(sum 2)" -lt "$(sum 1)"
ok "of the pages that differ, each has a line at least" \
	test "$(sum 3)" -ge "$(sum 2)"
ok "of the pages that differ, not all lines do" \
	test "$(sum 3)" -lt $(($(sum 2) * 64))

pages_of 3 '{}'
ok "after some runs it is of the last one" test "$(sum 2)" -gt 0
few=$(row 'mmap: new' 2)
"$python" -c 'print("\"" + "x" * 1000000 + "\"")' >"$tmp/event"
pages_of 1 "@$tmp/event"
ok "a megabyte is written to memory that the reference has not" \
	test "$(row 'mmap: new' 2)" -gt $((few + 244))

"$usetl" invoke --stats --repeat 2 "$tmp/echo.usetl" >"$tmp/out" 2>"$tmp/err"
unlike "no table without =pages" "$tmp/err" 'whose'
fails "--stats=pages with a URL" 2 "$usetl" invoke --stats=pages \
	http://127.0.0.1:1/function/echo
like "--stats=pages with a URL: why not" "$tmp/err" 'stats=pages needs an IMAGE'
fails "--stats=pages without rollback" 2 "$usetl" invoke --stats=pages \
	--recycle=keep "$tmp/echo.usetl"
like "--stats=pages without rollback: why not" "$tmp/err" 'no --recycle'
fails "--stats=pges" 2 "$usetl" invoke --stats=pges "$tmp/echo.usetl"
like "--stats=pges: why not" "$tmp/err" "'pges' is not json or pages"
plan
