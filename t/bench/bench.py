#!/usr/bin/python3
"""bench.py - what usetl costs, as ratios measured in one run

usage: bench.py [--usetl PATH] [--json FILE] [--quick] [--only GROUP]...

Each row compares usetl with a peer on the same handler (t/functions/json,
unless the row says otherwise): medians of runs that take turns.  The table
goes to standard output and, one object a row, to FILE.  Exit status 1 when a
row could not be measured or a result was wrong; a goal that is missed shows
in the table and is no failure.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile

import machine
from measure import Failed, Missing, Progress
from rows import GROUPS, Bench
from table import Row, save, show
from tool import Tool


def arguments():
    p = argparse.ArgumentParser(prog="bench.py", description=__doc__,
                                formatter_class=argparse.
                                RawDescriptionHelpFormatter)
    p.add_argument("--usetl", default="build/usetl", metavar="PATH")
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--quick", action="store_true",
                   help="fewer runs and small bodies: does it work at all?")
    p.add_argument("--only", action="append", choices=sorted(GROUPS),
                   metavar="GROUP", help=", ".join(GROUPS))
    return p.parse_args()


def measure(tool, args, progress):
    """(rows, what failed)"""
    rows, failures = [], []
    bench = Bench(tool, progress, args.quick)
    for name, group in GROUPS.items():
        if args.only and name not in args.only:
            continue
        try:
            rows += group(bench)
        except (Failed, OSError, ValueError, KeyError,
                subprocess.SubprocessError) as e:
            failures.append(f"{name}: {e}")
            rows.append(Row(name, None, "", note="could not be measured"))
            if isinstance(e, Missing):
                rows[-1].peer_name = str(e)
    return rows, failures


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
