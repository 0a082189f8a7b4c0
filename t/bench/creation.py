"""creation.py - USETL, figure 6: creating what runs a function

From nothing to the first result, and from what a pool keeps ready.  The peers
are a virtual machine, a container, a process, and a child of a process that
has imported the function; all run the same python3 and the same files.
"""

import contextlib
import os
import time

import peers
from figure import Figure
from measure import Failed, Missing
from qemu import microvms
from rows import TENDERS
from subject import json_function
from tool import Server
from ways import NOTE, contestants

REPEATS = 30
BUDGET = 40                             # seconds of one contestant
REFILL = 0.1                            # seconds, for another shell
PROCESS = "process, python3 -S -E"


def machines(s, vms):
    def checked(how):
        seconds, result = how()
        s.check("QEMU", result)
        return seconds * 1e3

    return {f"QEMU microvm, Linux and python3, {vms.accel}":
            lambda: checked(vms.create),
            f"QEMU microvm resumed from a file, {vms.accel}":
            lambda: checked(vms.resume)}


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


def zygote(bench, s, stack):
    process = s.zygote(bench, "fork")
    stack.callback(process.stop)

    def fork():
        got = process.ask("8")
        s.check("zygote.py", got["result"])
        return [us / 1e3 for us in got["us"]]

    return {"zygote, os.fork()": fork}


class Shells:
    """The first request of a function that has no clone: one of many, whose
    runtime keeps some that wait."""

    def __init__(self, s, tender):
        self.s, self.next = s, 0
        self.server = Server(s.tool, None, "shells", tender=tender, conf=(
            "[pool]\nmin = 0\n" + "".join(
                f"[function f{n}]\nimage = {s.image}\n"
                for n in range(REPEATS))))

    def __call__(self):
        time.sleep(REFILL)
        start = time.perf_counter()
        result, _ = self.server.call(self.s.event, name=f"f{self.next}")
        took = (time.perf_counter() - start) * 1e3
        self.s.check("usetl serve", result)
        starts = self.server.functions()[f"f{self.next}"]["starts"]
        if not starts["shell"]:
            raise Failed(f"its request did not find a shell: {starts}")
        self.next += 1
        return took


def shells(s, stack):
    found = {}
    for tender in TENDERS:
        try:
            one = Shells(s, tender)
            stack.callback(one.server.stop)
        except Missing as e:
            one = peers.Absent(e)
        found[f"usetl shell, {tender}"] = one
    return found


def figure6(bench):
    s = json_function(bench)
    vms = microvms(bench)
    with contextlib.suppress(Missing):  # its row will say so
        vms.prepare()
    with contextlib.ExitStack() as stack:
        took = bench.sample({
            **machines(s, vms), **containers(bench, s, stack),
            PROCESS: s.fresh, **zygote(bench, s, stack), **contestants(s),
            **shells(s, stack),
        }, REPEATS, "creation", BUDGET)
    found = Figure("USETL figure 6", "time to create, to the first result",
                   "time", "ms", PROCESS,
                   note="; ".join(filter(None, (NOTE, "QEMU " + vms.other
                                                if vms.other else ""))))
    found.add(took)
    return [found]
