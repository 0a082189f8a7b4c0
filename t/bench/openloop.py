#!/usr/bin/python3
"""openloop.py - requests at fixed times, whether or not others are answered

usage: openloop.py PORT NAME EVENT RATE

For each line, {"samples": N}, it makes N requests of one function, RATE a
second, and answers {"us": [...], "failed": N, "why": {...}}: microseconds from
the time when a request was due, so that a delay counts for the requests behind
it, too.  One that fails or takes too long counts as the longest possible time.
"bodies" are the different answers that came.

Each request is due at a random time within its interval: at regular times it
could keep meeting something else that is periodic.  The process asks for a
real-time priority, so that its own wait for a processor is not measured; the
first line that it prints says whether it has one.
"""

import collections
import gc
import json
import os
import random
import select
import socket
import sys
import time

LONGEST = 10.0                          # seconds


class Connection:
    def __init__(self, port):
        self.s = socket.socket()
        self.s.setblocking(False)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s.connect_ex(("127.0.0.1", port))
        self.to_send = b""
        self.data = b""
        self.due = 0.0
        self.busy = False

    def answer(self):
        """(status, body) when the answer is complete, or None."""
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found:
            return None
        lower = head.lower()
        _, found, rest = lower.partition(b"\r\ncontent-length:")
        length = int(rest.partition(b"\r\n")[0]) if found else 0
        if len(body) < length:
            return None
        return int(head.split(b" ", 2)[1]), body


class Caller:
    def __init__(self, port, name, event, rate):
        self.port = port
        self.period = 1 / rate
        self.request = (
            f"POST /function/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: application/json\r\nContent-Length: "
            f"{len(event)}\r\n\r\n{event}").encode()
        self.poll = select.epoll()
        self.all = {}                   # connections by descriptor
        self.free = []

    def start(self, due):
        c = self.free.pop() if self.free else None
        if c is None:
            c = Connection(self.port)
            self.all[c.s.fileno()] = c
            self.poll.register(c.s.fileno(), select.EPOLLIN)
        c.due, c.data, c.to_send, c.busy = due, b"", self.request, True
        self.send(c)

    def send(self, c):
        try:
            c.to_send = c.to_send[c.s.send(c.to_send):]
        except BlockingIOError:
            pass
        except OSError:
            # not connected yet, or any more: reading will tell
            pass
        self.poll.modify(c.s.fileno(), select.EPOLLIN | (
            select.EPOLLOUT if c.to_send else 0))

    def drop(self, c):
        self.poll.unregister(c.s.fileno())
        del self.all[c.s.fileno()]
        c.s.close()

    def end(self, c, why=None):
        self.us.append((time.perf_counter() - c.due if why is None else
                        LONGEST) * 1e6)
        if why is not None:
            self.why[why] = self.why.get(why, 0) + 1
            self.drop(c)
        else:
            c.busy = False
            self.free.append(c)

    def receive(self, c):
        try:
            part = c.s.recv(262144)
        except BlockingIOError:
            return
        except OSError as e:
            part, c.data = b"", str(e).encode()
        if not c.busy:
            self.free.remove(c)         # the server closed an idle one
            self.drop(c)
            return
        if not part:
            self.end(c, f"closed {c.data[:60].decode('latin-1')}")
            return
        c.data += part
        got = c.answer()
        if got is None:
            return
        status, body = got
        if status == 200:
            self.bodies.add(body.decode())
        self.end(c, None if status == 200 else f"status {status}")

    def ready(self, until):
        left = max(0.0, until - time.perf_counter())
        for fd, event in self.poll.poll(left):
            c = self.all.get(fd)
            if c and event & select.EPOLLOUT and c.to_send:
                self.send(c)
            if c and event & ~select.EPOLLOUT:
                self.receive(c)

    def run(self, samples):
        self.us, self.why, self.bodies = [], {}, set()
        begin = time.perf_counter() + self.period
        due = collections.deque(
            begin + (i + random.random()) * self.period
            for i in range(samples))
        while len(self.us) < samples:
            now = time.perf_counter()
            while due and due[0] <= now:
                self.start(due.popleft())
            for c in [c for c in self.all.values()
                      if c.busy and now - c.due > LONGEST]:
                self.end(c, "no answer")
            self.ready(min(due[0] if due else now + 0.1, now + 0.1))
        return {"us": self.us, "failed": sum(self.why.values()),
                "why": self.why, "bodies": sorted(self.bodies)}


def real_time():
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return False
    return True


def main():
    port, name, event, rate = sys.argv[1:]
    caller = Caller(int(port), name, event, float(rate))
    print(json.dumps({"real_time": real_time()}), flush=True)
    gc.disable()
    for line in sys.stdin:
        print(json.dumps(caller.run(json.loads(line)["samples"])), flush=True)
        gc.collect()


main()
