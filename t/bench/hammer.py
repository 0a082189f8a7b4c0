#!/usr/bin/python3
"""hammer.py - callers that send the next request as soon as one is answered

usage: hammer.py PORT NAME EVENT CONNECTIONS

The line "start" begins, and is answered by {} after the first answer, or after
some seconds without one; "stop" ends, and is answered by the number of answers
of each status: {"200": N, "closed": M}.  "last" is the last short body of
status 200.
"""

import collections
import json
import socket
import sys
import threading


class Hammer:
    def __init__(self, port, name, event, connections):
        self.port = port
        self.request = (
            f"POST /function/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: application/json\r\nContent-Length: "
            f"{len(event)}\r\n\r\n{event}").encode()
        self.connections = connections
        self.threads = []

    def ask(self, c, buf):
        """The status of one answer; a short body is kept in self.last."""
        c.sendall(self.request)
        n = 0
        while (end := buf.find(b"\r\n\r\n", 0, n)) < 0:
            got = c.recv_into(memoryview(buf)[n:])
            if not got:
                raise ConnectionError
            n += got
        head = bytes(buf[:end]).lower()
        _, found, rest = head.partition(b"\r\ncontent-length:")
        length = int(rest.partition(b"\r\n")[0]) if found else 0
        left = end + 4 + length - n
        if left <= 0 and length < 1000 and b" 200 " in head:
            self.last = bytes(buf[end + 4:end + 4 + length])
        while left > 0:
            got = c.recv_into(buf, min(left, len(buf)))
            if not got:
                raise ConnectionError
            left -= got
        if b"\r\nconnection: close" in head:
            c.close()
        return head.split(b" ", 2)[1].decode()

    def call(self):
        c, buf = None, bytearray(1 << 18)
        while not self.stopping.is_set():
            try:
                if c is None or c.fileno() < 0:
                    c = socket.create_connection(("127.0.0.1", self.port))
                    self.sockets.add(c)
                status = self.ask(c, buf)
            except OSError:
                status = "closed"
                if c is not None:
                    c.close()
            if self.stopping.is_set():
                break
            with self.lock:
                self.seen[status] += 1
            self.first.set()
        if c is not None:
            c.close()

    def start(self):
        self.stopping, self.first = threading.Event(), threading.Event()
        self.lock, self.seen = threading.Lock(), collections.Counter()
        self.sockets, self.last = set(), b""
        self.threads = [threading.Thread(target=self.call, daemon=True)
                        for _ in range(self.connections)]
        for t in self.threads:
            t.start()
        self.first.wait(3)
        return {}

    def stop(self):
        self.stopping.set()
        for c in self.sockets:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for t in self.threads:
            t.join()
        return dict(self.seen, last=self.last.decode("latin-1"))


def main():
    port, name, event, connections = sys.argv[1:]
    h = Hammer(int(port), name, event, int(connections))
    for line in sys.stdin:
        does = h.start if line.strip() == "start" else h.stop
        print(json.dumps(does()), flush=True)


main()
