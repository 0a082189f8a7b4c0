"""footprint.py - USETL, the comparison of memory

Some of each kind, which have all answered a request and wait for the next one.
What is private is what the next one would cost; Pss of all that was started
for them, shared out, is what they cost here.
"""

import contextlib
import os

import peers
from figure import Figure
from measure import Failed
from process import family, private_bytes, proportional_bytes
from qemu import microvms
from rows import TENDERS
from subject import json_function
from tool import Server

COUNT = 4                               # of each kind at a time
REPEATS = 2
PROCESS = "process, python3 -S -E"


def machine(s, start):
    def one(stack):
        m = start()
        stack.callback(m.stop)
        s.check("QEMU", m.ask(s.event))
        return m.pid
    return one


def several(one):
    """A kind of which each is by itself: (what they are, all that runs)."""
    def start(stack):
        pids = [one(stack) for _ in range(COUNT)]
        return pids, pids
    return start


def process(bench, s):
    def one(stack):
        p = peers.host(s.folder, bench.log("idle-process"))
        stack.callback(p.stop)
        s.check("host.py", p.ask(s.event))
        return p.pid
    return one


def containers(bench, s):
    def start(stack):
        starter = peers.containers(
            s.image, os.path.join(stack.enter_context(
                bench.tool.folder()), "bundle"), s.event_path,
            bench.log("idle-container"))
        stack.callback(starter.stop)
        got = [starter.ask("idle") for _ in range(COUNT)]
        for g in got:
            s.check("crun", g["result"])
        pids = [g["pid"] for g in got]
        return pids, pids
    return start


def zygotes(bench, s):
    def start(stack):
        parent = stack.enter_context(s.zygote(bench, "idle"))
        got = [parent.ask("1") for _ in range(COUNT)]
        for g in got:
            s.check("zygote.py", g["result"])
        return [g["pid"] for g in got], [parent.pid]
    return start


def clones(s, tender):
    def start(stack):
        server = Server(s.tool, s.image, s.name, COUNT, tender)
        stack.callback(server.stop)
        for result in server.hammer(s.event, 4 * COUNT, 100):
            s.check("usetl serve", result)
        pids = server.clones()
        if len(pids) != COUNT:
            raise Failed(f"{COUNT} clones expected, not {len(pids)}")
        return pids, [server.process.pid]
    return start


def kinds(bench, s):
    vms = microvms(bench)
    return {
        f"QEMU microvm, {vms.accel}": several(machine(s, vms.booted)),
        f"QEMU microvm resumed from a file, {vms.accel}":
            several(machine(s, vms.resumed)),
        "container, crun": containers(bench, s),
        PROCESS: several(process(bench, s)),
        "zygote, os.fork()": zygotes(bench, s),
        **{f"usetl clone, {tender}": clones(s, tender)
           for tender in TENDERS},
    }


def measured(start, private):
    """Megabytes of each, by Pss; adds the private ones to that list."""
    with contextlib.ExitStack() as stack:
        each, everything = start(stack)
        private += [sum(private_bytes(p) for p, _ in family(pid)) / 1e6
                    for pid in each]
        return sum(proportional_bytes(p) for pid in everything
                   for p, _ in family(pid)) / 1e6 / COUNT


def memory(bench):
    s = json_function(bench)
    started = kinds(bench, s)
    private = {name: [] for name in started}
    shared = bench.sample({
        name: lambda name=name, start=start: measured(start, private[name])
        for name, start in started.items()}, REPEATS, "memory")
    found = Figure("USETL memory", f"memory of {COUNT} idle ones of each kind",
                   "memory of each", "MB", PROCESS,
                   note="private: Private_* of smaps_rollup, of all processes "
                   "of one; Pss: of all processes of all, by their number, "
                   "with usetl's gateway, reference and windows for downloads")
    found.add({name: private[name] or shared[name] for name in shared},
              "private")
    found.add(shared, "Pss")
    return [found]
