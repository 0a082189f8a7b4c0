"""cloning.py - HyperFork, figure 2: a clone's time by what it holds

A function that holds so much memory is cloned, by usetl and by os.fork().  Its
first result is timed from the fork, in the tender; that it is ready, from the
gateway's order to where it could take a request.
"""

import contextlib
import os
import shutil

import coldstart
from figure import Figure
from rows import TENDERS, each_tender
from subject import bake, edit

SIZES = (16, 64, 256, 1024)             # MB
REPEATS = 10
CLONES = 4                              # of one reference, for each of them
BUDGET = 20                             # seconds of one contestant at one size
SHELL = "usetl shell"
CLONE = "usetl clone"
FORK = "os.fork() of a process, first result"


def holding(bench, mb):
    """A function that holds so much."""
    def prepare(folder):
        with open(os.path.join(folder, "size"), "w", encoding="ascii") as f:
            f.write(str(mb))
        edit(os.path.join(folder, "function.ini"), "96M", f"{mb + 80}M")

    made = bake(bench, "hold", {}, {"mb": mb, "check": "heldheld"}, prepare)
    apart = f"{made.folder}-{mb}"       # the next size takes the name
    shutil.move(made.folder, apart)
    made.folder = apart
    return made


def at_size(bench, mb):
    """{contestant: milliseconds} at one size."""
    s = holding(bench, mb)

    def usetl(tender, stats):
        figures = s.invoke(CLONES, "fork", tender)
        stats.append(figures["clone_us"] / 1e3)
        return figures["first_us"] / 1e3

    contestants, ready = each_tender(usetl)
    with contextlib.ExitStack() as stack:
        took = bench.sample({
            **contestants, "fork": s.forks(bench, stack, CLONES),
            **coldstart.named(s, stack, SHELL)}, REPEATS,
            f"clone of {mb} MB", BUDGET)
    os.unlink(s.image)
    rows = {}
    for tender in TENDERS:
        rows[f"{CLONE}, {tender}, first result"] = took[tender]
        rows[f"{CLONE}, {tender}, ready"] = ready[tender] or took[tender]
        rows[f"{SHELL}, {tender}"] = took[f"{SHELL}, {tender}"]
    return {**rows, FORK: took["fork"]}


def goals(found, least, most):
    """Rows of what is asked where a function holds much."""
    return [found.compared(
        f"{found.name}: {who}, {tender}, {most} MB",
        (f"{who}, {tender}", most), (f"{who}, {tender}", least),
        f"the same at {least} MB", goal)
        for who, goal in ((SHELL, "<= 1.2x"), (CLONE, "<= 2x"))
        for tender in TENDERS]


def figure2(bench):
    found = Figure(
        "HyperFork figure 2", "time to clone, by resident memory",
        "time", "ms", FORK, "resident memory", "MB",
        "the first result from the fork, ready from the gateway's order on; "
        f"each sample is the median of {CLONES} clones of one process; "
        "from a shell by HTTP, after pool.idle")
    sizes = SIZES[:2] if bench.quick else SIZES
    for mb in sizes:
        found.add(at_size(bench, mb), mb)
    return [found, *goals(found, sizes[0], sizes[-1])]
