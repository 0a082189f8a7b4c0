"""atfork - what runs between a clone's fork and its request.

ATFORK in the environment says what its handlers do wrong.
"""

import concurrent.futures
import ctypes
import mmap
import multiprocessing
import os
import random
import subprocess
import threading
import time

import usetl

do = os.environ.get("ATFORK", "")
count = {"before": 0, "parent": 0, "child": 0, "prepared": 0, "c": 0}
warm = {"pid": os.getpid(), "random": random.random()}


def counted(name):
    count[name] += 1


os.register_at_fork(before=lambda: counted("before"),
                    after_in_parent=lambda: counted("parent"),
                    after_in_child=lambda: counted("child"))

# pthread_atfork() of C is in no shared library, what it calls is
callback = ctypes.CFUNCTYPE(None)
handlers = (callback(lambda: counted("prepared")),
            callback(lambda: counted("parent")),
            callback(lambda: counted("c")))
getattr(ctypes.CDLL(None), "__register_atfork")(*handlers, None)


def runs_on():
    """Tells its tender by hand that it waits for its event, and does not.
    Where the stub's page is: vmm/tender/process.h; DB_EVENT is 9."""
    page, doorbell = 0x70116000, 2
    for at, value in ((8 + 16, 9), (8 + 24, 0), (8 + 32, 0), (8 + 40, 0)):
        ctypes.c_uint64.from_address(page + at).value = value
    ctypes.c_uint32.from_address(page + 4).value = doorbell
    ctypes.c_uint32.from_address(page).value = 1
    while True:
        pass


page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
page.madvise(getattr(mmap, "MADV_WIPEONFORK", 18))
page[:] = b"w" * 4096


def refused(f):
    try:
        f()
    except OSError as e:
        return e.errno
    return None


def start(method):
    p = multiprocessing.get_context(method).Process(target=print)
    p.start()


def processes():
    return {
        "fork": refused(os.fork),
        "subprocess": refused(lambda: subprocess.run(["true"])),
        "multiprocessing, fork": refused(lambda: start("fork")),
        "multiprocessing, spawn": refused(lambda: start("spawn")),
    }


def raises():
    raise ValueError("on purpose")


def fetches():
    usetl.get("http://127.0.0.1:9/")


def crashes():
    ctypes.string_at(8)


def spins():
    while True:
        pass


region = []


def looks():
    """At where events are, in front of its request: unikernel/abi.h."""
    region.append(ctypes.string_at(0xc00002000, 64).decode())
    time.sleep(0.2)


beats = [0]


def sleeper():
    while True:
        time.sleep(0.01)
        beats[0] += 1


if do == "raise":
    os.register_at_fork(before=raises, after_in_child=raises)
elif do == "fork":
    warm["processes"] = processes()
elif do == "fetch":
    os.register_at_fork(after_in_child=fetches)
elif do == "print":
    os.register_at_fork(after_in_child=lambda: print(
        "in the child", os.getpid()))
elif do == "hang":
    os.register_at_fork(after_in_child=lambda: time.sleep(3600))
elif do == "slow":
    os.register_at_fork(after_in_child=looks)
elif do == "spin":
    os.register_at_fork(after_in_child=spins)
elif do == "runon":
    os.register_at_fork(after_in_child=runs_on)
elif do == "exit":
    os.register_at_fork(after_in_child=lambda: os._exit(3))
elif do == "crash":
    os.register_at_fork(after_in_child=crashes)
elif do == "threads":
    threading.Thread(target=sleeper, daemon=True).start()
    pool = concurrent.futures.ThreadPoolExecutor(2)
    warm["pool"] = list(pool.map(lambda x: x * x, range(20)))


def handler(event, context):
    out = {"warm": warm, "pid": os.getpid(), "count": dict(count),
           "tid": threading.get_native_id(),
           "main": threading.current_thread() is threading.main_thread(),
           "wiped": not any(page[:]), "random": random.random(),
           "region": region}
    page[:] = b"r" * 4096
    time.sleep(event.get("sleep", 0))
    if event.get("processes"):
        out["processes"] = processes()
    if do == "threads":
        was = beats[0]
        while beats[0] < was + 3:
            time.sleep(0.01)
        out["pool"] = list(pool.map(lambda x: x * x, range(20)))
        out["alive"] = threading.active_count()
        out["tids"] = sorted(t.native_id for t in threading.enumerate())
    return out
