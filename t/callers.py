"""callers.py - hostile HTTP callers, and an innocent one beside them.

usage: callers.py URL ATTACK

Prints "N served, M refused" for the innocent caller, who calls the function
"echo" on connections of its own all the while that the hostile ones hold
theirs, which are for "hostile" where they name a function.  What is said of
the hostile function itself comes in a line of its own.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import time

HOST, PORT = sys.argv[1].rsplit("/", 1)[-1].rsplit(":", 1)
BODY_MAX = 2088960  # bytes, request.max
INNOCENT = 40  # requests while the others hold on
WAIT = 60  # seconds, for an innocent one's answer


def connect(receive: int = 0) -> socket.socket:
    s = socket.socket()
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.settimeout(WAIT)
    s.connect((HOST, int(PORT)))
    return s


def head(function: str, length: int) -> bytes:
    return (f"POST /function/{function} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {length}\r\n\r\n").encode()


def ask(function: str, event: object) -> int:
    """The status of one request; 0 when the connection ends before it."""
    body = json.dumps(event).encode()
    try:
        with connect() as s:
            s.sendall(head(function, len(body)) + body)
            answer = s.recv(4096)
    except OSError:
        return 0
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/") else 0


def hold(s: socket.socket, data: bytes) -> None:
    """Sends what is taken; one that is refused is no news."""
    try:
        s.sendall(data)
    except OSError:
        pass


def announce() -> list[socket.socket]:
    """Bodies that are announced and do not come."""
    some = [connect() for _ in range(135)]
    for s in some:
        hold(s, head("hostile", BODY_MAX) + b"[")
    return some


def send() -> list[socket.socket]:
    """Bodies that come but for their last byte."""
    some = [connect() for _ in range(150)]
    for s in some:
        hold(s, head("hostile", BODY_MAX) + b" " * (BODY_MAX - 1))
    return some


def untaken() -> list[socket.socket]:
    """Answers of 6 MB that nobody reads."""
    body = json.dumps({"do": "huge", "bytes": (6 << 20) - 100}).encode()
    some = [connect(4096) for _ in range(90)]
    for s in some:
        hold(s, head("hostile", len(body)) + body)
    # most of them run in that time
    time.sleep(3)
    return some


def silent() -> list[socket.socket]:
    """Connections, and not a byte."""
    return [connect() for _ in range(4200)]


def slow_heads() -> list[socket.socket]:
    """Heads that do not end."""
    some = [connect() for _ in range(4200)]
    for s in some:
        hold(s, b"POST /function/hostile HT")
    return some


def slow_bodies() -> list[socket.socket]:
    """Bodies that have begun, on as many connections as there are places."""
    some = [connect() for _ in range(4200)]
    for s in some:
        hold(s, head("hostile", 10) + b"[1")
    return some


def main() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    some = globals()[sys.argv[2]]()
    served = 0
    for _ in range(INNOCENT):
        served += ask("echo", {"n": 1}) == 200
        time.sleep(0.05)
    print(f"{served} served, {INNOCENT - served} refused")
    # they hold on still
    end = time.monotonic() + 60
    while ask("hostile", {"do": "nothing"}) != 200:
        if time.monotonic() > end:
            print("hostile: shut")
            break
        time.sleep(0.5)
    else:
        print("hostile: open")
    if sys.argv[2] == "silent":
        print("the last of them:", "open" if some[-1].recv(1) else "closed")
    for s in some:
        s.close()


main()
