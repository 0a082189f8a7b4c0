"""sharing.py - many small functions on one machine, and one runtime of theirs

The functions differ by a line.  Those of the first rows are as many images;
where there are more functions than that, several names have the same image,
and still each has a snapshot and clones of its own.
"""

import contextlib
import functools
import os
import shutil
import statistics
import time

import peers
from measure import Failed, Missing
from process import (family, held_bytes, kernel_bytes, meminfo, private_bytes,
                     proportional_bytes)
from rows import TENDERS, compare
from table import Row
from tool import Server

FEW = 20                                # functions that are ready at once
MANY = 200                              # and those called now and then
HERD, HERDS = 1000, 10                  # idle clones, and their functions
IDLE = 10                               # seconds of pool.idle
PATIENCE = 120                          # seconds until something is so
PAUSE = 0.1                             # until a shell waits for the next call
ROUNDS = 3
CALLS = 30                              # of each function of a herd
LOOKED_AT = 100                         # clones whose memory is read
ROOM = 4 << 30                          # bytes that must be free, for many
FORK = "os.fork() per request"


class Functions:
    """Small functions, baked: what a server's configuration says of them."""

    def __init__(self, bench, count):
        self.bench, self.images = bench, []
        for n in range(count):
            bench.progress.say(f"bake {n + 1} of {count} functions")
            folder = os.path.join(bench.tool.tmp, f"small{n}")
            shutil.copytree(bench.folder, folder)
            with open(os.path.join(folder, "app.py"), "a",
                      encoding="utf-8") as f:
                f.write(f"\n\nNUMBER = {n}\n")
            self.images.append(bench.tool.bake(folder))

    def serve(self, count, tender, pool, store=None):
        """(server, seconds until all are ready)"""
        kept = f"[serve]\nstore = {store}\n" if store else ""
        conf = f"{kept}[pool]\n{pool}\n" + "".join(
            f"[function f{n}]\nimage = {self.images[n % len(self.images)]}\n"
            for n in range(count))
        start = time.perf_counter()
        # it listens when they are ready
        server = Server(self.bench.tool, None, "f0", tender=tender, conf=conf)
        seconds = time.perf_counter() - start
        waiting = [name for name, f in server.functions().items()
                   if not f["ready"]]
        if waiting:
            server.stop()
            raise Failed(f"not ready: {' '.join(waiting)}")
        return server, seconds

    def call(self, server, count, pause=0.0):
        """Milliseconds that each took to answer, one after the other with so
        many seconds between them, and those of them by the tender's clock."""
        took, inside = [], []
        for n in range(count):
            time.sleep(pause)
            start = time.perf_counter()
            result, us = server.call(self.bench.event, name=f"f{n}")
            took.append((time.perf_counter() - start) * 1e3)
            inside.append(us / 1e3)
            self.bench.check("usetl serve", result)
        return took, inside

    def room(self, what):
        if meminfo("MemAvailable") < ROOM:
            raise Missing(f"{what}: {ROOM >> 30} GB of memory must be free")


def until(what, check):
    end = time.monotonic() + PATIENCE
    while not check():
        if time.monotonic() > end:
            raise Failed(f"after {PATIENCE} s {what}")
        time.sleep(0.1)


def until_idle(server, clones):
    until(f"there are no {clones:,} idle clones", lambda: sum(
        f["clones"]["idle"] for f in server.functions().values()) == clones)


def named(server, *names):
    """Process ids of a server's processes of these names."""
    return [pid for pid, name in family(server.process.pid) if name in names]


def from_store(functions, count, tender, sizes):
    """Seconds until all are ready by what an earlier server kept."""
    store = os.path.join(functions.bench.tool.tmp, f"store-{tender}")
    snapshots = os.path.join(store, "snapshots")
    if not os.path.isdir(snapshots):
        server, _ = functions.serve(count, tender, "share = yes", store)
        with contextlib.ExitStack() as stack:
            stack.callback(server.stop)
            until("snapshots are missing in the store",     # and the runtime's
                  lambda: len(os.listdir(snapshots)) == count + 1)
    server, seconds = functions.serve(count, tender, "share = yes", store)
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        with open(server.log, encoding="utf-8") as f:
            found = f.read().count("from the store")
        if found != count:
            raise Failed(f"{found} of {count} functions are from the store")
        functions.call(server, count)
    sizes.append(sum(os.stat(os.path.join(snapshots, name)).st_blocks * 512
                     for name in os.listdir(snapshots)) / 1e6)
    return seconds


def few(bench, functions):
    """Some that have been started, with one runtime and with one each."""
    count, half = len(functions.images), len(functions.images) // 2
    used = {}                           # megabytes by (contestant, functions)

    def start(n, tender, share):
        server, seconds = functions.serve(n, tender, f"share = {share}")
        with contextlib.ExitStack() as stack:
            stack.callback(server.stop)
            until_idle(server, n)
            used.setdefault((tender + share, n), []).append(sum(
                proportional_bytes(pid)
                for pid, _ in family(server.process.pid)) / 1e6)
            functions.call(server, n)
        return seconds

    def each(n):
        return {tender + share: functools.partial(start, n, tender, share)
                for tender in TENDERS for share in ("yes", "no")}

    sizes = []
    ready = bench.interleave({
        **each(count),
        **{tender + "store": functools.partial(
            from_store, functions, count, tender, sizes)
           for tender in TENDERS}}, ROUNDS, f"{count} functions")
    bench.interleave(each(half), ROUNDS, f"{half} functions")

    def memory(n):
        return {name: got if isinstance(got, Missing) else
                statistics.median(used[name, n])
                for name, got in ready.items()
                if not name.endswith("store")}

    all_of_them, some = memory(count), memory(half)
    further = {name: got if isinstance(got, Missing) else
               (got - some[name]) / (count - half)
               for name, got in all_of_them.items()}
    peer = "the same, each its own runtime"
    rows = []
    for tender in TENDERS:
        rows.append(compare(
            f"{count} functions, one runtime: ready, store filled, {tender}",
            ready, tender + "store", "s", tender + "yes",
            "the same, without a store", "<= 0.25 s",
            f"the store has {max(sizes):.1f} MB" if sizes else ""))
        for what, figures, unit, goal, note in (
                ("ready", ready, "s", "<= 0.8 s",
                 "from exec to all ready, without a store"),
                ("Pss", all_of_them, "MB", "<= 150 MB",
                 "of all processes, each function with a clone that has "
                 "served no request"),
                ("Pss of one more", further, "MB", "<= 3 MB",
                 f"of {count} and of {half} functions")):
            rows.append(compare(
                f"{count} functions, one runtime: {what}, {tender}", figures,
                tender + "yes", unit, tender + "no", peer, goal,
                note if tender == TENDERS[0] else ""))
    return rows


def megabytes(*paths):
    """On the disk, of files and of all that is in folders."""
    files = [path for path in paths if os.path.isfile(path)] + [
        os.path.join(at, name) for path in paths
        for at, _, names in os.walk(path) for name in names]
    return sum(os.stat(path).st_blocks * 512 for path in files) / 1e6


def disk(bench, functions):
    """Thin images, which name their layers, and the store that has those."""
    store, thin = os.path.join(bench.tool.tmp, "layers"), []
    for n, whole in enumerate(functions.images):
        bench.progress.say(f"bake {n + 1} thin images")
        thin.append(whole + ".thin")
        bench.tool.run("bake", "--thin", "--store", store, "--no-check", "-o",
                       thin[-1], whole.removesuffix(".usetl"))
    whole = megabytes(*functions.images)
    return Row(f"{len(thin)} functions, one runtime: disk",
               megabytes(store, *thin), "MB", whole,
               "whole images, without a store", "<= 90 MB",
               f"thin images {megabytes(*thin):.1f} MB, the rest is the store")


def asked(fork, bench):
    """Milliseconds of a request by os.fork()."""
    got = fork.ask("30")
    bench.check("zygote.py", got["result"])
    return statistics.median(got["us"]) / 1e3


def called(bench, functions, count, idle, tender, fork):
    """All called once, and again when none of them has a process."""
    functions.room(f"{count} functions")
    kernel = kernel_bytes()
    server, _ = functions.serve(count, tender,
                                f"share = yes\nmin = 0\nidle = {idle}s")
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)

        def used():
            return (held_bytes([pid for pid, _ in family(server.process.pid)])
                    + kernel_bytes() - kernel) / 1e9

        def found():
            return sum(f["starts"]["shell"]
                       for f in server.functions().values())

        def again(pause):
            """What they take when none has a process, that of the tenders,
            how many found a shell, and the memory before and after."""
            until("functions that nobody calls have processes", lambda: not
                  named(server, "usetl-ref", "usetl-clone", "usetl-guest"))
            rest, before = used(), found()
            took, inside = functions.call(server, count, pause)
            return took, inside, found() - before, rest, used()

        ready, (first, _) = used(), functions.call(server, count)
        once = used()
        row, _, row_found, rest, after = again(0.0)
        took, inside, took_found, *_ = again(PAUSE)
        most = max(ready, once, after)
    name = f"{count} functions, each called once"
    return [
        Row(f"{name}: memory, {tender}", most, "GB", goal="<= 1 GB",
            note="the most of four readings, with snapshots that no process "
            f"has mapped and the kernel's own; ready {ready:.2f} GB, called "
            f"{once:.2f}, after pool.idle {rest:.2f}"),
        Row(f"{name}: after pool.idle, {tender}", statistics.median(took),
            "ms", goal="<= 5 ms",
            note=f"by HTTP, {PAUSE} s from one to the next, of it "
            f"{statistics.median(inside):.1f} ms of run; the first time "
            f"{statistics.median(first):.1f} ms, the slowest {max(first):.1f} "
            f"and {max(took):.1f} ms; {took_found} of them found a shell"),
        Row(f"{name}: after pool.idle, in a row, {tender}",
            statistics.median(row), "ms", goal="<= 5 ms",
            note=f"the slowest {max(row):.1f} ms; {row_found} of them found a "
            "shell"),
        Row(f"{name}: after pool.idle, {tender}", statistics.median(took),
            "ms", asked(fork, bench), FORK,
            "<= 1.5x" if tender == "kvm" else "<= 0.5x"),
    ]


def herd(bench, functions, herds, clones, tender, fork):
    """Idle clones, all there at a time."""
    functions.room(f"{herds * clones:,} clones")
    kernel = kernel_bytes()
    server, _ = functions.serve(
        herds, tender, f"share = yes\nmin = {clones}\nmax = {clones}")
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        until_idle(server, herds * clones)
        for _ in range(CALLS):
            functions.call(server, herds)
        found = named(server, "usetl-clone")
        if len(found) != herds * clones:
            raise Failed(f"{herds * clones} clones expected, not "
                         f"{len(found)}")
        own = kernel_bytes() - kernel
        total = own + held_bytes([p for p, _ in family(server.process.pid)])
        private = [sum(private_bytes(p) for p, _ in family(pid))
                   for pid in found[::max(1, len(found) // LOOKED_AT)]]
        time.sleep(1)
        after, _ = functions.call(server, herds)
    name = f"{herds * clones:,} idle clones of {herds} functions"
    return [
        Row(f"{name}: memory, {tender}", total / 1e9, "GB", goal="<= 2 GB",
            note=f"of it the kernel's own {own / 1e9:.2f} GB"),
        Row(f"{name}: private, {tender}", statistics.median(private) / 1e3,
            "KB", goal="<= 300 KB",
            note=f"Private_* of smaps_rollup, median of {len(private)} of "
            "them, few of which have served a request"),
        Row(f"{name}: next request, {tender}", statistics.median(after), "ms",
            asked(fork, bench), FORK, note="by HTTP"),
    ]


def sharing(bench):
    few_n, many, clones, idle = (4, 20, 5, 2) if bench.quick else \
        (FEW, MANY, HERD // HERDS, IDLE)
    functions = Functions(bench, few_n)
    rows = [*few(bench, functions), disk(bench, functions)]
    parts = {
        f"{many} functions, each called once":
            functools.partial(called, bench, functions, many, idle),
        f"{HERDS * clones:,} idle clones of {HERDS} functions":
            functools.partial(herd, bench, functions, HERDS, clones),
    }
    with peers.zygote("fork", bench.folder, bench.event_path,
                      bench.log("sharing-fork")) as fork:
        for name, part in parts.items():
            for tender in TENDERS:
                bench.progress.say(f"{name}, {tender}")
                try:
                    rows += part(tender, fork)
                except Failed as e:
                    missing = isinstance(e, Missing)
                    if not missing:
                        bench.failures.append(f"{name}, {tender}: {e}")
                    rows.append(Row(
                        f"{name}, {tender}", None, "",
                        peer_name=str(e) if missing else "",
                        note="" if missing else "could not be measured"))
    return rows
