"""recycling.py - what it costs to give no request another's state

Throughput with both processors busy: a clone that is rolled back after each
request, one that keeps what requests leave, and a new clone for each.
"""

import contextlib

import peers
from measure import Missing
from rows import TENDERS, compare
from tool import Server

CONNECTIONS = 8
HOW = ("rollback", "keep", "fork")


def group(bench):
    seconds = 1 if bench.quick else 3
    rows = []
    for tender in TENDERS:
        with contextlib.ExitStack() as stack:
            contestants = {}
            for how in HOW:
                try:
                    server = Server(
                        bench.tool, None, "json", tender=tender,
                        conf=f"[function json]\nimage = {bench.image}\n"
                        f"recycle = {how}\n")
                except Missing as e:
                    contestants[how] = peers.Absent(e)
                    continue
                stack.callback(server.stop)
                contestants[how] = lambda url=server.url: peers.wrk(
                    url, bench.event_path, CONNECTIONS, seconds)[0]
            m = bench.interleave(contestants, 4, f"recycle, {tender}")
        name = f"requests/s, {CONNECTIONS} connections"
        rows += [
            compare(f"{name}, rollback, {tender}", m, "rollback", "/s", "keep",
                    "recycle = keep, no isolation", ">= 0.80x"),
            compare(f"{name}, a new clone each, {tender}", m, "fork", "/s",
                    "keep", "recycle = keep, no isolation")]
    return rows
