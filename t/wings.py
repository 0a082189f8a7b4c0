#!/usr/bin/python3
"""Fails, naming both ends, where a lower wing uses a higher one.

    wings.py BUILD      the folder of the objects

A wing uses itself and those before it in its row; what uses what is read from
the objects' symbols (nm) and from the files' includes."""
import pathlib
import re
import subprocess
import sys

ROWS = [
    ["unikernel/" + w for w in
     "lib arch mem task fs map ipc dev start".split()],
    ["conf"] +
    ["etlfs/" + w for w in "store image fetch region bake".split()] +
    ["vmm/" + w for w in "memory tender jail host guest pool".split()] +
    ["cmd"],
]

# what both sides of the boundary read
CONTRACTS = ["unikernel/abi.h", "etlfs/format.h"]


def symbols(objects, which):
    """The global names that objects define, or those they use, each with its
    object, in the objects' order."""
    out = subprocess.run(["nm", "-gA", "--format=posix", which, *objects],
                         check=True, text=True, stdout=subprocess.PIPE).stdout
    # of each line "path: name type ..."; no path has a colon
    for path, line in (l.split(": ", 1) for l in out.splitlines()):
        yield pathlib.Path(path), line.split()[0]


def upward(build, row):
    """Each use of a higher wing, as a line; and how many uses there are."""
    objects = {o: n for n, wing in enumerate(row)
               for o in sorted((build / wing).glob("*.o"))
               if list(pathlib.Path(wing).glob(o.stem + ".[cS]"))}
    home = {s: o for o, s in symbols(objects, "--defined-only")}
    uses = [(o, home[s], s) for o, s in symbols(objects, "--undefined-only")
            if s in home]
    return [f"{a.relative_to(build)} uses {name} of {b.relative_to(build)}"
            for a, b, name in uses if objects[b] > objects[a]], len(uses)


def included(row):
    """Each header of a higher wing that a file includes, as a line."""
    of = {wing: n for n, wing in enumerate(row)}
    # proto.h is what the wings of vmm say to each other
    level = {"vmm/proto.h": of.get("vmm/memory", len(row)),
             **{contract: 0 for contract in CONTRACTS}}
    return [f"{f} includes {path}" for wing in row
            for f in sorted(pathlib.Path(wing).glob("*.[chS]"))
            for path in re.findall(r'#include "([^"]+)"', f.read_text())
            if level.get(path, of.get(path.rpartition("/")[0], len(row)))
            > of[wing]]


def main():
    build = pathlib.Path(sys.argv[1])
    bad = []
    for row in ROWS:
        lines, uses = upward(build, row)
        if uses < 100:
            lines.append(f"{row}: only {uses} uses, is it built?")
        bad += lines + included(row)
    print("\n".join(bad), end="\n" if bad else "")
    return bool(bad)


sys.exit(main())
