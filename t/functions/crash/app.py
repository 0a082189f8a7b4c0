"""crash - ends in every bad way that has a report.

Event: {"do": NAME, ...}; {"do": "nothing"} answers {"fine": true}.

The libOS shares this address space, so its data can be overwritten.  Where
they lie is found by what they hold, not by symbols.
"""

import ctypes
import mmap
import os
import signal
import sys
import threading
import time

import usetl

LIBOS = 0x70200000          # unikernel/abi.h: uk_header
WILD = 0x1000               # nothing is mapped there
KSTACK = 0x4000
CANARY = 0x5045454b5f53554b
SAME_FD = range(200, 264)


def word(address):
    return ctypes.c_uint64.from_address(address)


def do_nothing(event):
    return {"fine": True}


# the program's own signals


def do_null(event):
    ctypes.string_at(8)


def do_no_layer(event):
    """Read where a layer of the image could lie, but none does."""
    ctypes.string_at(0xa00000000)


def runs(ident, name):
    """Whether that thread is in a function of that name."""
    frame = sys._current_frames()[ident]
    while frame and frame.f_code.co_name != name:
        frame = frame.f_back
    return frame is not None


def do_in_thread(event):
    """A crash in one thread while another waits for it."""
    main = threading.get_ident()

    def crash():
        while not runs(main, "join"):
            time.sleep(0.01)
        ctypes.string_at(8)

    thread = threading.Thread(target=crash)
    thread.start()
    wait_for_thread(thread)


def wait_for_thread(thread):
    thread.join()


def do_abort(event):
    os.abort()


def do_kill(event):
    os.kill(os.getpid(), signal.SIGKILL)


def do_machine_code(event):
    return run(bytes.fromhex(event["code"]))


def run(code):
    """Run machine code."""
    m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE |
                  mmap.PROT_EXEC)
    m.write(code + b"\xc3")
    at = ctypes.addressof(ctypes.c_char.from_buffer(m))
    return ctypes.CFUNCTYPE(ctypes.c_long)(at)()


def do_garbage(event):
    """Anything at all to the report, then the end."""
    fd = os.open("/dev/usetl/report", os.O_WRONLY)
    os.write(fd, b"\x1b[31mred \xff\x00\x9b\n" + bytes(range(256)) + b"\n")
    for _ in range(100):
        os.write(fd, b"x" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)


def do_leave(event):
    """Something in the report of an invocation that ends well."""
    fd = os.open("/dev/usetl/report", os.O_WRONLY)
    os.write(fd, b"left over\n")
    return {"fine": True}


def do_no_descriptors(event):
    """The report's descriptor is closed, too."""
    os.closerange(3, 1024)
    ctypes.string_at(8)


# the libOS's


def files():
    """The address of the libOS's table of open files, from SAME_FD on."""
    fd = os.open(__file__, os.O_RDONLY)
    for other in SAME_FD:
        os.dup2(fd, other)
    at = word(LIBOS + 56).value & ~7
    run_of = 0
    while run_of < len(SAME_FD):
        same = word(at).value and word(at).value == word(at - 8).value
        run_of = run_of + 1 if same else 1
        at += 8
    return at - 8 * len(SAME_FD)


def do_libos_data(event):
    """A pointer in the table of open files is bad: read() crashes."""
    word(files()).value = WILD
    read_it(SAME_FD[0])


def read_it(fd):
    os.read(fd, 1)


def do_libos_jump(event):
    """So are the functions of an open file: read() jumps astray."""
    file = word(files()).value
    wild = (ctypes.c_uint64 * 64)(*[WILD] * 64)
    for at in range(file, file + 64, 8):
        if LIBOS <= word(at).value < LIBOS + 0x600000:
            word(at).value = ctypes.addressof(wild)
    read_it(SAME_FD[0])


def do_libos_assert(event):
    """The end of this thread's libOS stack is overwritten."""
    at = word(LIBOS + 56).value & ~7
    while True:
        top = word(at).value
        if top % 4096 == 0 and KSTACK <= top - 0x200000000 < 64 << 20 \
                and word(top - KSTACK).value == CANARY:
            break
        at += 8
    threading.Thread(target=time.sleep, args=(0.01,)).start()
    word(top - KSTACK).value = 0
    time.sleep(1)


def do_libos_handler_crashes(event):
    """The signal's handler crashes as well."""
    ctypes.CDLL(None).signal(signal.SIGSEGV, ctypes.c_void_p(WILD))
    do_libos_data(event)


def do_libos_handler_loops(event):
    """The signal's handler never ends."""
    m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE |
                  mmap.PROT_EXEC)
    m.write(b"\xeb\xfe")
    at = ctypes.addressof(ctypes.c_char.from_buffer(m))
    ctypes.CDLL(None).signal(signal.SIGSEGV, ctypes.c_void_p(at))
    do_libos_data(event)


def do_libos_handler_calls(event):
    """The signal's handler makes system calls of all sorts, then returns."""
    def handler(signo):
        libc.open(b"/tmp/made", os.O_CREAT | os.O_WRONLY, 0o600)
        libc.fork()
        libc.usleep(1000)

    libc = ctypes.CDLL(None)
    kept = ctypes.CFUNCTYPE(None, ctypes.c_int)(handler)
    libc.signal(signal.SIGSEGV, kept)
    do_libos_data(event)


# the time limit


def do_loop(event):
    while True:
        pass


def do_loop_in_c(event):
    return sum(pow(3, 10 ** 7) for _ in range(10 ** 6))


def do_loop_of_calls(event):
    while True:
        os.getppid()


def do_sleep(event):
    time.sleep(3600)


def do_threads(event):
    """All threads wait, in several ways."""
    lock = threading.Lock()
    lock.acquire()
    thread = threading.Thread(target=lock.acquire, daemon=True)
    thread.start()
    threading.Thread(target=do_sleep, args=(event,), daemon=True).start()
    wait_for_thread(thread)


def do_main_is_gone(event):
    """The main thread has ended, one waits: whose stack is there to use?"""
    threading.Thread(target=do_sleep, args=(event,), daemon=True).start()
    time.sleep(0.05)
    ctypes.CDLL(None).pthread_exit(None)


def do_fetch(event):
    return usetl.get(event["url"]).status


def do_blocked(event):
    """All signals are blocked: the report does not ask for leave."""
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    do_loop(event)


def do_ignored(event):
    """The signal that asks is ignored."""
    signal.signal(64, signal.SIG_IGN)
    do_loop(event)


def do_deaf(event):
    """The signal's handler never ends."""
    m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE |
                  mmap.PROT_EXEC)
    m.write(b"\xeb\xfe")
    at = ctypes.addressof(ctypes.c_char.from_buffer(m))
    ctypes.CDLL(None).signal(64, ctypes.c_void_p(at))
    do_loop(event)


def handler(event, context):
    return globals()["do_" + event["do"]](event)
