"""coldstart.py - a function that nobody called for a while, called again

Its runtime is up, and a shell of that waits; of the function itself there is
no process, only its snapshot, in memory, and the list of pages that requests
before have needed.
"""

import contextlib
import statistics
import time

import peers
import stored
from measure import Failed, Missing
from process import family
from rows import TENDERS, compare
from subject import json_function
from table import Row
from tool import Server

IDLE = 1                                # second of pool.idle
PATIENCE = 60                           # seconds until it is so
REPEATS = 20
WARM = 20                               # requests of a clone, after its first
FORK = "os.fork() per request"


class Cold:
    """Milliseconds, by HTTP, of the first request after pool.idle."""

    def __init__(self, s, tender, shells=True):
        self.s, self.how = s, "shell" if shells else "snapshot"
        self.inside, self.warm = [], []
        self.server = Server(
            s.tool, None, s.name, tender=tender,
            conf=f"[pool]\nmin = 0\nidle = {IDLE}s\n"
            f"{'' if shells else 'shells = 0'}\n"
            f"[function {s.name}]\nimage = {s.image}\n")
        self.call()                     # what it needs is known then

    def call(self):
        start = time.perf_counter()
        result, us = self.server.call(self.s.event)
        took = (time.perf_counter() - start) * 1e3
        self.s.check("usetl serve", result)
        return took, us / 1e3

    def starts(self):
        return self.server.functions()[self.s.name]["starts"][self.how]

    def wait(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            names = [name for _, name in family(self.server.process.pid)]
            ended = not {"usetl-ref", "usetl-clone"} & set(names)
            if ended and ("usetl-shell" in names) == (self.how == "shell"):
                time.sleep(0.1)         # nothing is under way any more
                return
            time.sleep(0.05)
        raise Failed(f"after {PATIENCE} s there are {' '.join(names)}")

    def __call__(self):
        self.wait()
        before = self.starts()
        took, inside = self.call()
        if self.starts() != before + 1:
            raise Failed(f"{self.s.name}: its request got no {self.how}")
        self.inside.append(inside)
        self.warm.append(statistics.median(
            self.call()[0] for _ in range(WARM)))
        return took


def contestants(s, stack, shells=True):
    """One of each tender; whom this machine cannot run says why."""
    found = {}
    for tender in TENDERS:
        try:
            found[tender] = Cold(s, tender, shells)
            stack.callback(found[tender].server.stop)
        except Missing as e:
            found[tender] = peers.Absent(e)
    return found


def said(one):
    """What else there is to say of one that ran."""
    if isinstance(one, peers.Absent):
        return ""
    return f"by HTTP, of it {statistics.median(one.inside):.2f} ms of run"


def after(name, m, warm, ours, goal):
    """Compared with the requests of the same clone after that."""
    if isinstance(m[ours], Missing):
        return Row(name, None, "ms", peer_name=str(m[ours]), goal=goal)
    return Row(name, m[ours], "ms", statistics.median(warm),
               "its next request, warm", goal)


def small(bench):
    s = json_function(bench)
    with contextlib.ExitStack() as stack:
        ours = contestants(s, stack)
        m = bench.interleave({**ours, "fork": s.forks(bench, stack, WARM)},
                             REPEATS, "cold")
    return [compare(f"first request after pool.idle, {tender}", m, tender,
                    "ms", "fork", FORK, goal, said(ours[tender]))
            for tender, goal in (("kvm", "<= 1.5x"), ("process", "<= 0.5x"))]


def large(bench):
    """A function with pandas."""
    name = "first request after pool.idle, pandas"
    try:
        s = stored.pandas(bench)
    except Missing as e:
        return [Row(name, None, "", peer_name=str(e))]
    with contextlib.ExitStack() as stack:
        ours = contestants(s, stack)
        m = bench.interleave(ours, REPEATS // 2, "cold, pandas")
    return [after(f"{name}, {tender}", m,
                  getattr(ours[tender], "warm", None), tender, "<= 3x")
            for tender in TENDERS]


def group(bench):
    return [*small(bench), *large(bench)]


def named(s, stack, what, shells=True):
    """The same as contestants of a figure: {what and tender: ...}."""
    return {f"{what}, {tender}": one
            for tender, one in contestants(s, stack, shells).items()}
