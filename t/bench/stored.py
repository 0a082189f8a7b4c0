"""stored.py - from what is on disk: an invocation from a snapshot, a rebake

The page cache has all files, and the store has what an earlier run put there.
"""

import functools
import os
import time

import ways
from measure import Missing
from peers import need_module
from rows import TENDERS, compare
from subject import bake, edit, json_function
from table import Row

# what is asked of the ratio to a new python3, by function and tender
GOALS = {"json": {"kvm": "<= 0.8x", "process": "<= 0.5x"},
         "pandas": {"kvm": "<= 0.1x", "process": "<= 0.1x"}}
FRESH = "fresh python3 -S -E, same imports"


@functools.cache
def pandas(bench):
    need_module("pandas", "python3-pandas")
    s = bake(bench, "frame", {"rows": 50})
    sums = [sum(range(i, 50, 7)) for i in range(7)]
    s.expected = {"sums": sums}
    return s


def store_of(bench):
    return os.path.join(bench.tool.tmp, "stored")


def invocations(bench, name, s):
    store = store_of(bench)
    time.sleep(3)                       # an image that is new is not trusted
    for tender in TENDERS:
        try:                            # the first makes the runtime's
            for _ in range(3):
                ways.boot(s, tender, store)
        except Missing:
            pass                        # its row will say so
    m = bench.interleave({
        "fresh": lambda: [s.fresh() for _ in range(3)],
        **{tender: functools.partial(ways.boot, s, tender, store)
           for tender in TENDERS},
        **{tender + "boot": functools.partial(ways.boot, s, tender)
           for tender in TENDERS}}, 20, f"snapshots on disk, {name}")
    return [row for tender in TENDERS for row in (
        compare(f"usetl invoke, snapshot on disk, {name}, {tender}", m,
                tender, "ms", "fresh", FRESH, GOALS[name][tender],
                "from exec to exit" if tender == TENDERS[0] else ""),
        compare(f"usetl invoke, snapshot on disk, {name}, {tender}", m,
                tender, "ms", tender + "boot", "the same without a store"))]


def rebake(bench, s):
    """After a line of the function's own code was changed, behind what it
    imports: a trial boot begins with what the image before imported."""
    store, n = store_of(bench), 0
    path = os.path.join(s.folder, "app.py")
    edit(path, "import pandas\n", "import pandas\n\nNUMBER = 0\n")

    def again(image, *options):
        nonlocal n
        edit(path, f"NUMBER = {n}\n", f"NUMBER = {n + 1}\n")
        n += 1
        start = time.perf_counter()
        s.tool.run("bake", "--store", store, *options, "-o",
                   f"{s.folder}.{image}", s.folder)
        return time.perf_counter() - start

    # an image that was not booted says nothing of what it imports
    bakes = {"all": functools.partial(again, "all"),
             "unchecked": functools.partial(again, "unchecked", "--no-check")}
    for _ in range(3):
        for one in bakes.values():
            one()
        time.sleep(3)                   # what just changed is not kept
    m = bench.interleave(bakes, 8, "bake again")
    return Row("usetl bake again, one line changed, pandas", m["all"], "s",
               m["unchecked"], "the same without its trial boot", "<= 0.5 s")


def group(bench):
    rows = invocations(bench, "json", json_function(bench))
    try:
        s = pandas(bench)
    except Missing as e:
        return [*rows, Row("pandas from what is on disk", None, "",
                           peer_name=str(e))]
    return [*rows, *invocations(bench, "pandas", s), rebake(bench, s)]
