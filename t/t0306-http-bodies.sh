#!/bin/sh
# bodies: what is JSON and what is not, and refusals that their callers hear
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v curl >/dev/null || skip_all "no curl"
bake_or_end echo
serve_or_end "$tmp/echo.usetl"

# --- what json.dumps writes comes back as it was
cat >"$tmp/events.py" <<'END'
import json, random, sys, urllib.error, urllib.request

def ask(text):
    r = urllib.request.Request(sys.argv[1] + "/function/echo", text.encode())
    try:
        with urllib.request.urlopen(r, timeout=60) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.read().decode()

odd = ["\ud800", "\udc00\ud800", "\U0001f600", "\x00\x1f\x7f", "e\u0301",
       10 ** 4000, -(10 ** 30), 1.7976931348623157e308, 5e-324, -0.0, True,
       False, None, "", [], {}, {"": {"": [[]]}}, "\u2028", "\\\"/", 1e22]

def some(depth):
    kind = random.randrange(6 if depth else 4)
    if kind == 0:
        return random.choice(odd)
    if kind == 1:
        return random.uniform(-1e9, 1e9) * 10 ** random.randrange(-300, 300)
    if kind == 2:
        return random.getrandbits(random.randrange(1, 2000))
    if kind == 3:
        return "".join(map(chr, random.choices(range(0x11000), k=9)))
    many = [some(depth - 1) for _ in range(random.randrange(5))]
    return many if kind == 4 else {str(x): x for x in many}

random.seed(4)
good = 0
for i in range(100):
    d = odd if i == 0 else some(6)
    text = json.dumps(d, indent=random.choice([None, 1, "\t"]))
    if "\\u" not in text or i % 2:
        good += json.loads(ask(text)) == d
    else:
        # as UTF-8 where it can be
        text = json.dumps(d, ensure_ascii=False)
        text = text.encode("utf-8", "replace").decode()
        good += json.loads(ask(text)) == json.loads(text)
# it is an event; that inf is no result is the function's own affair
print(good, json.loads(ask("[1e400, -1e400]"))["errorType"])
END
is "what json.dumps of Python writes is taken" \
	"$("$python" "$tmp/events.py" "$url" 2>&1 | tail -n 1 | cut -c 1-60)" \
	'100 Runtime.MarshalError'

# told NAME TEXT WANT: of a body that is refused, where it is wrong and why
told() {
	printf "$2" >"$tmp/body"
	told_status=$(curl -sS -m 60 -o "$tmp/out" -w '%{http_code}' \
		--data-binary "@$tmp/body" "$url/function/echo")
	is "$1 is refused" "$told_status $(json 'd["errorMessage"]')" \
		"400 \"the body is not JSON: $3\""
}
value="a value or ']' is expected"
told "NaN" '[NaN]' "line 1, column 2: $value"
told "Infinity" '{"a": -Infinity}' 'line 1, column 8: a digit is expected'
told "a word of Python" '{"a":\n None}' 'line 2, column 2: a value is expected'
told "what ends early" '{"a": [1, 2' 'line 1, column 12: the end comes too early'
told "another value behind the first" '{}\n\n []' 'line 3, column 2: the end is expected'
told "a comma too many" '{"a": 1,}' 'line 1, column 9: a string is expected'
told "a byte order mark" '\357\273\277{}' 'line 1, column 1: a value is expected'
told "what is not UTF-8" '["\303\251\303("]' 'line 1, column 5: not UTF-8'
told "half a pair as UTF-8" '"\355\240\200"' 'line 1, column 2: not UTF-8'
told "a line feed in a string" '["a\n"]' \
	'line 1, column 4: a control character in a string'
told "a NUL" '{}\000' 'line 1, column 3: the end is expected'
"$python" -c 'print("[" * 2048 + "]" * 2048, end="")' >"$tmp/deep"
is "what is as deep as may be is an event" "$(curl -sS -m 60 -o "$tmp/out" \
	-w '%{http_code}' --data-binary "@$tmp/deep" "$url/function/echo")" 500
like "what is as deep as may be: the function's error" \
	"$tmp/out" 'maximum recursion depth'
told "what is deeper than may be" "$("$python" -c 'print("[" * 2049)')" \
	'line 1, column 2049: too many arrays and objects in each other'

# bodies KIND: what the caller of one that is refused hears, while most of it
# is still to come
cat >"$tmp/bodies.py" <<'END'
import http.client, json, sys
host = sys.argv[1].rsplit("/", 1)[-1]

def chunks(total, byte):
    for _ in range(total >> 16):
        yield byte * 65536

def send(path, body, headers={}):
    c = http.client.HTTPConnection(host, timeout=60)
    c.request("POST", path, body, headers, encode_chunked=
              "Content-Length" not in headers)
    r = c.getresponse()
    return r.status, json.loads(r.read())["errorType"], r.getheader("Connection")

kinds = {
    "large": lambda: send("/function/echo", b"1" * 7_000_000),
    "larger": lambda: send("/function/echo", chunks(40 << 20, b"1"),
                           {"Content-Length": str(40 << 20)}),
    "chunked": lambda: send("/function/echo", chunks(40 << 20, b"1"),
                            {"Transfer-Encoding": "chunked"}),
    "wrong": lambda: send("/function/echo", b"x" * 2_000_000),
    "nobody": lambda: send("/function/nobody", b"1" * 7_000_000),
    "page": lambda: send("/page", b"1" * 7_000_000),
    "twice": lambda: send("/function/echo", b"1" * 7_000_000,
                          {"Content-Length": "7000000", "content-length": "1"}),
}
print(*kinds[sys.argv[2]]())
END
bodies() {
	is "$1" "$("$python" "$tmp/bodies.py" "$url" "$2" 2>&1 | tail -n 1)" \
		"$3 close"
}
for i in 1 2 3; do
	bodies "a body of 7 MB is refused, and that is heard" large \
		'413 Usetl.RequestTooLarge'
done
bodies "a body of 40 MB" larger '413 Usetl.RequestTooLarge'
bodies "a body of 40 MB in chunks" chunked '413 Usetl.RequestTooLarge'
bodies "a body of 2 MB that is not JSON" wrong '400 Usetl.BadRequest'
bodies "7 MB for no function" nobody '404 Usetl.NotFound'
bodies "7 MB for no page" page '404 Usetl.NotFound'
bodies "7 MB with two lengths" twice '400 Usetl.BadRequest'
call echo '{"still": "there"}'
is "after refusals, requests are served" "$(cat "$tmp/out")" '{"still": "there"}'
stop_serve
is "after all bodies, SIGTERM ends serve with 0" "$serve_status" 0
plan
