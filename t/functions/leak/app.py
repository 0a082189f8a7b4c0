"""leak - tries to leave something behind, by every road there is.

Event: {"mark": 32 hexadecimal digits, "leave": bool, "before": marks of
earlier invocations}.  "seen" in the result names the roads on which
something was found that an earlier invocation left: with recycle = rollback
or fork there is none.  "control" says, after leaving, that the search of the
whole memory does find this invocation's own mark.

Each road is a generator: it yields whether something of before is there, and
when asked to go on leaves something.
"""

import asyncio
import atexit
import builtins
import codecs
import ctypes
import decimal
import gc
import locale
import mmap
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import warnings

IN_GUEST = os.path.exists("/dev/usetl")
TMP = "/tmp" if IN_GUEST else os.environ.get("TMPDIR", "/tmp")
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes = [ctypes.c_size_t]
LIBC.free.argtypes = [ctypes.c_void_p]
# unikernel/abi.h: the windows that the program can write, and may read
ARENAS = ((0x000200000, 0x070000000), (0x090000000, 0x090800000),
          (0x100000000, 0x200000000), (0x200000000, 0x500000000),
          (0x500000000, 0x800000000), (0xc00000000, 0xc00400000))
PAGES = ((0x70108000, 0x1000), (0x7010c000, 0x4000))
SPAN = 0x200000
HIGH_FD = 60

random.seed(1234)
FROZEN = random.getstate()
roads = {}
state = {}
default = []


def road(f):
    roads[f.__name__] = f
    return f


def machine_code(code, result=ctypes.c_uint64):
    """A C function of one uint64 argument, from machine code."""
    m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE |
                  mmap.PROT_EXEC)
    m.write(bytes.fromhex(code))
    f = ctypes.CFUNCTYPE(result, ctypes.c_uint64)(
        ctypes.addressof(ctypes.c_char.from_buffer(m)))
    f.keep = m
    return f


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


# in the interpreter


@road
def module_global(mark):
    yield "LEFT" in globals()
    globals()["LEFT"] = mark


@road
def mutable_object(mark):
    yield bool(state or default)
    state["mark"] = mark
    default.append(mark)


@road
def builtin_name(mark):
    yield hasattr(builtins, "left_behind")
    builtins.left_behind = mark


@road
def new_module(mark):
    yield "left_behind" in sys.modules or "colorsys" in sys.modules
    import colorsys
    sys.modules["left_behind"] = colorsys
    sys.path.append("/left")


@road
def patched_function(mark):
    yield time.sleep is not real_sleep or roads is not real_roads
    time.sleep = print
    globals()["roads"] = dict(roads)


@road
def environment(mark):
    yield "LEFT" in os.environ or LIBC.getenv(b"LEFT2") != 0
    os.environ["LEFT"] = mark
    LIBC.setenv(b"LEFT2", b"1", 1)


@road
def random_state(mark):
    # reseeded before each invocation: neither as frozen nor as left
    yield random.getstate() == FROZEN or random.getstate()[1][:3] == (7, 7, 7)
    random.setstate((3, (7,) * 624 + (624,), None))


@road
def interpreter_settings(mark):
    yield (sys.getrecursionlimit() == 777 or gc.get_threshold()[0] == 7 or
           sys.getswitchinterval() < 0.002 or
           decimal.getcontext().prec == 7 or
           any(f[0] == "ignore" and f[2] is KeyError
               for f in warnings.filters))
    sys.setrecursionlimit(777)
    gc.set_threshold(7)
    sys.setswitchinterval(0.001)
    decimal.getcontext().prec = 7
    warnings.filters.insert(0, ("ignore", None, KeyError, None, 0))


@road
def registered(mark):
    try:
        codecs.lookup("left_behind")
        seen = True
    except LookupError:
        seen = False
    yield seen or atexit._ncallbacks() > callbacks
    codecs.register(lambda name: codecs.lookup("utf-8")
                    if name == "left_behind" else None)
    atexit.register(print)


@road
def cyclic_garbage(mark):
    yield any(type(o).__name__ == "LeftBehind" for o in gc.get_objects())
    cls = type("LeftBehind", (), {})
    a, b = cls(), cls()
    a.b, b.a = b, a
    state["object"] = a


@road
def event_loop(mark):
    yield asyncio._get_running_loop() is not None or bool(loops)
    loops.append(asyncio.new_event_loop())


@road
def thread_local(mark):
    yield hasattr(local, "mark")
    local.mark = mark


# in the process


@road
def working_directory(mark):
    yield os.getcwd() != start_cwd
    os.chdir("/usetl" if IN_GUEST else "/usr")


@road
def file_mask(mark):
    old = os.umask(0o077)
    os.umask(old)
    yield old == 0o077
    os.umask(0o077)


@road
def threads(mark):
    yield threading.active_count() > 1
    threading.Thread(target=threading.Event().wait, daemon=True).start()


@road
def signal_handler(mark):
    yield (signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL or
           signal.getitimer(signal.ITIMER_REAL)[0] != 0)
    signal.signal(signal.SIGUSR1, lambda *a: None)
    signal.signal(signal.SIGALRM, lambda *a: state.update(alarm=1))
    signal.setitimer(signal.ITIMER_REAL, 1000)


@road
def signal_mask(mark):
    yield signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)


@road
def limits(mark):
    yield resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 77
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (77, hard))


@road
def thread_name(mark):
    name = ctypes.create_string_buffer(16)
    LIBC.prctl(16, name, 0, 0, 0)
    yield name.value == b"left"
    LIBC.prctl(15, b"left", 0, 0, 0)


@road
def c_locale(mark):
    yield locale.setlocale(locale.LC_NUMERIC) != start_locale
    locale.setlocale(locale.LC_NUMERIC,
                     "C" if start_locale != "C" else "C.UTF-8")


# in files


@road
def temporary_file(mark):
    yield os.path.exists(TMP + "/left")
    with open(TMP + "/left", "w") as f:
        f.write(mark)


@road
def own_source(mark):
    """Change a file of the image; a copy stands in for it elsewhere."""
    path = __file__ if IN_GUEST else TMP + "/left-source.py"
    text = ""
    if os.path.exists(path):
        with open(path) as f:
            text = f.read()
    yield "\n# left " in text
    with open(path, "a") as f:
        f.write("\n# left " + mark + "\n")


@road
def removed_file(mark):
    yield not os.path.exists(removable)
    if os.path.exists(removable):
        os.unlink(removable)


@road
def open_descriptor(mark):
    yield is_open(HIGH_FD)
    fd = os.open("/tmp", os.O_RDONLY)
    os.dup2(fd, HIGH_FD)


@road
def descriptor_offset(mark):
    yield os.lseek(shared_fd, 0, os.SEEK_CUR) != 0 or \
        os.pread(shared_fd, 4, 0) != b"base"
    os.write(shared_fd, b"left")


@road
def closed_descriptor(mark):
    st = os.fstat(1) if is_open(1) else None
    yield st is None or (st.st_dev, st.st_ino) != stdout_is
    os.close(1)
    sys.stdout = None


@road
def freed_blocks(mark):
    """What a file was in its unlinked life does not shine through."""
    with tempfile.TemporaryFile() as f:
        f.truncate(1 << 20)
        text = f.read()
    yield text.strip(b"\0") != b""
    with tempfile.TemporaryFile() as f:
        f.write(mark.encode() * 1000)


# in the processor


@road
def vector_register(mark):
    """ymm15: too wide and too far down for anybody else."""
    if not has_avx:
        yield False
        return
    # vextracti128 xmm0, ymm15, 1; vmovq rax, xmm0; ret
    value = machine_code("c4637d39f801c4e1f97ec0c3")(0)
    yield value == 0x5ec2e75ec2e75ec2
    # vmovq xmm15, rdi; vinserti128 ymm15, ymm15, xmm15, 1; ret
    machine_code("c461f96effc4430538ff01c3")(0x5ec2e75ec2e75ec2)


@road
def rounding_mode(mark):
    # sub rsp, 8; stmxcsr [rsp]; mov eax, [rsp]; add rsp, 8; ret
    get = machine_code("4883ec080fae1c248b04244883c408c3")
    # push rdi; ldmxcsr [rsp]; pop rdi; ret
    put = machine_code("570fae14245fc3")
    yield get(0) & 0x6000 != 0
    put(0x7f80)


@road
def x87_control(mark):
    # sub rsp, 8; fnstcw [rsp]; movzx eax, word [rsp]; add rsp, 8; ret
    get = machine_code("4883ec08d93c240fb704244883c408c3")
    # push rdi; fldcw [rsp]; pop rdi; ret
    put = machine_code("57d92c245fc3")
    yield get(0) != 0x37f
    put(0x27f)


@road
def gs_base(mark):
    """Only in the guest is nobody else using it, and the instruction sure."""
    if not IN_GUEST:
        yield False
        return
    # rdgsbase rax; ret -- wrgsbase rdi; ret
    yield machine_code("f3480faec8c3")(0) == 0x123456789000
    machine_code("f3480faedfc3")(0x123456789000)


@road
def processor_flag(mark):
    """The ID flag, which means nothing and stays as it is put."""
    # pushfq; pop rax; ret
    yield machine_code("9c58c3")(0) & 0x200000 != 0
    # push rdi; popfq; ret
    machine_code("579dc3")(0x200202)


# in memory


@road
def free_heap(mark):
    p = LIBC.malloc(100000)
    yield b"LEFTLEFTLEFT" in ctypes.string_at(p, 100000)
    ctypes.memmove(p, b"LEFT" * 25000, 100000)
    LIBC.free(p)


@road
def fresh_mapping(mark):
    m = mmap.mmap(-1, 1 << 20)
    yield m[:].strip(b"\0") != b""
    m[:] = b"LEFT" * (1 << 18)
    m.close()


@road
def shared_pages(mark):
    """The pages through which guest and host talk."""
    if not IN_GUEST:
        yield False
        return
    yield any(b"LEFTPAGE" in ctypes.string_at(a, n) for a, n in PAGES)
    for a, n in PAGES:
        ctypes.memmove(a + n - 8, b"LEFTPAGE", 8)


@road
def spinning_thread(mark):
    """Last: from here on, every road would wait for this thread's turns."""
    yield "spin" in [t.name for t in threading.enumerate()]

    def spin():
        while True:
            time.monotonic()

    threading.Thread(target=spin, name="spin", daemon=True).start()


def backed(address):
    """Whether a write() from there is EFAULT."""
    return LIBC.write(probe_fd, ctypes.c_void_p(address),
                      ctypes.c_size_t(8)) == 8


def halves(mark):
    """Two halves of what a mark leaves, the second inverted: so that
    looking for it does not make it."""
    return bytes.fromhex(mark[:16]), bytes(
        int(mark[i:i + 2], 16) ^ 0xff for i in range(16, 32, 2))


def anywhere(mark):
    """Is what this mark left in any memory that can be read?"""
    first, inverted = halves(mark)
    for base, end in ARENAS:
        address = base
        while address < end and backed(address):
            block = (ctypes.c_char * SPAN).from_address(address)
            view = memoryview(block).cast("B")
            data = bytes(view)
            at = data.find(first)
            while at >= 0:
                tail = data[at + 8:at + 16]
                if len(tail) == 8 and \
                        all(x ^ y == 0xff for x, y in zip(tail, inverted)):
                    return True
                at = data.find(first, at + 1)
            address += SPAN
    return False


def spread(mark):
    """Leave a mark in Python's and in C's heap and in a file."""
    raw = bytes.fromhex(mark)
    state["raw"] = [raw * 100, bytearray(raw * 10)]
    p = LIBC.malloc(1 << 16)
    ctypes.memmove(p, raw * 100, 1600)
    with open(TMP + "/mark", "wb") as f:
        f.write(raw * 1000)


real_sleep, real_roads = time.sleep, roads
callbacks = atexit._ncallbacks()
loops = []
local = threading.local()
start_cwd = os.getcwd()
start_locale = locale.setlocale(locale.LC_NUMERIC)
# an unchanged file of the image, in the guest
removable = "/usetl/lib/usetl/__init__.py" if IN_GUEST else TMP + "/removable"
if not IN_GUEST:
    open(removable, "w").close()
stdout_is = (os.fstat(1).st_dev, os.fstat(1).st_ino)
shared_fd = os.open("/tmp", os.O_RDWR | os.O_TMPFILE)
os.write(shared_fd, b"base")
os.lseek(shared_fd, 0, os.SEEK_SET)
probe_fd = os.open("/tmp", os.O_RDWR | os.O_TMPFILE | os.O_APPEND)
try:
    with open("/proc/cpuinfo") as _f:
        has_avx = " avx2 " in _f.read().replace("\n", " ")
except OSError:
    has_avx = False


def handler(event, context):
    seen, tried = [], []
    if IN_GUEST:
        tried.append("anywhere")
        for mark in event.get("before", []):
            if anywhere(mark):
                seen.append("anywhere")
    # Look down every road before leaving anything: they cross.
    begun = [(name, make(event["mark"])) for name, make in roads.items()]
    for name, g in begun:
        tried.append(name)
        if next(g):
            seen.append(name)
    if event.get("leave"):
        for name, g in begun:
            next(g, None)
    result = {"seen": seen, "tried": len(tried)}
    if event.get("leave"):
        spread(event["mark"])
        if IN_GUEST:
            # that it can be found at all
            result["control"] = anywhere(event["mark"])
    return result
