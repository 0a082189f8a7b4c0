#!/bin/sh
# connections of one address: a number of them, but by loopback.  In a network
# of its own, where other addresses are this machine's, too
. "$(dirname "$0")/lib.sh"
need_tender
need_python
command -v unshare >/dev/null || skip_all "no unshare"
command -v ip >/dev/null || skip_all "no ip"
cat >"$tmp/net.sh" <<'END'
ip link set lo up
ip address add 192.0.2.1/32 dev lo
ip address add 192.0.2.2/32 dev lo
ip -6 address add 2001:db8::1/128 dev lo nodad
exec "$@"
END
unshare -n sh -e "$tmp/net.sh" true 2>"$tmp/err" ||
	skip_all "no network of its own: $(head -n 1 "$tmp/err")"

bake_or_end echo

# serve, then as many connections from an address as the rest of the line says
cat >"$tmp/callers.py" <<'END'
import socket, subprocess, sys, time

usetl, conf, err = sys.argv[1:4]
serve = subprocess.Popen([usetl, "serve", "-c", conf, "-l", "[::]:8080"],
                         stderr=open(err, "wb"))
body = b"POST /function/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"

def answered(s):
    try:
        s.sendall(body)
        return s.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False

def connect(source):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    to = "2001:db8::1" if ":" in source else "192.0.2.1"
    if source in ("::1", "127.0.0.1"):
        to = source
    s = socket.socket(family)
    s.settimeout(60)
    s.bind((source, 0))
    s.connect((to, 8080))
    return s

def served(source, n):
    some = []
    for _ in range(n):
        some.append(connect(source))
    return some, sum(map(answered, some))

try:
    for _ in range(600):
        if b"listening" in open(err, "rb").read() or serve.poll() is not None:
            break
        time.sleep(0.1)
    held, n = served("192.0.2.1", 12)
    print("one address:", n, "of 12")
    print("another address:", served("192.0.2.2", 3)[1], "of 3")
    for s in held:
        s.close()
    again = 0
    for _ in range(600):
        again = served("192.0.2.1", 3)[1]
        if again == 3:
            break
        time.sleep(0.1)
    print("after they have gone:", again, "of 3")
    print("IPv6:", served("2001:db8::1", 12)[1], "of 12")
    print("loopback:", served("127.0.0.1", 40)[1], "of 40")
    print("IPv6 loopback:", served("::1", 40)[1], "of 40")
finally:
    serve.terminate()
    print("exit status:", serve.wait())
END
run() {
	printf '[limits]\nconnections.address = %s\n%s\n' "$1" \
		"[function echo]
image = $tmp/echo.usetl" >"$tmp/usetl.conf"
	unshare -n sh -e "$tmp/net.sh" "$python" "$tmp/callers.py" "$usetl" \
		"$tmp/usetl.conf" "$tmp/serve.err" >"$tmp/out" 2>&1
}
has() {
	is "connections.address = $limit: $3" \
		"$(sed -n "s/^$1: //p" "$tmp/out")" "$2"
}
limit=5
run 5
has "one address" '5 of 12' "so many of an IPv4 address are served"
has "another address" '3 of 3' "another address is served beside it"
has "after they have gone" '3 of 3' \
	"an address whose connections ended is served again"
has "IPv6" '5 of 12' "so many of an IPv6 address are served"
has "loopback" '40 of 40' "loopback has no limit"
has "IPv6 loopback" '40 of 40' "IPv6 loopback has no limit"
has "exit status" 0 "the server exits with 0"
limit=0
run 0
has "one address" '12 of 12' "an IPv4 address has no limit"
has "IPv6" '12 of 12' "an IPv6 address has no limit"
plan
