"""interference.py - what one function does to another's latency

An innocent function is called 50 times a second, by the clock (openloop.py),
while callers keep all clones of another busy with one bad thing (hammer.py),
and while they do not: five rounds of both, by turns, each of --samples
requests.  A row is the median of five 99th percentiles beside it, and of those
in quiet.  Each row has a server of its own, as it is configured by default, and
each process that takes part a session of its own, so that where the kernel
groups processes by session what is measured are not the callers.

By default that is 600 requests, 12 seconds, of each round and side, 3,000 in
all of each side: some two and a half minutes a row, 45 minutes for 18 of them.
--samples 3000 takes three hours and a half.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import time

import peers
from measure import Failed, Missing
from process import Process
from rows import FUNCTIONS, HERE, TENDERS, compare
from tool import Server

ROUNDS = 5
RATE = 50                               # requests per second
CALLERS = 8                             # of the other function
SETTLE = 0.5                            # seconds, before samples count
IDLE = 60                               # seconds, until all that ran has ended
AUTOGROUP = "/proc/sys/kernel/sched_autogroup_enabled"
TOP = os.path.dirname(os.path.dirname(HERE))


@dataclasses.dataclass
class Bad:
    """One bad thing.  Requests that do it end with one of these statuses; the
    result, where there is one, says that it `did` so much at least."""

    name: str
    do: str
    status: tuple
    did: int = 0


BAD = (
    Bad("spin", "spin", ("504",)),
    Bad("memory to the limit", "memory", ("200", "504"), 64),
    Bad("log flood", "log", ("200",), 1 << 16),
    Bad("etlfs fill", "files", ("200", "504"), 48 << 20),
    # what the server lets a function have of these is its own affair
    Bad("256 stalled fetches", "fetches", ("200", "504"), 1),
    Bad("crash loop", "crash", ("502",)),
    Bad("1,000 threads", "threads", ("200", "504"), 1000),
    Bad("FETCH and CANCEL flood", "doorbells", ("200", "502", "504"), 1),
    Bad("6 MB results", "results", ("200",)),
)


def p99(us):
    return sorted(us)[max(0, -(-len(us) * 99 // 100) - 1)] / 1e3


class Run:
    """A server, the caller of the innocent one, and the others' callers."""

    def __init__(self, bench, bad, tender, image, port, stack):
        self.bench, self.bad, self.stack = bench, bad, stack
        self.seen, self.failed, self.p50, self.most = {}, {}, {}, {}
        self.did = None
        event = json.dumps({"do": bad.do, "url": f"http://127.0.0.1:{port}/"})
        self.server = Server(
            bench.tool, bench.image, "json", tender=tender,
            conf=f"[function loud]\nimage = {image}\n",
            start_new_session=True)
        stack.callback(self.server.stop)
        bench.check("usetl serve", self.server.call(bench.event)[0])
        self.caller = self.process("openloop", "json", bench.event, RATE)
        self.real_time = json.loads(self.caller.line())["real_time"]
        self.hammer = self.process("hammer", "loud", event, CALLERS)

    def process(self, script, *args):
        p = Process(peers.PYTHON + [peers.script(script + ".py"),
                                    str(self.server.port), *map(str, args)],
                    self.bench.log(script), start_new_session=True)
        self.stack.callback(p.stop)
        return p

    def wait_idle(self):
        """Until nothing runs that an earlier turn began."""
        end = time.monotonic() + IDLE
        while time.monotonic() < end:
            f = self.server.functions().values()
            if not any(i["clones"]["busy"] + i["clones"]["coming"] +
                       i["queued"] for i in f):
                time.sleep(SETTLE)
                return
            time.sleep(0.1)
        raise self.server.process.failed("it does not come to rest")

    def sample(self, side):
        got = self.caller.ask(json.dumps({"samples": self.bench.samples}))
        for body in got["bodies"]:
            self.bench.check("usetl serve", json.loads(body))
        for why, n in got["why"].items():
            self.failed[f"{side}: {why}"] = \
                self.failed.get(f"{side}: {why}", 0) + n
        self.p50.setdefault(side, []).append(
            statistics.median(got["us"]) / 1e3)
        self.most[side] = max(self.most.get(side, 0), max(got["us"]) / 1e3)
        return p99(got["us"])

    def quiet(self):
        self.wait_idle()
        return self.sample("quiet")

    def loud(self):
        self.wait_idle()
        self.hammer.ask("start")
        time.sleep(SETTLE)
        figure = self.sample("loud")
        got = self.hammer.ask("stop")
        last = got.pop("last")
        for status, n in got.items():
            self.seen[status] = self.seen.get(status, 0) + n
        if last and self.bad.did:
            self.did = json.loads(last)["did"]
            if self.did < self.bad.did:
                raise Failed(f"{self.bad.name}: it did {self.did} of "
                             f"{self.bad.did}: {got}")
        if not any(got.get(s) for s in self.bad.status):
            raise Failed(f"{self.bad.name}: these answers came: {got}")
        return figure

    def sessions(self):
        """How the kernel shares processors among functions here."""
        ids = [os.getsid(pid) for pid in self.server.clones()]
        own = os.getsid(self.server.process.pid) not in ids
        try:
            with open(AUTOGROUP, encoding="ascii") as f:
                grouped = f.read().strip() == "1"
        except OSError:
            grouped = False
        return ("clones are in " + ("sessions of their own" if own else
                                    "the server's session") +
                (", which the kernel schedules as groups" if grouped else
                 ", which the kernel does not schedule as groups"))

    def note(self):
        text = (self.sessions() + "; " if self.bad.do == "spin" else "") + (
            f"p50 {statistics.median(self.p50['quiet']):.2f} ms in quiet, "
                f"{statistics.median(self.p50['loud']):.2f} beside it; longest "
                f"{self.most['quiet']:.1f} and {self.most['loud']:.1f}; its "
                "answers: " + ", ".join(f"{n} of status {s}" for s, n in
                                        sorted(self.seen.items())))
        if self.did is not None:
            text += f"; the last one did {self.did:,}"
        for why, n in self.failed.items():
            text += f"; {n} failed, {why}"
        if not self.real_time:
            text += "; the caller itself waits for a processor"
        return text


def title(bad, tender):
    return f"p99 beside {bad.name}, {tender}"


def measure(bench, bad, tender, image, port):
    """The row; one that cannot be measured costs none of the others."""
    name = title(bad, tender)
    note = ""
    with contextlib.ExitStack() as stack:
        try:
            run = Run(bench, bad, tender, image, port, stack)
            m = bench.interleave({"quiet": run.quiet, "loud": run.loud},
                                 ROUNDS, name)
            note = run.note()
        except Missing as e:
            m = {"loud": e, "quiet": e}
        except (Failed, OSError, ValueError, KeyError) as e:
            bench.failures.append(f"{name}: {e}")
            m = dict.fromkeys(("loud", "quiet"),
                              Missing("could not be measured"))
    return compare(name, m, "loud", "ms", "quiet", "the same in quiet",
                   "<= 3x", note)


def compile_flood(folder):
    cc = shutil.which(os.environ.get("CC", "cc"))
    if not cc:
        raise Missing("no C compiler")
    subprocess.run([cc, "-O1", "-shared", "-fPIC", "-fcf-protection=none",
                    "-I", TOP, "-o", os.path.join(folder, "flood.so"),
                    os.path.join(folder, "flood.c")], check=True)


def interference(bench):
    """p99 of an innocent function beside each bad thing, by both tenders."""
    stall = Process(peers.PYTHON + [peers.script("stall.py")],
                    bench.log("stall"), start_new_session=True)
    with contextlib.ExitStack() as stack:
        stack.callback(stall.stop)
        port = int(stall.line())
        folder = bench.tool.copy(os.path.join(HERE, "functions", "loud"),
                                 port)
        compile_flood(folder)
        image = bench.tool.bake(folder)
        return [measure(bench, bad, tender, image, port)
                for tender in TENDERS for bad in BAD
                if not bench.wanted or
                any(text in title(bad, tender) for text in bench.wanted)]
