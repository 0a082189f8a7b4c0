#!/usr/bin/python3
"""bench.py - what usetl costs, as ratios measured in one run

usage: bench.py [--usetl PATH] [--json FILE] [--page FILE] [--quick]
                [--samples N] [--row TEXT]... [GROUP]...

Each row compares usetl with a peer on the same handler (t/functions/json,
unless the row says otherwise): medians of interleaved runs.  The table
goes to standard output and, one object a row, to FILE.  Exit status 1 when a
row could not be measured or a result was wrong; a goal that is missed shows
in the table and is no failure.  The group `sharing` has many functions on one
runtime, and takes up to 4 GB of memory.  The group `interference` compares
usetl with itself, alone and beside a bad function, and takes most of an hour.

The groups usetl-* and hyperfork-* are the figures of the two papers, measured
anew with peers of today; each takes some minutes.  GROUP may be a part of
such a name: figure2, or usetl for all of that paper.  The page, HTML, has the
tables and plots of this run, and of earlier ones for groups that did not run.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile

import coldstart
import figure
import machine
import recycling
import stored
from figures import FIGURES
from interference import interference
from measure import Failed, Missing, Progress
from page import Folder
from rows import GROUPS as COMPARISONS
from rows import Bench
from sharing import sharing
from table import Row, save, show
from tool import Tool

GROUPS = dict(COMPARISONS, recycle=recycling.group, stored=stored.group,
              coldstart=coldstart.group, sharing=sharing, **FIGURES, interference=interference)


def named(word):
    """The groups that a word stands for."""
    return [word] if word in GROUPS else \
        [g for g in GROUPS if word in g.split("-")]


def arguments():
    p = argparse.ArgumentParser(prog="bench.py", description=__doc__,
                                formatter_class=argparse.
                                RawDescriptionHelpFormatter)
    p.add_argument("--usetl", default="build/usetl", metavar="PATH")
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--page", metavar="FILE",
                   help="write tables and plots as HTML; what it is made of "
                   "is kept in a folder of that name without its ending")
    p.add_argument("--quick", action="store_true",
                   help="fewer runs and small bodies: does it work at all?")
    p.add_argument("--samples", type=int, metavar="N",
                   help="for figures: repeats, at most; for interference: "
                   "requests in each round, beside the other function and "
                   "alone, 50 a second (600)")
    p.add_argument("--row", action="append", default=[], metavar="TEXT",
                   help="for interference: only rows whose name contains TEXT")
    p.add_argument("--only", action="append", default=[], metavar="GROUP",
                   help="the same as GROUP")
    p.add_argument("groups", nargs="*", metavar="GROUP",
                   help="one of " + ", ".join(GROUPS) + " (all of them)")
    args = p.parse_args()
    words = args.groups + args.only
    for word in words:
        if not named(word):
            p.error(f"no group '{word}'; there are {', '.join(GROUPS)}")
    args.groups = {g for word in words or GROUPS for g in named(word)}
    if args.samples is not None and not 1 <= args.samples <= 5000:
        p.error("--samples is 1 to 5000")
    return args


def measure(tool, args, progress, keep, kept):
    """({group: its rows and figures}, what failed); keep(group, results) is
    told each group's as soon as they are there."""
    found, failures = {}, []
    bench = Bench(tool, progress, args.quick, args.samples, args.row, kept)
    for name, group in GROUPS.items():
        if name not in args.groups:
            continue
        try:
            found[name] = group(bench)
        except (Failed, OSError, ValueError, KeyError,
                subprocess.SubprocessError) as e:
            failures.append(f"{name}: {e}")
            found[name] = [Row(name, None, "", note="could not be measured")]
            if isinstance(e, Missing):
                found[name][0].peer_name = str(e)
        keep(name, found[name])
    return found, failures + bench.failures


def report(found, where, stream):
    """All rows as one table, then figure by figure.  Returns the records."""
    results = [r for group in found.values() for r in group]
    rows = [r for r in results if isinstance(r, Row)]
    figures = [r for r in results if not isinstance(r, Row)]
    if rows:
        show(rows, where, stream)
    else:
        print(where, file=stream)
    for f in figures:
        figure.show(f, stream)
    return [r.record(where) for r in rows] + \
        [f.record(m, where) for f in figures for m in f.marks]


def main():
    args = arguments()
    progress = Progress()
    where = machine.describe()
    page = Folder(args.page) if args.page else None
    tmp = tempfile.mkdtemp(prefix="usetl-bench.")

    def keep(group, results):
        if page:
            page.save(group, where, results)

    try:
        found, failures = measure(Tool(args.usetl, tmp), args, progress, keep,
                                  page and page.path)
    except (Failed, OSError) as e:
        progress.clear()
        print(f"bench: {e}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    progress.clear()
    records = report(found, where, sys.stdout)
    if args.json:
        save(records, args.json)
    for line in page.compose(GROUPS) if page else ():
        print(f"bench: {line}", file=sys.stderr)
    for f in failures:
        print(f"bench: {f}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
