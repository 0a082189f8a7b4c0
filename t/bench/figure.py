"""figure.py - a figure of a paper, measured again: marks, and their table

A figure has marks: what one contestant needed at one place of the x axis, as
many times as it ran.  A mark that could not be measured says why.
"""

import dataclasses
import statistics

from measure import Missing
from table import Row, times
from table import figure as amount


@dataclasses.dataclass
class Mark:
    """All that one contestant was measured to need at x; why, if nothing."""

    who: str
    x: float | str
    values: list
    why: str = ""

    @property
    def median(self):
        return statistics.median(self.values) if self.values else None

    @property
    def mean(self):
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self):
        """The sample's standard deviation; of one value there is none."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclasses.dataclass
class Figure:
    """name is the paper's, as "USETL figure 5", title says what is shown, y
    what is measured, in unit.  Where x is a number, in x_unit, the plot has a
    line for each contestant, otherwise a bar for each mark.  Ratios are of
    medians, to the mark of `base` with the same x."""

    name: str
    title: str
    y: str
    unit: str
    base: str
    x: str = ""
    x_unit: str = ""
    note: str = ""
    marks: list = dataclasses.field(default_factory=list)

    def add(self, measured, x=""):
        """measured: {contestant: its values, or the Missing it raised}"""
        for who, values in measured.items():
            missing = isinstance(values, Missing)
            self.marks.append(Mark(who, x, [] if missing else list(values),
                                   str(values) if missing else ""))

    def where(self, mark):
        """The mark's place on the x axis, as people write it."""
        if isinstance(mark.x, str):
            return mark.x
        return f"{mark.x:g} {self.x_unit}".rstrip()

    def row_name(self, mark):
        return ", ".join(filter(None, (self.name, self.where(mark),
                                       mark.who)))

    def ratio(self, mark):
        base = [m.median for m in self.marks
                if m.who == self.base and m.x == mark.x]
        if not base or not base[0] or mark.median is None:
            return None
        return mark.median / base[0]

    def mark(self, who, x=""):
        """The mark there of whoever's name begins so."""
        return next(m for m in self.marks
                    if m.x == x and m.who.startswith(who))

    def compared(self, name, ours, theirs, peer, goal):
        """A Row of two marks, each given as (who, x); peer says what the
        second is."""
        ours, theirs = self.mark(*ours), self.mark(*theirs)
        return Row(name, ours.median, self.unit, theirs.median,
                   ours.why or theirs.why or peer, goal)

    def record(self, mark, machine):
        return {"name": self.row_name(mark), "figure": self.name,
                "who": mark.who, "x": mark.x, "x_unit": self.x_unit or None,
                "unit": self.unit, "n": len(mark.values),
                "median": mark.median, "mean": mark.mean,
                "deviation": mark.deviation, "ratio": self.ratio(mark),
                "base": self.base, "missing": mark.why or None,
                "machine": machine}


COLUMNS = ("", "n", "median", "mean", "deviation", "ratio", "")


def cells(figure, mark):
    return (figure.row_name(mark), str(len(mark.values) or "-"),
            *(amount(v, figure.unit)
              for v in (mark.median, mark.mean, mark.deviation)),
            times(figure.ratio(mark)), mark.why)


def show(figure, stream):
    lines = [COLUMNS] + [cells(figure, m) for m in figure.marks]
    width = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    print(f"\n{figure.name}: {figure.title}\n", file=stream)
    for n, line in enumerate(lines):
        text = "  ".join(c.rjust(w) if 0 < i < 6 else c.ljust(w)
                         for i, (c, w) in enumerate(zip(line, width)))
        print(text.rstrip(), file=stream)
        if n == 0:
            print("-" * min(len(text), 100), file=stream)
    print(f"\nratio: of medians, to {figure.base}", file=stream)
    if figure.note:
        print(figure.note, file=stream)
