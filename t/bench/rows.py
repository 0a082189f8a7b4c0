"""rows.py - the comparisons: each function measures one group of rows

A group gets a Bench and returns Rows.  A contestant's time counts only if its
answer is the expected one.  Where the tender matters there is a contestant for
each tender, named after it; one that this machine cannot run is Missing, and
its rows say why.
"""

import collections
import contextlib
import functools
import json
import os
import shutil
import statistics

import peers
from measure import Failed, Missing, interleave, sample
from process import private_bytes
from table import Row
from tool import Server

HERE = os.path.dirname(os.path.abspath(__file__))
FUNCTIONS = os.path.join(os.path.dirname(HERE), "functions")
GET_SIZES = (2, 8, 64, 256)             # MB
GET_CHUNK = 64 << 10                    # bytes, as shutil.copyfileobj's
CONNECTIONS = (1, 8, 64)
CLONES = 3
TENDERS = ("kvm", "process")


class Bench:
    """What all groups share: the tool, the json function, how many runs."""

    def __init__(self, tool, progress, quick, samples=None, wanted=(),
                 kept=None):
        """samples: as often, where a group has repeats to choose; kept: a
        folder for what is worth having at the next run, too"""
        self.tool = tool
        self.progress = progress
        self.quick = quick
        self.samples, self.wanted = samples, wanted
        self.kept = kept or tool.tmp
        self.failures = []              # of single rows of a group
        self.folder = tool.copy(os.path.join(FUNCTIONS, "json"))
        self.event_path = os.path.join(self.folder, "event.json")
        with open(self.event_path, encoding="utf-8") as f:
            self.event = f.read().strip()
        progress.say("bake json")
        self.image = tool.bake(self.folder)
        self.expected = tool.invoke(self.image, self.event)[0]

    def log(self, name):
        return os.path.join(self.tool.tmp, name + ".log")

    def rounds(self, n):
        return max(1, n // 4) if self.quick else n

    def interleave(self, contestants, rounds, what):
        return interleave(contestants, self.rounds(rounds), self.progress,
                          what)

    def sample(self, contestants, rounds, what, budget=None):
        """As measure.sample(), for the repeats of a figure."""
        rounds = min(rounds, self.samples or rounds)
        return sample(contestants, self.rounds(rounds), self.progress, what,
                      budget)

    def check(self, who, result, expected=None):
        if result != (self.expected if expected is None else expected):
            raise Failed(f"{who} answered {json.dumps(result)}")


def present(figure):
    return None if isinstance(figure, Missing) else figure


def compare(name, figures, ours, unit, theirs, peer, goal="", note=""):
    """A Row of two contestants; if one is Missing, peer says which and why."""
    missing = [str(f) for f in (figures[ours], figures[theirs])
               if isinstance(f, Missing)]
    return Row(name, present(figures[ours]), unit, present(figures[theirs]),
               missing[0] if missing else peer, goal,
               "" if missing else note)


def medians(stats):
    """The median of each figure of --stats; zeros when there are none."""
    keys = stats[0] if stats else ()
    return collections.defaultdict(
        float, {k: statistics.median(s[k] for s in stats) for k in keys})


def each_tender(run):
    """A contestant for each tender, and each one's list of --stats.

    run(tender, stats) is the contestant; it appends to stats.
    """
    stats = {tender: [] for tender in TENDERS}
    return {tender: functools.partial(run, tender, stats[tender])
            for tender in TENDERS}, stats


def ask_zygote(bench, process, requests):
    """Microseconds that each of these requests of the json function took."""
    got = process.ask(str(requests))
    bench.check("zygote.py", got["result"])
    return got["us"]


def fresh_us(bench):
    seconds, text = peers.fresh(bench.folder, bench.event)
    bench.check("fresh.py", json.loads(text))
    return seconds * 1e6


def warm(bench):
    """One invocation of a warm function, with the rollback after it."""
    many = bench.rounds(200)

    def usetl(tender, stats):
        result, s = bench.tool.invoke(bench.image, bench.event, many,
                                      tender=tender)
        bench.check("usetl invoke", result)
        stats.append(s)
        return s["run_us"] + s["rollback_us"]

    contestants, stats = each_tender(usetl)
    with contextlib.ExitStack() as stack:
        forks, pipes = (peers.zygote(how, bench.folder, bench.event_path,
                                     bench.log(how))
                        for how in ("fork", "prefork"))
        stack.callback(forks.stop)
        stack.callback(pipes.stop)
        m = bench.interleave({
            **contestants,
            "fork": lambda: ask_zygote(bench, forks, many),
            "prefork": lambda: ask_zygote(bench, pipes, many),
            "fresh": lambda: [fresh_us(bench) for _ in range(5)],
        }, 8, "warm")
    rows = []
    for tender, goal in (("kvm", "<= 0.20x"), ("process", "<= 0.25x")):
        s, name = medians(stats[tender]), f"warm invocation, {tender}"
        rows += [
            compare(name, m, tender, "us", "fork", "os.fork() per request",
                    goal, f"in the tender {s['run_us']:.0f} us of run and "
                    f"{s['rollback_us']:.0f} us of rollback, which copies "
                    f"{s['copied']:.0f} pages; {s['exits']:.0f} exits to the "
                    "tender"),
            compare(name, m, tender, "us", "prefork",
                    "pre-forked child over a pipe, no isolation"),
            compare(name, m, tender, "us", "fresh", "fresh python3 -S -E"),
        ]
    return rows + [compare("warm invocation, process", m, "process", "us",
                           "kvm", "the same under kvm", "<= 1.5x")]


def without_fork(bench):
    """An image of the json function with a waiting thread beside it.  A program
    with threads asks for READY without a fork, so no fork handlers run."""
    folder = os.path.join(bench.tool.tmp, "alone")
    shutil.copytree(bench.folder, folder)
    with open(os.path.join(folder, "app.py"), "a", encoding="utf-8") as f:
        f.write("\n\nimport threading\n"
                "threading.Thread(target=threading.Event().wait,\n"
                "                 daemon=True).start()\n")
    return bench.tool.bake(folder)


def fork(bench):
    """The cost of making each request the child of a fork."""
    images = {"forked": bench.image, "alone": without_fork(bench)}
    many = bench.rounds(2000)
    rows = []
    for tender in TENDERS:
        def usetl(image):
            result, s = bench.tool.invoke(image, bench.event, many,
                                          tender=tender)
            bench.check("usetl invoke", result)
            return s["run_us"] + s["rollback_us"]

        m = bench.interleave({who: functools.partial(usetl, image)
                              for who, image in images.items()}, 8,
                             f"a fork per request, {tender}")
        missing = isinstance(m["forked"], Missing)
        rows.append(compare(
            f"fork per request, {tender}", m, "forked", "us", "alone",
            "the same without fork handlers", "", "" if missing else
            f"a fork costs {m['forked'] - m['alone']:.1f} us; "
            "the goal is 10"))
    with contextlib.ExitStack() as stack:
        urls = {}
        for who, image in images.items():
            server = Server(bench.tool, image, "json")
            stack.callback(server.process.stop)
            urls[who] = server.url
        m = bench.interleave({
            who: lambda url=url: peers.wrk(url, bench.event_path, 8,
                                           1 if bench.quick else 3)[0]
            for who, url in urls.items()}, 8, "HTTP with and without a fork")
    rows.append(compare("requests/s, 8 connections, fork", m, "forked", "/s",
                        "alone", "the same without fork handlers", ">= 0.95x"))
    return rows


def cold(bench):
    """A new clone's first result; each request gets a new clone."""
    many = bench.rounds(24)

    def usetl(tender, stats):
        result, s = bench.tool.invoke(bench.image, bench.event, many, "fork",
                                      tender)
        bench.check("usetl invoke", result)
        stats.append(s)
        return s["first_us"] / 1e3

    contestants, stats = each_tender(usetl)
    m = bench.interleave({
        **contestants,
        "fresh": lambda: [fresh_us(bench) / 1e3 for _ in range(5)],
    }, 8, "cold clone")

    def note(tender):
        s = medians(stats[tender])
        return (f"setting up the clone {s['setup_us']:.0f} us, which "
                f"populates {s['populated']:.0f} pages; first run "
                f"{s['run_us']:.0f} us; from the gateway's order for a "
                f"clone until it is ready {s['clone_us']:.0f} us")

    return [compare(f"cold clone to result, {tender}", m, tender, "ms",
                    "fresh", "fresh python3 -S -E",
                    "<= 4 ms" if tender == "kvm" else "", note(tender))
            for tender in TENDERS] + [
        compare("cold clone to result, process", m, "process", "ms", "kvm",
                "the same under kvm", "<= 1.0x")]


def syscall(bench):
    """A system call that the libOS answers, and the same one in Linux."""
    folder = bench.tool.copy(os.path.join(HERE, "functions", "syscall"))
    image = bench.tool.bake(folder)
    event = json.dumps({"calls": 20000 if bench.quick else 100000})

    def usetl(tender, stats):
        return bench.tool.invoke(image, event, tender=tender)[0]["us"]

    with contextlib.ExitStack() as stack:
        process = peers.host(folder, bench.log("syscall"))
        stack.callback(process.stop)
        m = bench.interleave({
            **each_tender(usetl)[0],
            "host": lambda: process.ask(event)["us"],
        }, 8, "system call")
    return [compare(f"system call of the libOS, {tender}", m, tender, "us",
                    "host", "getppid() of the host's kernel", "<= 3 us")
            for tender in TENDERS]


def boot(bench):
    """From nothing to a result: a reference, a clone of it, a request."""
    parts = []

    def usetl():
        result, s = bench.tool.invoke(bench.image, bench.event)
        bench.check("usetl invoke", result)
        parts.append(s)
        return (s["boot_us"] + s["clone_us"] + s["run_us"]) / 1e3

    def command():
        seconds, result = bench.tool.command(bench.image, bench.event)
        bench.check("usetl invoke", result)
        return seconds * 1e3

    m = bench.interleave({
        "usetl": usetl, "command": command,
        "fresh": lambda: [fresh_us(bench) / 1e3 for _ in range(3)],
    }, 20, "boot")
    s = {k: statistics.median(p[k] for p in parts) for k in parts[0]}
    note = (f"boot {s['boot_us'] / 1e3:.1f} ms ({s['boot_exits']:.0f} exits, "
            f"{s['resident'] / 1e6:.1f} MB resident), clone "
            f"{s['clone_us'] / 1e3:.1f} ms, run {s['run_us'] / 1e3:.1f} ms")
    return [
        Row("boot to first result", m["usetl"], "ms", m["fresh"],
            "fresh python3 -S -E, same imports", "<= 4x", note),
        Row("whole usetl invoke command", m["command"], "ms", m["fresh"],
            "fresh python3 -S -E, same imports", "",
            "from exec to exit, with the verification of the image"),
    ]


def cpu(bench):
    """CPU-bound Python, by the guest's clock, which the tender's checks."""
    folder = bench.tool.copy(os.path.join(HERE, "functions", "cpu"))
    image = bench.tool.bake(folder)
    event = json.dumps({"rounds": 60000 if bench.quick else 400000})
    checks = set()

    def usetl(tender, outside):
        result, stats = bench.tool.invoke(image, event, tender=tender)
        checks.add(result["check"])
        outside.append({"ratio": stats["run_us"] / 1e6 / result["seconds"]})
        return result["seconds"] * 1e3

    contestants, outside = each_tender(usetl)
    with contextlib.ExitStack() as stack:
        process = peers.host(folder, bench.log("cpu"))
        stack.callback(process.stop)

        def host():
            result = process.ask(event)
            checks.add(result["check"])
            return result["seconds"] * 1e3

        m = bench.interleave({**contestants, "host": host}, 12, "cpu")
    if len(checks) != 1:
        raise Failed("the cpu function's results differ from the host's")
    return [compare(f"CPU-bound Python, {tender}", m, tender, "ms", "host",
                    "the same on the host", goal,
                    f"by the tender's clock "
                    f"{medians(outside[tender])['ratio']:.3f}x of the time "
                    "by the guest's")
            for tender, goal in (("kvm", "<= 1.05x"),
                                 ("process", "<= 1.03x"))]


def get(bench):
    """A GET of a large body as a file, which the function then reads."""
    sizes = GET_SIZES[:2] if bench.quick else GET_SIZES
    feed, port = peers.feed(max(sizes), bench.log("feed"))
    with contextlib.ExitStack() as stack:
        stack.callback(feed.stop)
        folder = bench.tool.copy(os.path.join(HERE, "functions", "get"), port)
        server = Server(bench.tool, bench.tool.bake(folder), "get")
        stack.callback(server.stop)
        process = peers.host(folder, bench.log("urllib"))
        stack.callback(process.stop)
        return [get_size(bench, server, process, port, mb) for mb in sizes]


def get_size(bench, server, process, port, mb):
    event = json.dumps({"url": f"http://127.0.0.1:{port}/{mb}",
                        "chunk": GET_CHUNK})
    want, inside = process.ask(event), []

    def same(who, result):
        if result["bytes"] != mb << 20 or result["check"] != want["check"]:
            raise Failed(f"{who} read {result['bytes']} bytes of {mb} MB, "
                         f"sum {result['check']}")
        return result["seconds"] * 1e3

    def usetl():
        result, us = server.call(event)
        inside.append(same("the function", result))
        return us / 1e3

    usetl()                             # the clone's first request
    m = bench.interleave({
        "usetl": usetl, "urllib": lambda: same("urllib", process.ask(event)),
    }, 6 if mb > 64 else 12, f"GET {mb} MB")
    return Row(f"GET {mb} MB into a file, read", m["usetl"], "ms",
               m["urllib"], "urllib in a host process to tmpfs",
               "<= 1.2x" if mb == 64 else "",
               f"read in chunks of {GET_CHUNK >> 10} KB; by the guest's clock "
               f"{statistics.median(inside):.1f} ms" if mb == 64 else "")


def memory(bench):
    """Private memory of a process that waits for its next request.

    A page that only one process has mapped counts as private, even one of the
    snapshot or of a parent's heap that others could share.  So the clone is
    measured among others that have all served requests, as the peer's child
    is beside its parent.
    """
    alone = []

    def usetl():
        server = Server(bench.tool, bench.image, "json", clones=CLONES)
        try:
            bench.check("usetl serve", server.call(bench.event)[0])
            used = [private_bytes(p) / 1e6 for p in server.clones()]
            alone.append(max(used))
            for result in server.hammer(bench.event, 4 * CLONES, 100):
                bench.check("usetl serve", result)
            used = [private_bytes(p) / 1e6 for p in server.clones()]
            if len(used) != CLONES:
                raise Failed(f"{CLONES} clones expected, not {len(used)}")
            return used
        finally:
            server.stop()

    def zygote():
        p = peers.zygote("idle", bench.folder, bench.event_path,
                         bench.log("idle"))
        try:
            got = p.ask("1")
            bench.check("zygote.py", got["result"])
            return private_bytes(got["pid"]) / 1e6
        finally:
            p.stop()

    m = bench.interleave({"usetl": usetl, "zygote": zygote}, 4, "memory")
    return [Row("private memory, idle clone", m["usetl"], "MB", m["zygote"],
                "zygote child after one request", "<= 1.2x",
                f"Private_* of smaps_rollup, median of {CLONES} clones that "
                f"have served requests; {statistics.median(alone):.1f} MB "
                "when only one of them has mapped the snapshot's pages")]


def http(bench):
    """Requests per second by wrk, with all servers running."""
    started = {}                        # name: (process, url), or Missing
    with contextlib.ExitStack() as stack:
        def serve(tender):
            server = Server(bench.tool, bench.image, "json", tender=tender)
            return server.process, server.url

        for name, start in (
                *((t, functools.partial(serve, t)) for t in TENDERS),
                ("ForkingMixIn", lambda: peers.fork_server(
                    bench.folder, bench.log("ForkingMixIn"))),
                ("gunicorn", lambda: peers.gunicorn(
                    bench.folder, bench.log("gunicorn")))):
            try:
                started[name] = process, url = start()
            except Missing as e:
                started[name] = e
                continue
            stack.callback(process.stop)
            bench.check(name, json.loads(peers.post(process, url,
                                                    bench.event)))
        return [row for n in CONNECTIONS
                for row in http_connections(bench, started, n)]


def http_connections(bench, started, n):
    seconds = 1 if bench.quick else 3
    errors = dict.fromkeys(started, 0)

    def contestant(name, server):
        def run():
            if isinstance(server, Missing):
                raise server
            rate, failed = peers.wrk(server[1], bench.event_path, n, seconds)
            errors[name] += failed
            return rate
        return run

    # both tenders are compared at 8 connections, elsewhere the default runs
    taking_part = {name: server for name, server in started.items()
                   if n == 8 or name != other_tender(started)}
    m = bench.interleave({name: contestant(name, server)
                          for name, server in taking_part.items()}, 4,
                         f"HTTP, {n} connections")
    rows = []
    for tender in (t for t in TENDERS if t in m):
        for name, peer, goal in (
                ("ForkingMixIn", "ForkingMixIn, fork per request", ">= 8x"),
                ("gunicorn", "gunicorn, two sync workers, no isolation",
                 ">= 0.5x")):
            rows.append(compare(
                f"requests/s, {n} connection{'s' if n > 1 else ''}, {tender}",
                m, tender, "/s", name, peer,
                goal if n == 8 and tender == "kvm" else "",
                f"connections that failed: usetl {errors[tender]}, {name} "
                f"{errors[name]}" if errors[tender] or errors[name] else ""))
    return rows


def other_tender(started):
    """The tender that is not the default on this machine."""
    return "kvm" if isinstance(started["kvm"], Missing) else "process"


GROUPS = {"warm": warm, "fork": fork, "cold": cold, "boot": boot,
          "syscall": syscall, "cpu": cpu, "get": get, "memory": memory, "http": http}
