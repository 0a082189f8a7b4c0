#!/usr/bin/python3
"""stall.py - an HTTP server that begins each answer and never ends it

Prints its port.  On each connection it sends a head that announces a megabyte,
and then nothing, until the peer closes it.
"""

import selectors
import socket

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"


def main():
    ready = selectors.DefaultSelector()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as s:
        s.setblocking(False)
        ready.register(s, selectors.EVENT_READ)
        print(s.getsockname()[1], flush=True)
        while True:
            for key, _ in ready.select():
                if key.fileobj is s:
                    accept(s, ready)
                else:
                    answer(key.fileobj, ready)


def accept(s, ready):
    try:
        c, _ = s.accept()
    except OSError:
        return                          # the peer closed it
    c.setblocking(False)
    ready.register(c, selectors.EVENT_READ)


def answer(c, ready):
    try:
        data = c.recv(65536)
        if data:
            c.send(HEAD)
            return
    except BlockingIOError:
        return
    except OSError:
        pass
    ready.unregister(c)
    c.close()


main()
