"""ways.py - how usetl gets to a function's result, from nothing or nearly so

Each takes a Subject and a tender and gives milliseconds.  A new way is a
function and a line in WAYS: the figures that compare ways have a row for it
then, by each tender.
"""

import functools
import os

from rows import TENDERS

CLONES = 8                              # a sample is the median of these
WARM = 100


def boot(s, tender, store=None):
    """The whole command, from exec to exit."""
    seconds, result = s.tool.command(s.image, s.event, tender, store)
    s.check("usetl invoke", result)
    return seconds * 1e3


def snapshot(s, tender):
    """The same, where the store has the function's snapshot."""
    store = os.path.join(s.tool.tmp, f"ways-{s.name}-{tender}")
    if not os.path.isdir(store):
        boot(s, tender, store)          # keeps it
    return boot(s, tender, store)


def clone(s, tender, clones=CLONES):
    """A new clone of the function, from its fork to its result."""
    return s.invoke(clones, "fork", tender)["first_us"] / 1e3


def warm(s, tender):
    """A clone that is there already, with the rollback after the run."""
    stats = s.invoke(WARM, "rollback", tender)
    return (stats["run_us"] + stats["rollback_us"]) / 1e3


WAYS = {
    "usetl boot": boot,
    "usetl snapshot on disk": snapshot,
    "usetl clone": clone,
    "usetl warm": warm,
}
NOTE = (f"usetl clone and usetl warm: each sample is the median of {CLONES} "
        f"and {WARM} requests of one process; usetl boot and snapshot: from exec "
        "to exit")


def contestants(s, ways=WAYS):
    """{name: contestant} for each way and tender."""
    return {f"{name}, {tender}": functools.partial(way, s, tender)
            for name, way in ways.items() for tender in TENDERS}
