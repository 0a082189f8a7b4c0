"""cow.py - HyperFork, figure 3: what copy-on-write costs who writes

A function writes to each of 1,000 pages that it had when it was ready: in a
new clone, whose pages were all shared; after a rollback, when they are its own
and what they had was copied back; and with recycle = keep, when nothing was
done to them.  Beside it a process does the same, and its child after a fork.
A new clone is given pages of its own where earlier clones wrote, so what
copy-on-write costs is a part of making it.
"""

import contextlib
import functools

from figure import Figure
from measure import Failed
from rows import TENDERS
from subject import bake

REPEATS = 30
RUNS = 4                                # of one clone; the last one counts
AGAIN = "process, no fork"

# how usetl recycles, what that is called, and what the last run must find
WAYS = (
    ("fork", "after a clone", 0),
    ("rollback", "after a rollback", 0),
    ("keep", "neither", RUNS - 1),
)


def usetl(bench, s, tender, recycle, before, kept):
    result, stats = bench.tool.invoke(s.image, s.event, RUNS, recycle,
                                      tender)
    if result["before"] != before:
        raise Failed(f"the function found {result['before']} writes, not "
                     f"{before}")
    kept.append(stats)
    return result["us"]


def process(peer, before):
    result = peer.ask("1")["result"]
    if result["before"] != before:
        raise Failed(f"{before} writes expected, not {result['before']}")
    return result["us"]


def figure3(bench):
    s = bake(bench, "rewrite", {})
    contestants, kept = {}, {}
    for recycle, name, before in WAYS:
        for tender in TENDERS:
            kept[recycle, tender] = []
            contestants[f"usetl, {tender}, {name}"] = functools.partial(
                usetl, bench, s, tender, recycle, before,
                kept[recycle, tender])
    with contextlib.ExitStack() as stack:
        forks, one = (s.zygote(bench, how) for how in ("fork", "prefork"))
        stack.callback(forks.stop)
        stack.callback(one.stop)
        one.ask("1")
        written = iter(range(1, 1 << 30))
        contestants["process, after os.fork()"] = functools.partial(
            process, forks, 0)
        contestants[AGAIN] = lambda: process(one, next(written) & 0xff)
        took = bench.sample(contestants, REPEATS, "copy-on-write")
    found = Figure(
        "HyperFork figure 3", "1,000 pages written again", "time", "us",
        AGAIN, note="writing is by the function's own clock; making a clone, "
        "which copies pages that earlier ones wrote, and rolling it back are "
        "by the tender's, and of all pages that a run writes")
    found.add(took, "writing")
    for key, what, way in (("setup_us", "making it", "fork"),
                           ("rollback_us", "rolling it back", "rollback")):
        for name, stats in kept_as(kept, way).items():
            found.add({name: [s[key] for s in stats] or took[name]}, what)
    return [found]


def kept_as(kept, way):
    """{contestant: its --stats} of one way to recycle."""
    name = {recycle: name for recycle, name, _ in WAYS}[way]
    return {f"usetl, {tender}, {name}": kept[way, tender]
            for tender in TENDERS}
