"""interference.py - how one function affects another's latency

A well-behaved function is called 50 times a second, by the clock (openloop.py),
while callers keep all clones of another one busy with one kind of misbehaviour
(hammer.py), and while it is alone: five rounds of both in turn, each of
--samples requests.  A row compares the median of the five 99th percentiles
beside the other function with the median of the five alone.  Each row has a
server of its own in its default configuration.  Each process that takes part
has a session of its own: where the kernel schedules sessions as groups, the
callers would otherwise compete with each other and be what is measured.

By default a round has 600 requests beside and 600 alone, 12 seconds each, so a
row has 3,000 of each and takes some two and a half minutes; 18 rows take 45
minutes.  --samples 3000 takes three hours and a half.
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
SAMPLES = 600                           # of each side in a round
RATE = 50                               # requests per second
CALLERS = 8                             # of the other function
SETTLE = 0.5                            # seconds, before samples count
IDLE = 60                               # seconds, for what ran to end
AUTOGROUP = "/proc/sys/kernel/sched_autogroup_enabled"
TOP = os.path.dirname(os.path.dirname(HERE))


@dataclasses.dataclass
class Bad:
    """One kind of misbehaviour.  Requests that do it end with one of these
    statuses; a result, if there is one, must say that it `did` at least so
    much."""

    name: str
    do: str
    status: tuple
    did: int = 0


BAD = (
    Bad("spin", "spin", ("504",)),
    Bad("memory to the limit", "memory", ("200", "504"), 64),
    Bad("log flood", "log", ("200",), 1 << 16),
    Bad("etlfs fill", "files", ("200", "504"), 48 << 20),
    # how many of these the server lets a function have is not the question
    Bad("256 stalled fetches", "fetches", ("200", "504"), 1),
    Bad("crash loop", "crash", ("502",)),
    Bad("1,000 threads", "threads", ("200", "504"), 1000),
    Bad("FETCH and CANCEL flood", "doorbells", ("200", "502", "504"), 1),
    Bad("6 MB results", "results", ("200",)),
)


def p99(us):
    return sorted(us)[max(0, -(-len(us) * 99 // 100) - 1)] / 1e3


class Run:
    """A server, the caller of the one function, and those of the other."""

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
        """Waits until nothing of an earlier turn is still running."""
        end = time.monotonic() + IDLE
        while time.monotonic() < end:
            f = self.server.functions().values()
            if not any(i["clones"]["busy"] + i["clones"]["coming"] +
                       i["queued"] for i in f):
                time.sleep(SETTLE)
                return
            time.sleep(0.1)
        raise self.server.process.failed("requests still run after a minute")

    def sample(self, side):
        got = self.caller.ask(json.dumps({
            "samples": self.bench.samples or SAMPLES}))
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
                raise Failed(f"{self.bad.name}: it did {self.did}, which is "
                             f"less than {self.bad.did}: {got}")
        if not any(got.get(s) for s in self.bad.status):
            raise Failed(f"{self.bad.name}: unexpected statuses: {got}")
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
            f"p50 {statistics.median(self.p50['quiet']):.2f} ms alone, "
                f"{statistics.median(self.p50['loud']):.2f} beside the other "
                f"function; longest {self.most['quiet']:.1f} ms alone, "
                f"{self.most['loud']:.1f} beside it; answers of the other "
                "function: " + ", ".join(f"{n} of status {s}" for s, n in
                                         sorted(self.seen.items())))
        if self.did is not None:
            text += f"; amount done by its last request: {self.did:,}"
        for why, n in self.failed.items():
            text += f"; {n} requests failed, {why}"
        if not self.real_time:
            text += ("; the caller has no real-time priority, so its own "
                     "wait for a processor counts, too")
        return text


def title(bad, tender):
    return f"p99 beside {bad.name}, {tender}"


def measure(bench, bad, tender, image, port):
    """The row; when it cannot be measured the others still are."""
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
    return compare(name, m, "loud", "ms", "quiet", "the same, alone",
                   "<= 3x", note)


def compile_flood(folder):
    cc = shutil.which(os.environ.get("CC", "cc"))
    if not cc:
        raise Missing("no C compiler")
    subprocess.run([cc, "-O1", "-shared", "-fPIC", "-fcf-protection=none",
                    "-I", TOP, "-o", os.path.join(folder, "flood.so"),
                    os.path.join(folder, "flood.c")], check=True)


def interference(bench):
    """p99 of a function beside each kind of misbehaviour, by both tenders."""
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
