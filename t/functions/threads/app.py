"""threads - the interpreter's lock changes hands though nobody gives it up."""

import threading
import time

SPINNERS = 5


def spin(stop, counts, i):
    while not stop.is_set():
        counts[i] += 1


def handler(event, context):
    """One thread computes and never waits, one sleeps, and the handler
    waits: each gets its turn.  Then five compute, side by side.

    The sleeper waits until the other has counted on, however long that
    takes: who shares a processor with others may sleep for longer than
    a turn.  A lock that does not change hands ends at the deadline."""
    stop, counts, woke = threading.Event(), [0] * SPINNERS, []

    def sleeper():
        for _ in range(5):
            seen = counts[0]
            time.sleep(0.005)
            while counts[0] == seen:
                time.sleep(0.005)
            woke.append(counts[0])

    a = threading.Thread(target=spin, args=(stop, counts, 0))
    b = threading.Thread(target=sleeper)
    a.start()
    b.start()
    b.join()
    others = [threading.Thread(target=spin, args=(stop, counts, i))
              for i in range(1, SPINNERS)]
    for c in others:
        c.start()
    while 0 in counts:
        time.sleep(0.005)
    stop.set()
    for c in [a] + others:
        c.join()
    lock = threading.Lock()
    lock.acquire()
    return {
        "woke": len(woke),
        "spun_between": all(x < y for x, y in zip(woke, woke[1:])),
        "all_spun": all(counts),
        "lock_timed_out": not lock.acquire(timeout=0.01),
        "left": threading.active_count(),
    }
