"""loud - what a function can do to its neighbours, for about a second.

Event: {"do": NAME, ...}.  The bench compiles flood.c to flood.so beside this
file.
"""

import ctypes
import os
import threading
import time

import usetl

SECONDS = 1.0
BLOCK = b"x" * (1 << 20)
LINES = (b"x" * 99 + b"\n") * 160


def do_spin(event):
    while True:
        pass


def do_memory(event):
    """All the memory there is, each page of it written."""
    hog = []
    try:
        while True:
            hog.append(bytearray(BLOCK))
    except MemoryError:
        n = len(hog)
        hog.clear()
        return {"did": n}


def do_log(event):
    end, n = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        n += os.write(1, LINES)
    return {"did": n}


def do_files(event):
    """All the files that there is room for."""
    n = 0
    try:
        with open("/tmp/fill", "wb", buffering=0) as f:
            while True:
                n += f.write(BLOCK)
    except OSError:
        return {"did": n}


def do_fetches(event):
    """As many fetches as a clone may have, of which none comes to an end."""
    ended = []

    def get():
        try:
            usetl.get(event["url"], timeout=SECONDS)
        except usetl.Timeout:
            ended.append(1)

    threading.stack_size(64 << 10)
    threads = [threading.Thread(target=get) for _ in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return {"did": len(ended)}


def do_crash(event):
    ctypes.string_at(8)


def do_threads(event):
    """Threads that wake up and sleep."""
    end = time.monotonic() + SECONDS

    def work():
        while time.monotonic() < end:
            time.sleep(0.001)

    threading.stack_size(64 << 10)
    threads = []
    for _ in range(1000):
        threads.append(threading.Thread(target=work))
        threads[-1].start()
    for t in threads:
        t.join()
    return {"did": len(threads)}


def do_doorbells(event):
    """FETCH and CANCEL, as fast as machine code can ring them."""
    lib = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "flood.so"))
    lib.flood.restype = ctypes.c_long
    return {"did": lib.flood(event["url"].encode(),
                             ctypes.c_double(SECONDS))}


def do_results(event):
    return "x" * ((6 << 20) - 2)


def handler(event, context=None):
    return globals()["do_" + event["do"]](event)
