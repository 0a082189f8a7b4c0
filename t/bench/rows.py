"""rows.py - the comparisons: each function measures one group of rows

A group gets a Bench and returns Rows.  Every contestant's answer is compared
with the first one's before its time counts.
"""

import contextlib
import json
import os
import statistics

import peers
from measure import Failed, Missing, interleave
from process import private_bytes
from table import Row
from tool import Server

HERE = os.path.dirname(os.path.abspath(__file__))
FUNCTIONS = os.path.join(os.path.dirname(HERE), "functions")
GET_SIZES = (2, 8, 64, 256)             # MB
GET_CHUNK = 64 << 10                    # bytes, as shutil.copyfileobj's
CONNECTIONS = (1, 8, 64)
CLONES = 3


class Bench:
    """What all groups share: the tool, the json function, how thorough."""

    def __init__(self, tool, progress, quick):
        self.tool = tool
        self.progress = progress
        self.quick = quick
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

    def check(self, who, result, expected=None):
        if result != (self.expected if expected is None else expected):
            raise Failed(f"{who} answered {json.dumps(result)}")


def ask_zygote(bench, process, requests):
    """Microseconds of each of so many requests of the json function."""
    got = process.ask(str(requests))
    bench.check("zygote.py", got["result"])
    return got["us"]


def fresh_us(bench):
    seconds, text = peers.fresh(bench.folder, bench.event)
    bench.check("fresh.py", json.loads(text))
    return seconds * 1e6


def warm(bench):
    """One invocation of a warm function, with what isolates the next."""
    many, pages = bench.rounds(200), []

    def usetl():
        result, stats = bench.tool.invoke(bench.image, bench.event, many)
        bench.check("usetl invoke", result)
        pages.append(stats)
        return stats["run_us"] + stats["rollback_us"]

    with contextlib.ExitStack() as stack:
        forks, pipes = (peers.zygote(how, bench.folder, bench.event_path,
                                     bench.log(how))
                        for how in ("fork", "prefork"))
        stack.callback(forks.stop)
        stack.callback(pipes.stop)
        m = bench.interleave({
            "usetl": usetl,
            "fork": lambda: ask_zygote(bench, forks, many),
            "prefork": lambda: ask_zygote(bench, pipes, many),
            "fresh": lambda: [fresh_us(bench) for _ in range(5)],
        }, 8, "warm")
    s = {k: statistics.median(p[k] for p in pages) for k in pages[0]}
    note = (f"run {s['run_us']:.0f} us and rollback {s['rollback_us']:.0f} us "
            f"of {s['copied']:.0f} pages, in the tender; {s['exits']:.0f} "
            "exits")
    return [
        Row("warm invocation", m["usetl"], "us", m["fork"],
            "os.fork() per request", "<= 0.20x", note),
        Row("warm invocation", m["usetl"], "us", m["prefork"],
            "pre-forked child over a pipe, no isolation"),
        Row("warm invocation", m["usetl"], "us", m["fresh"],
            "fresh python3 -S -E"),
    ]


def cold(bench):
    """A new clone's first result, each request a clone of its own."""
    many, all_stats = bench.rounds(24), []

    def usetl():
        result, stats = bench.tool.invoke(bench.image, bench.event, many,
                                          "fork")
        bench.check("usetl invoke", result)
        all_stats.append(stats)
        return stats["first_us"] / 1e3

    m = bench.interleave({
        "usetl": usetl,
        "fresh": lambda: [fresh_us(bench) / 1e3 for _ in range(5)],
    }, 8, "cold clone")
    s = {k: statistics.median(p[k] for p in all_stats) for k in all_stats[0]}
    note = (f"set-up {s['setup_us']:.0f} us with {s['populated']:.0f} pages "
            f"populated, first run {s['run_us']:.0f} us; asked for to up "
            f"{s['clone_us']:.0f} us at the gateway")
    return [Row("cold clone, fork to result", m["usetl"], "ms", m["fresh"],
                "fresh python3 -S -E", "<= 4 ms", note)]


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
            f"{s['resident'] / 1e6:.1f} MB), clone {s['clone_us'] / 1e3:.1f} "
            f"ms, run {s['run_us'] / 1e3:.1f} ms")
    return [
        Row("boot to first result", m["usetl"], "ms", m["fresh"],
            "fresh python3 -S -E, same imports", "<= 4x", note),
        Row("whole usetl invoke command", m["command"], "ms", m["fresh"],
            "fresh python3 -S -E, same imports", "",
            "exec to exit, with the image's verification"),
    ]


def cpu(bench):
    """CPU-bound Python, by the function's own clock and from outside."""
    folder = bench.tool.copy(os.path.join(HERE, "functions", "cpu"))
    image = bench.tool.bake(folder)
    event = json.dumps({"rounds": 60000 if bench.quick else 400000})
    outside, checks = [], set()

    def usetl():
        result, stats = bench.tool.invoke(image, event)
        checks.add(result["check"])
        outside.append(stats["run_us"] / 1e6 / result["seconds"])
        return result["seconds"] * 1e3

    with contextlib.ExitStack() as stack:
        process = peers.host(folder, bench.log("cpu"))
        stack.callback(process.stop)

        def host():
            result = process.ask(event)
            checks.add(result["check"])
            return result["seconds"] * 1e3

        m = bench.interleave({"usetl": usetl, "host": host}, 12, "cpu")
    if len(checks) != 1:
        raise Failed("the cpu function's results differ from the host's")
    return [Row("CPU-bound Python", m["usetl"], "ms", m["host"],
                "the same on the host", "<= 1.05x",
                f"the tender's clock says {statistics.median(outside):.3f}x "
                "of the guest's own")]


def get(bench):
    """A body into a file that the function reads, from one server."""
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

    usetl()                             # its clone's first request
    m = bench.interleave({
        "usetl": usetl, "urllib": lambda: same("urllib", process.ask(event)),
    }, 6 if mb > 64 else 12, f"GET {mb} MB")
    return Row(f"GET {mb} MB into a file, read", m["usetl"], "ms",
               m["urllib"], "urllib in a host process to tmpfs",
               "<= 1.2x" if mb == 64 else "",
               f"chunks of {GET_CHUNK >> 10} KB; by the guest's own clock "
               f"{statistics.median(inside):.1f} ms" if mb == 64 else "")


def memory(bench):
    """Private memory of what waits for its next request.

    In company: what a clone and its reference map of the snapshot, and a
    child and its parent of the heap, counts as private when nobody else has
    mapped the same page yet, so the measured clone is one of some that all
    have served, as each child has its parent.
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
                f"Private_* of smaps_rollup, each of {CLONES} clones that "
                f"have served; {statistics.median(alone):.1f} MB while only "
                "one of them has mapped the snapshot's pages")]


def http(bench):
    """Requests per second, by wrk, all servers up."""
    with contextlib.ExitStack() as stack:
        server = Server(bench.tool, bench.image, "json")
        stack.callback(server.stop)
        started = {"usetl": (server.process, server.url)}
        for name, start in (("ForkingMixIn", peers.fork_server),
                            ("gunicorn", peers.gunicorn)):
            try:
                started[name] = start(bench.folder, bench.log(name))
                stack.callback(started[name][0].stop)
            except Missing as e:
                started[name] = None, e
        for name, (process, url) in started.items():
            if process:
                bench.check(name, json.loads(peers.post(process, url,
                                                        bench.event)))
        urls = {name: url for name, (_, url) in started.items()}
        return [row for n in CONNECTIONS
                for row in http_connections(bench, urls, n)]


def present(figure):
    return None if isinstance(figure, Missing) else figure


def http_connections(bench, urls, n):
    seconds = 1 if bench.quick else 3
    errors = dict.fromkeys(urls, 0)

    def contestant(name, url):
        def run():
            if isinstance(url, Missing):
                raise url
            rate, failed = peers.wrk(url, bench.event_path, n, seconds)
            errors[name] += failed
            return rate
        return run

    m = bench.interleave({name: contestant(name, url)
                          for name, url in urls.items()}, 4,
                         f"HTTP, {n} connections")
    rows = []
    for name, peer, goal in (
            ("ForkingMixIn", "ForkingMixIn, fork per request", ">= 8x"),
            ("gunicorn", "gunicorn, two sync workers, no isolation",
             ">= 0.5x")):
        missing = [str(f) for f in (m["usetl"], m[name])
                   if isinstance(f, Missing)]
        rows.append(Row(
            f"requests/s, {n} connection{'s' if n > 1 else ''}",
            present(m["usetl"]), "/s", present(m[name]),
            missing[0] if missing else peer, goal if n == 8 else "",
            f"connections that failed: usetl {errors['usetl']}, {name} "
            f"{errors[name]}" if errors["usetl"] or errors[name] else ""))
    return rows


GROUPS = {"warm": warm, "cold": cold, "boot": boot, "cpu": cpu, "get": get,
          "memory": memory, "http": http}
