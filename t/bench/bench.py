#!/usr/bin/python3
"""bench.py - what usetl costs, as ratios measured in one run

usage: bench.py [--usetl PATH] [--json FILE] [--quick] [--samples N]
                [--row TEXT]... [GROUP]...

Each row compares usetl with a peer on the same handler (t/functions/json,
unless the row says otherwise): medians of interleaved runs.  The table
goes to standard output and, one object a row, to FILE.  Exit status 1 when a
row could not be measured or a result was wrong; a goal that is missed shows
in the table and is no failure.  The group `interference` compares usetl with
itself, alone and beside a bad function, and takes most of an hour.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile

import machine
from interference import interference
from measure import Failed, Missing, Progress
from rows import GROUPS as COMPARISONS
from rows import Bench
from table import Row, save, show
from tool import Tool

GROUPS = dict(COMPARISONS, interference=interference)


def arguments():
    p = argparse.ArgumentParser(prog="bench.py", description=__doc__,
                                formatter_class=argparse.
                                RawDescriptionHelpFormatter)
    p.add_argument("--usetl", default="build/usetl", metavar="PATH")
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--quick", action="store_true",
                   help="fewer runs and small bodies: does it work at all?")
    p.add_argument("--samples", type=int, default=600, metavar="N",
                   help="for interference: requests in each round, beside the "
                   "other function and alone, 50 a second (600)")
    p.add_argument("--row", action="append", default=[], metavar="TEXT",
                   help="for interference: only rows whose name contains TEXT")
    p.add_argument("--only", action="append", default=[], metavar="GROUP",
                   help="the same as GROUP")
    p.add_argument("groups", nargs="*", metavar="GROUP",
                   help="one of " + ", ".join(GROUPS) + " (all of them)")
    args = p.parse_args()
    args.groups += args.only
    for name in args.groups:
        if name not in GROUPS:
            p.error(f"no group '{name}'; there are {', '.join(GROUPS)}")
    if not 1 <= args.samples <= 5000:
        p.error("--samples is 1 to 5000")
    return args


def measure(tool, args, progress):
    """(rows, what failed)"""
    rows, failures = [], []
    bench = Bench(tool, progress, args.quick, args.samples, args.row)
    for name, group in GROUPS.items():
        if args.groups and name not in args.groups:
            continue
        try:
            rows += group(bench)
        except (Failed, OSError, ValueError, KeyError,
                subprocess.SubprocessError) as e:
            failures.append(f"{name}: {e}")
            rows.append(Row(name, None, "", note="could not be measured"))
            if isinstance(e, Missing):
                rows[-1].peer_name = str(e)
    return rows, failures + bench.failures


def main():
    args = arguments()
    progress = Progress()
    where = machine.describe()
    tmp = tempfile.mkdtemp(prefix="usetl-bench.")
    try:
        rows, failures = measure(Tool(args.usetl, tmp), args, progress)
    except (Failed, OSError) as e:
        progress.clear()
        print(f"bench: {e}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    progress.clear()
    show(rows, where, sys.stdout)
    if args.json:
        save(rows, where, args.json)
    for f in failures:
        print(f"bench: {f}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
