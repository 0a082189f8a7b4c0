"""table.py - rows, as a table for people and as JSON for programs"""

import dataclasses
import fractions
import json
import os


@dataclasses.dataclass
class Row:
    """One comparison.  The goal is a limit, at most (<=) or at least (>=): for
    the ratio ours/peer if it ends in x, as in <= 1/25x, otherwise for ours."""

    name: str
    ours: float | None
    unit: str
    peer: float | None = None
    peer_name: str = ""
    goal: str = ""
    note: str = ""

    @property
    def ratio(self):
        if not self.peer or self.ours is None:
            return None
        return self.ours / self.peer

    @property
    def met(self):
        """Whether the goal is reached; None when there is none or nothing
        was measured."""
        sign, _, limit = self.goal.partition(" ")
        value = self.ratio if limit.endswith("x") else self.ours
        if not self.goal or value is None:
            return None
        limit = fractions.Fraction(limit.rstrip("x").split()[0])
        return value <= limit if sign == "<=" else value >= limit

    def record(self, machine):
        return {"name": self.name, "ours": self.ours, "peer": self.peer,
                "unit": self.unit, "ratio": self.ratio,
                "goal": self.goal or None, "met": self.met,
                "peer_name": self.peer_name or None,
                "note": self.note or None, "machine": machine}


def figure(value, unit):
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f} {unit}"


def times(ratio):
    """A ratio, with two digits when it is small."""
    if ratio is None:
        return "-"
    return f"{ratio:.2f}x" if ratio >= 0.1 else f"{ratio:.2g}x"


COLUMNS = ("", "usetl", "peer", "ratio", "goal", "", "peer is")


def cells(row):
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    return (row.name, figure(row.ours, row.unit), figure(row.peer, row.unit),
            times(row.ratio), row.goal, verdict, row.peer_name)


def show(rows, machine, stream):
    lines = [COLUMNS] + [cells(r) for r in rows]
    width = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    print(machine, "", sep="\n", file=stream)
    for n, line in enumerate(lines):
        text = "  ".join(c.rjust(w) if 0 < i < 4 else c.ljust(w)
                         for i, (c, w) in enumerate(zip(line, width)))
        print(text.rstrip(), file=stream)
        if n == 0:
            print("-" * min(len(text), 100), file=stream)
    notes = [(r.name, r.note) for r in rows if r.note]
    if notes:
        print(file=stream)
    for name, note in notes:
        print(f"{name}: {note}", file=stream)
    goals = [r.met for r in rows if r.goal]
    lost = goals.count(None)
    print(f"\n{goals.count(True)} of {len(goals)} goals reached" +
          (f", {lost} not measured" if lost else ""), file=stream)


def save(records, path):
    """One record a line; the file appears complete or not at all."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    text = ",\n".join(map(json.dumps, records))
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(f"[\n{text}\n]\n")
    os.rename(path + ".new", path)
