"""cpu - pure Python, about half a second of it; times itself.

Event: {"rounds": N}.  The result's "check" is the same wherever it ran.
"""

import time


def work(rounds):
    """Integers, strings, lists, dictionaries and calls, in equal parts."""
    seen = {}
    h = 1
    for i in range(rounds):
        h = (h * 1103515245 + i) & 0x7fffffff
        key = "k%d" % (h % 997)
        seen[key] = seen.get(key, 0) + len(key)
        row = [h >> s & 0xff for s in range(0, 24, 8)]
        row.sort()
        h ^= row[0] | row[-1] << 8
    return h ^ sum(seen.values())


def handler(event, context=None):
    start = time.perf_counter()
    check = work(event["rounds"])
    return {"seconds": time.perf_counter() - start, "check": check}
