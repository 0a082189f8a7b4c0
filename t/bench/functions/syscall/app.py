"""syscall - what one system call costs, by the function's own clock.

Event: {"calls": N}.  getppid(2) has next to nothing to do and no vDSO, so
what is left, once an empty call from Python is taken off, is the way into
the libOS and back.  The result's "check" is the same wherever it ran.
"""

import gc
import os
import time


def seconds(call, calls):
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


def handler(event, context=None):
    calls = event["calls"]
    took = seconds(os.getppid, calls) - seconds(gc.isenabled, calls)
    return {"us": took / calls * 1e6, "check": calls}
