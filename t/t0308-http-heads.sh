#!/bin/sh
# heads with a few bytes changed: those are served that RFC 9112 has, no others
. "$(dirname "$0")/lib.sh"
need_tender
need_python
bake_or_end echo
serve_or_end "$tmp/echo.usetl"
cat >"$tmp/heads.py" <<'END'
import random, re, socket, sys

host, port = sys.argv[1].rsplit("/", 1)[-1].split(":")
whole = (b"POST /function/echo HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nEmpty:\r\n"
         b"Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}")
bits = [b"\n", b"\r", b"\r\n", b"\0", b" ", b"\t", b":", b";", b",", b"%00",
        b"%6f", b"\x7f", b"\x80", b"x", b"2", b"Host: y\r\n", b"\r\n ", b"?",
        b"Content-Length: 2\r\n", b"X: y\n", b"\r\n\r\n", b"/", b"#"]
line = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")
target = re.compile(rb"/function/(?:e|%65)(?:c|%63)(?:h|%68)(?:o|%6f)"
                    rb"(?:\?[!-~\x80-\xff]*)?", re.I)

def sound(data):
    """Is it answered with 200? None: not before there is more of it. RFC 9112, sections 2.2, 3, 5 and 6."""
    # empty lines before a request are skipped, whatever ends them
    data = re.sub(rb"\A(\r?\n)+", b"", data)
    head, end, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    parts = first.split(b" ")
    if not end or len(parts) != 3 or parts[0] != b"POST" or \
            not re.fullmatch(rb"HTTP/1\.[0-9]", parts[2]) or \
            not target.fullmatch(parts[1]):
        return False
    if not all(line.fullmatch(l) for l in lines):
        return False
    said = [(n.lower(), v.strip(b" \t")) for n, _, v in
            (l.partition(b":") for l in lines)]
    lengths = [v for n, v in said if n == b"content-length"]
    hosts = sum(n == b"host" for n, _ in said)
    if hosts > 1 or len(lengths) > 1 or \
            (not hosts and parts[2] != b"HTTP/1.0"):
        return False
    if any(n == b"transfer-encoding" for n, _ in said):
        return False
    if not lengths:
        return True     # no body: it stands for {}
    # a blank behind the number is refused, though it could be taken
    raw = [l for l in lines if l.lower().startswith(b"content-length:")][0]
    if raw.endswith((b" ", b"\t")) or not lengths[0].isdigit():
        return False
    body = body[:int(lengths[0])]
    if len(body) < int(lengths[0]) <= 2088960:
        return None     # the rest is waited for
    return len(body) == int(lengths[0]) and (
        not body or body.strip(b" \t\r\n") in (b"{}", b"2"))

def served(data):
    with socket.create_connection((host, int(port)), 20) as s:
        s.sendall(data)
        got = b""
        try:
            while b"\r\n" not in got:
                more = s.recv(4096)
                if not more:
                    break
                got += more
        except ConnectionResetError:
            pass
        return got.split(b" ")[1:2] == [b"200"]

# what the library cannot tell from CR LF, and usetl-serve(8) names
unseen = re.compile(rb"\0\n|(?<!\r)\n:|\n:\n")

random.seed(int(sys.argv[2]))
yes = no = 0
for i in range(int(sys.argv[3])):
    data = whole
    for _ in range(random.randrange(4 if i else 1)):
        at = random.randrange(len(data) + 1)
        bit = random.choice(bits)
        data = data[:at] + bit + data[at + random.choice([0, 0, 1, 2]):]
    # so that each has an end; empty lines before a next request are no harm
    data += b"\r\n\r\n"
    want = sound(data)
    if want is None or unseen.search(data):
        continue
    got = served(data)
    if want != got:
        print("served" if got else "not served", data)
    yes += got
    no += not got
print("some of both" if yes > 50 and no > 50 else f"{yes} served, {no} not")
END
is "heads with a few bytes changed are served exactly if they are sound" \
	"$("$python" "$tmp/heads.py" "$url" 9112 600 2>&1)" "some of both"
plan
