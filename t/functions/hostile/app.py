"""hostile - everything that a function should not do.

Event: {"do": NAME, ...}; {"do": "nothing"} answers {"fine": true}.  What
each should come to stands in t/t0310-hostile-functions.sh.
"""

import ctypes
import mmap
import os
import signal
import sys
import threading
import time

PAGE = 4096


class NotJson:
    pass


def do_nothing(event):
    return {"fine": True}


# ends in an error of the handler


def do_raise(event):
    raise ValueError(event.get("text", "as asked"))


def do_chain(event):
    try:
        {}["missing"]
    except KeyError as e:
        raise RuntimeError("in the second place") from e


def do_document(event):
    """An error document of its own, in place of what was raised."""
    fd = os.open("/dev/usetl/error", os.O_WRONLY)
    os.write(fd, (event["text"] * event.get("times", 1)).encode())


def do_notjson(event):
    return {"what": NotJson()}


def do_nan(event):
    return [float("nan")]


def do_recursion(event):
    return do_recursion(event)


def do_memory(event):
    hog = []
    while True:
        hog.append(bytearray(1 << 20))


def do_small_memory(event):
    """Many small objects rather than a few large ones."""
    hog = None
    while True:
        hog = [hog, object()]


def do_memory_caught(event):
    hog = []
    try:
        while True:
            hog.append(bytearray(1 << 20))
    except MemoryError:
        n = len(hog)
    return {"megabytes": n}


def do_huge(event):
    return "x" * event["bytes"]


def do_fork(event):
    return os.fork()


def do_network(event):
    import socket
    return socket.create_connection(("127.0.0.1", event.get("port", 80)))


# ends the guest


def do_exit(event):
    os._exit(event.get("status", 3))


def do_sysexit(event):
    sys.exit(event.get("status", 4))


def do_abort(event):
    os.abort()


def do_kill(event):
    os.kill(os.getpid(), event.get("signal", signal.SIGKILL))


def do_segv(event):
    ctypes.string_at(event.get("address", 8))


def do_write(event):
    ctypes.memset(event["address"], 0x41, event.get("bytes", 8))


def do_cstack(event):
    """Recursion in C, as deep as the stack and deeper."""
    sys.setrecursionlimit(1 << 30)
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)

    def down(n):
        return again(n + 1)

    again = kind(down)
    return again(0)


def do_code(event):
    """Run machine code, given in hexadecimal, with up to six arguments."""
    code = bytes.fromhex(event["code"]) + b"\xc3"
    m = mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE |
                  mmap.PROT_EXEC)
    m.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(m))
    kind = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_ulong] * 6)
    arguments = (event.get("arguments", []) + [0] * 6)[:6]
    return kind(address)(*arguments)


def do_call(event):
    """Call an address as a C function."""
    kind = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_ulong] * 6)
    arguments = (event.get("arguments", []) + [0] * 6)[:6]
    return kind(event["address"])(*arguments)


def do_call_badly(event):
    """Call an address with many sets of bad arguments."""
    bad = [0, 1, 0xfff, 1 << 31, (1 << 47) - 1, 1 << 63, (1 << 64) - 1,
           0x70000000, 0x100000000, 0x4ffffff000, 0xc00000000]
    kind = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_ulong] * 4)
    call = kind(event["address"])
    tried = 0
    for number in event["numbers"]:
        for i, a in enumerate(bad):
            call(a, bad[(i * 7 + 3) % len(bad)],
                 bad[(i * 5 + 1) % len(bad)], number)
            tried += 1
    return {"tried": tried}


# takes too long, or too much


def do_loop(event):
    while True:
        pass


def do_cloop(event):
    """A loop in C that does not give the interpreter's lock away."""
    return sum(pow(3, 10 ** 7) for _ in range(10 ** 6))


def do_sleep(event):
    time.sleep(event.get("seconds", 3600))


def do_ignore(event):
    """Ignore every signal, and loop."""
    for n in range(1, 65):
        try:
            signal.signal(n, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    do_loop(event)


def do_threads(event):
    """Threads until there can be no more."""
    stop, n = threading.Event(), 0
    try:
        while n < event.get("most", 100000):
            threading.Thread(target=stop.wait, daemon=True).start()
            n += 1
    except (RuntimeError, MemoryError):
        pass
    stop.set()
    return {"threads": n}


def do_files(event):
    """Descriptors until there can be no more."""
    held = []
    try:
        while True:
            held.append(os.open("/tmp", os.O_RDONLY))
    except OSError as e:
        return {"descriptors": len(held), "errno": e.errno}


def do_log(event):
    """More to the log than it can hold."""
    line = "x" * 99 + "\n"
    for _ in range(event["bytes"] // 100):
        sys.stdout.write(line)
    return {"fine": True}


def do_garbage_log(event):
    os.write(2, bytes(range(256)) * 16)
    return {"fine": True}


def do_spinning_threads(event):
    """Returns while threads still run."""
    def spin():
        while True:
            pass

    for _ in range(event.get("threads", 2)):
        threading.Thread(target=spin, daemon=True).start()
    return {"fine": True}


def handler(event, context):
    return globals()["do_" + event["do"]](event)
