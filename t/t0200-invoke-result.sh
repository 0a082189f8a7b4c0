#!/bin/sh
# usetl invoke: result, log, errors, statistics
. "$(dirname "$0")/lib.sh"
need_tender
need_python
bake_or_end echo json log hostile

ok "the default event is an object" "$usetl" invoke "$tmp/echo.usetl"
is "the default event comes back" "$(cat "$tmp/out")" '{}'
for event in '{"a": [1, 2.5, null, true]}' '"text"' '[]' 'null' '-12' \
	'"\u00e9\ud83d\ude00"' '{"a": {"b": {"c": ""}}}'
do
	invoke echo "$event"
	is "echo $event" "$(cat "$tmp/out")" "$event"
done
echo '{"from": "a file"}' >"$tmp/event"
invoke echo "@$tmp/event"
is "an event from a file" "$(cat "$tmp/out")" '{"from": "a file"}'
"$usetl" invoke -d - "$tmp/echo.usetl" <"$tmp/event" >"$tmp/out" 2>"$tmp/err"
is "an event from standard input" "$(cat "$tmp/out")" '{"from": "a file"}'

"$python" -c 'print("\"" + "x" * 1000000 + "\"")' >"$tmp/event"
invoke echo "@$tmp/event"
mv "$tmp/out" "$tmp/back"
ok "a megabyte there and back" cmp "$tmp/back" "$tmp/event"

invoke json "@$t/functions/json/event.json"
is "the JSON transform" "$(json d)" '{"h": 471952060, "id": 7, "note":'\
' "ynam fo tsrif", "total": 77.75, "user": "ADA"}'

invoke log '{"lines": 3}'
is "only the result is on standard output" "$(json 'd["name"]')" '"log"'
for text in printed 'to stderr' 'INFO:root:logged' 'written to 1' \
	'written to 2' 'line 2' 'without a line end'
do
	like "the log has: $text" "$tmp/err" "$text"
done
like "the log has UTF-8" "$tmp/err" "$(printf '\303\251 \303\274')"

# what serve takes: any number, half a surrogate pair; nothing is {}
for event in "$(printf '1%04000d' 0)" '[1e400]' '"\ud800"'; do
	ok "the event $(echo "$event" | cut -c 1-10)" "$usetl" invoke \
		-d "{\"do\": \"nothing\", \"e\": $event}" "$tmp/hostile.usetl"
done
fails "an event of 5,000 digits, which Python does not read" 1 "$usetl" \
	invoke -d "$(printf '1%05000d' 0)" "$tmp/echo.usetl"
like "an event of 5,000 digits: the function's error" \
	"$tmp/err" 'Runtime\.UnmarshalError'
ok "an empty event" "$usetl" invoke -d '' "$tmp/echo.usetl"
is "an empty event is {}" "$(cat "$tmp/out")" '{}'
fails "an event that is not JSON" 2 "$usetl" invoke -d '{' \
	"$tmp/echo.usetl"
fails "invoke without an image" 2 "$usetl" invoke
fails "no such image" 1 "$usetl" invoke "$tmp/none.usetl"
like "no such image: its name is said" "$tmp/err" 'none\.usetl'

fails "a handler that raises" 1 "$usetl" invoke \
	-d '{"do": "raise", "text": "so there"}' "$tmp/hostile.usetl"
is "a handler that raises: no result" "$(cat "$tmp/out")" ""
like "a handler that raises: the error" "$tmp/err" 'ValueError: so there'
like "a handler that raises: where" \
	"$tmp/err" '"/app/app\.py", line [0-9]+, in do_raise'
unlike "a handler that raises: not the runtime's frames" \
	"$tmp/err" '/usetl/(boot\.py|lib/_usetl/)'

ok "--stats" "$usetl" invoke --stats "$tmp/echo.usetl"
for what in boot clone run rollback pages exits; do
	like "--stats says: $what" "$tmp/err" "$what"
done
is "--stats: the result is there" "$(cat "$tmp/out")" '{}'

sh -c '"$0" invoke "$1" >/dev/full' "$usetl" "$tmp/echo.usetl" 2>"$tmp/err"
is "a result that cannot be written" $? 1
like "a result that cannot be written: what is said" \
	"$tmp/err" 'cannot write standard output'
fails "an event that is a folder" 1 "$usetl" invoke -d "@$tmp" \
	"$tmp/echo.usetl"
like "an event that is a folder: what is said" "$tmp/err" 'Is a directory'
fails "no such tender" 2 "$usetl" invoke --tender=none "$tmp/echo.usetl"
for option in --trace --tender=kvm --recycle=keep --boot-timeout=1s \
	--pause=1s; do
	fails "$option of a URL" 2 "$usetl" invoke "$option" \
		http://127.0.0.1:1/function/echo
	like "$option of a URL: why" "$tmp/err" "${option%=*} needs an IMAGE"
done
fails "two images" 2 "$usetl" invoke "$tmp/echo.usetl" "$tmp/log.usetl"
like "two images: what is said" "$tmp/err" 'one image or URL'
plan
