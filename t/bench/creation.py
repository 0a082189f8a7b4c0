"""creation.py - USETL, figure 6: creating what runs a function

From nothing to the first result, and from what a pool keeps ready.  The peers
are a virtual machine, a container, a process, and a child of a process that
has imported the function; all run the same python3 and the same files.
"""

import contextlib
import os

import coldstart
import peers
from figure import Figure
from measure import Missing
from qemu import microvms
from rows import TENDERS
from subject import json_function
from ways import NOTE, contestants

REPEATS = 30
BUDGET = 40                             # seconds of one contestant
PROCESS = "process, python3 -S -E"
CREATED = "QEMU microvm, Linux and python3"
RESUMED = "QEMU microvm resumed from a file"


def machines(s, vms):
    def checked(how):
        seconds, result = how()
        s.check("QEMU", result)
        return seconds * 1e3

    return {f"{CREATED}, {vms.accel}": lambda: checked(vms.create),
            f"{RESUMED}, {vms.accel}": lambda: checked(vms.resume)}


def containers(bench, s, stack):
    try:
        process = peers.containers(
            s.image, os.path.join(bench.tool.tmp, "creation"), s.event_path,
            bench.log("container"))
    except Missing as e:
        return {"container, crun": peers.Absent(e)}
    stack.callback(process.stop)

    def run():
        got = process.ask("run")
        s.check("crun", got["result"])
        return got["us"] / 1e3

    return {"container, crun": run}


def goals(found):
    """Rows of what is asked of usetl beside a machine."""
    return [found.compared(
        f"{found.name}: {ours}, {tender}", (f"{ours}, {tender}",), (theirs,),
        theirs, goal)
        for ours, theirs, goal in (("usetl shell", CREATED, "<= 1/1500x"),
                                   ("usetl snapshot on disk", RESUMED,
                                    "<= 1/25x"))
        for tender in TENDERS]


def figure6(bench):
    s = json_function(bench)
    vms = microvms(bench)
    with contextlib.suppress(Missing):  # its row will say so
        vms.prepare()
    with contextlib.ExitStack() as stack:
        took = bench.sample({
            **machines(s, vms), **containers(bench, s, stack),
            PROCESS: s.fresh, "zygote, os.fork()": s.forks(bench, stack, 8),
            **contestants(s),
            **coldstart.named(s, stack, "usetl shell"),
        }, REPEATS, "creation", BUDGET)
    found = Figure("USETL figure 6", "time to create, to the first result",
                   "time", "ms", PROCESS,
                   note="; ".join(filter(None, (NOTE, "QEMU " + vms.other
                                                if vms.other else ""))))
    found.add(took)
    return [found, *goals(found)]
