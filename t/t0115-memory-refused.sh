#!/bin/sh
# memory that is refused is said where somebody fails for it, and only there
. "$(dirname "$0")/lib.sh"
need_tender
need_python

bake_or_end refusals
said='^usetl: [0-9]+ KB more would have passed the memory limit of 64 MB; '

ok "a MemoryError that is caught" invoke refusals '"caught"'
is "a MemoryError that is caught: the result" "$(cat "$tmp/out")" '"without"'
unlike "a MemoryError that is caught: nothing is said" "$tmp/err" 'limit'
ok "a mapping that is given up" invoke refusals '"mapping"'
is "a mapping that is given up: the result" "$(cat "$tmp/out")" '"without"'
unlike "a mapping that is given up: nothing is said" "$tmp/err" 'limit'

fails "a MemoryError" 1 invoke refusals '"raised"'
like "a MemoryError: it is said" "$tmp/err" "$said"
fails "an exception that hides a MemoryError" 1 invoke refusals '"hidden"'
like "an exception that hides a MemoryError: it is said" "$tmp/err" "$said"
fails "an exit" 1 invoke refusals '"exit"'
like "an exit: it is said" "$tmp/err" "$said"
fails "an abort" 1 invoke refusals '"abort"'
like "an abort: it is said" "$tmp/err" "$said"
is "an abort: it is said once" "$(grep -Ec "$said" "$tmp/err")" 1

# state that is kept: what an earlier request did without is not this one's
fails "state is kept: the second fails for something else" \
	1 invoke refusals '"later"' \
	--recycle keep --repeat 2
unlike "state is kept: nothing is said of memory" "$tmp/err" 'limit'
plan
