"""pillow.py - HyperFork, figures 4 and 5: 64 runs of a Pillow benchmark

Not forked at all, where each run imports what it needs, and forked after the
libOS is up, the interpreter, the packages, or the function's module.  Figure 4 is one run after the other, figure 5 how many
there are in a second when two run at a time.
"""

import concurrent.futures
import contextlib
import functools
import itertools
import os
import shutil
import time

import ways
from figure import Figure
from measure import Missing
from peers import Absent, need_module
from rows import TENDERS
from subject import Subject, bake, edit
from tool import Server

RUNS = 64
BATCHES = 5                             # of so many runs, for figure 5
AT_ONCE = 2
BUDGET = 25                             # seconds of one contestant
EVENT = {"width": 256}
PROCESS = "not forked, process"
FORKED = "forked after the function"

POINTS = ("boot", "interpreter", "packages", "function")
clone = functools.partial(ways.clone, clones=3)


@functools.lru_cache(maxsize=None)
def subject(bench):
    need_module("PIL", "python3-pil")
    s = bake(bench, "pillow", EVENT)
    with s.zygote(bench, "fork") as peer:
        s.expected = peer.ask("1")["result"]
    return s


def forked_at(bench, s, point):
    """The same function, where each clone starts at that point."""
    folder = f"{s.folder}-{point}"
    if not os.path.isdir(folder):
        shutil.copytree(s.folder, folder)
        edit(os.path.join(folder, "function.ini"), "timeout",
             f"fork = {point}\ntimeout")
        bench.progress.say(f"bake Pillow, {point}")
        s.tool.bake(folder)
    return Subject(s.tool, s.name, folder, folder + ".usetl", s.event_path,
                   s.expected)


def forked(bench, s):
    """{name: contestant} for each point and tender."""
    return {name: one for point in POINTS for name, one in ways.contestants(
        forked_at(bench, s, point), {f"forked after the {point}, usetl "
                                     "clone": clone}).items()}


def figure4(bench):
    s = subject(bench)
    with s.zygote(bench, "fork") as peer:
        def fork():
            return peer.ask("1")["us"][0] / 1e3

        took = bench.sample({
            PROCESS: s.fresh,
            **ways.contestants(s, {"not forked, usetl boot": ways.boot}),
            **forked(bench, s), f"{FORKED}, os.fork()": fork,
        }, RUNS, "Pillow", BUDGET)
    found = Figure("HyperFork figure 4", f"{RUNS} runs of a Pillow benchmark",
                   "time of a run", "ms", PROCESS,
                   note="usetl clone: each sample is the median of 3 clones "
                   "of one process")
    found.add(took)
    return [found]


def rate(run):
    """Runs in a second; run() does one of AT_ONCE equal parts of them."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        start = time.perf_counter()
        for job in [pool.submit(run, n) for n in range(AT_ONCE)]:
            job.result()
        return RUNS / (time.perf_counter() - start)


def served(bench, s, stack, tender, point):
    """usetl serve, with a new clone for each request."""
    s = forked_at(bench, s, point)
    try:
        server = Server(
            s.tool, None, s.name, tender=tender, conf=f"[function {s.name}]\n"
            f"image = {s.image}\nrecycle = fork\n")
    except Missing as e:
        return Absent(e)
    stack.callback(server.stop)

    def part(_):
        for result in server.hammer(s.event, 1, RUNS // AT_ONCE):
            s.check("usetl serve", result)

    return functools.partial(rate, part)


def figure5(bench):
    s = subject(bench)

    def times(one, _):
        for _ in range(RUNS // AT_ONCE):
            one()

    with contextlib.ExitStack() as stack:
        forks = [stack.enter_context(s.zygote(bench, "fork"))
                 for _ in range(AT_ONCE)]
        contestants = {PROCESS: lambda: rate(functools.partial(times,
                                                               s.fresh))}
        for name, one in ways.contestants(
                s, {"not forked, usetl boot": ways.boot}).items():
            contestants[name] = functools.partial(
                rate, functools.partial(times, one))
        for point, tender in itertools.product(POINTS, TENDERS):
            name = f"forked after the {point}, usetl serve, {tender}"
            contestants[name] = served(bench, s, stack, tender, point)
        contestants[f"{FORKED}, os.fork()"] = lambda: rate(
            lambda n: forks[n].ask(str(RUNS // AT_ONCE)))
        got = bench.sample(contestants, BATCHES, "Pillow, two at a time",
                           BUDGET)
    found = Figure("HyperFork figure 5", f"{RUNS} runs of a Pillow benchmark, "
                   "two at a time", "runs", "/s", PROCESS,
                   note=f"each sample is of {RUNS} runs; usetl serve by HTTP, "
                   "with recycle = fork")
    found.add(got)
    return [found]
