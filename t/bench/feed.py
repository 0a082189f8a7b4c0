#!/usr/bin/python3
"""feed.py - an HTTP server that is as cheap as possible: sendfile

usage: feed.py MEGABYTES

Prints its port; GET /N answers the first N of MEGABYTES megabytes, in
which each 64 bytes differ from their neighbours.  Connections are kept.
"""

import os
import socket
import sys
import threading


def make_body(size):
    fd = os.memfd_create("usetl-bench-body")
    block = b"".join(b"%063x\n" % i for i in range(16384))
    for n in range(0, size, len(block)):
        os.pwrite(fd, block.replace(b"0" * 8, b"%08x" % n, 1), n)
    return fd


def serve(c, body, size):
    with c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = c.recv(65536)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            n = min(int(head.split()[1].lstrip(b"/")) << 20, size)
            close = b"connection: close" in head.lower()
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/"
                      b"octet-stream\r\nContent-Length: %d\r\n\r\n" % n)
            at = 0
            while at < n:
                at += os.sendfile(c.fileno(), body, at, n - at)
            if close:
                return


def guarded(c, body, size):
    try:
        serve(c, body, size)
    except (OSError, ValueError, IndexError):
        pass                            # the client closed, or erred


def main():
    size = int(sys.argv[1]) << 20
    body = make_body(size)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as s:
        print(s.getsockname()[1], flush=True)
        while True:
            c, _ = s.accept()
            threading.Thread(target=guarded, args=(c, body, size),
                             daemon=True).start()


main()
