"""rewrite - write to many pages that the function had when it was ready.

The time is the function's own.  "before" is how often the pages had been
written since then, so it tells whether they were brought back.
"""

import time

PAGE = 4096
PAGES = 1000
HELD = bytearray(b"\1") * (PAGES * PAGE)
HELD[::PAGE] = bytes(PAGES)


def handler(event, context=None):
    before = HELD[0]
    now = bytes([(before + 1) & 0xff]) * PAGES
    start = time.perf_counter()
    HELD[::PAGE] = now
    return {"us": (time.perf_counter() - start) * 1e6, "before": before}
