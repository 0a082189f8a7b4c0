"""plot.py - a figure as SVG, drawn by gnuplot

Means, with a whisker of one standard deviation to each side.  A figure whose x
is a number has lines, any other one horizontal bars, which leave room for
names; those of usetl have a colour of their own.  An axis is logarithmic where
what it shows differs by more than a factor of 20.
"""

import shutil
import subprocess

from measure import Failed, Missing
from table import figure as amount

FAR = 20                                # from here on an axis is logarithmic
COLOURS = ("#0b6fa4", "#d1495b", "#2e8b57", "#8d6a9f", "#c77d0a", "#5b5b5b",
           "#17a2a2", "#a0522d")
TIMEOUT = 60                            # seconds


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def far(values):
    values = [v for v in values if v > 0]
    return bool(values) and max(values) > FAR * min(values)


def whisker(mark, log):
    """(from, to); a logarithmic axis has no place for what is not above 0."""
    spread = mark.deviation or 0
    low = mark.mean - spread
    return max(low, mark.mean / 10 if log else 0), mark.mean + spread


def block(name, rows):
    return [f"${name} << EOD", *rows, "EOD"]


def axis(figure):
    return f"{figure.y}, {figure.unit}"


def bars(figure, marks):
    """A bar for each mark, the first on top; the value stands at its end."""
    log = far(m.mean for m in marks)
    ends = [whisker(m, log) for m in marks]
    low = min(min(e[0] for e in ends), min(m.mean for m in marks)) / 2 \
        if log else 0
    high = max(e[1] for e in ends) * (6 if log else 1.25)
    data, tics, texts = [], [], []
    for i, (m, (a, b)) in enumerate(zip(marks, ends)):
        y = len(marks) - i
        rgb = int(COLOURS[0 if "usetl" in m.who else 4][1:], 16)
        data.append(f"{m.mean:.6g} {y} {low:.6g} {m.mean:.6g} {y - .36} "
                    f"{y + .36} {a:.6g} {b:.6g} {rgb}")
        name = ", ".join(filter(None, (m.who, figure.where(m))))
        tics.append(f"{quoted(name)} {y}")
        texts.append(f"set label {i + 1} {quoted(amount(m.mean, figure.unit))}"
                     f" at {b:.6g},{y} left offset 0.6,0")
    return 120 + 27 * len(marks), block("d", data) + texts + [
        "unset key",
        f"set ytics ({', '.join(tics)}) nomirror scale 0",
        f"set yrange [0.4:{len(marks) + .6}]",
        f"set xlabel {quoted(axis(figure))}",
        f"set xrange [{low:.6g}:{high:.6g}]",
        "set grid xtics",
        *(["set logscale x"] if log else []),
        "plot $d using 1:2:3:4:5:6:9 with boxxyerror fill solid 0.75 noborder "
        "lc rgb variable, "
        "$d using 1:2:7:8 with xerrorbars pt 0 lw 1.5 lc rgb '#222222'",
    ]


def lines(figure, marks):
    """A line for each contestant."""
    log = far(m.mean for m in marks)
    script, plots = [], []
    for i, who in enumerate(dict.fromkeys(m.who for m in marks)):
        rows = []
        for m in sorted((m for m in marks if m.who == who),
                        key=lambda m: m.x):
            a, b = whisker(m, log)
            rows.append(f"{m.x:g} {m.mean:.6g} {a:.6g} {b:.6g}")
        script += block(f"d{i}", rows)
        style = (f"lc rgb '{COLOURS[i % len(COLOURS)]}' lw 2 "
                 f"pt {(5, 7, 9, 13, 4, 6, 8, 12)[i % 8]} ps 0.7")
        plots += [f"$d{i} using 1:2:3:4 with yerrorlines {style} "
                  f"title {quoted(who)}"]
    xs = sorted({m.x for m in marks})
    tics = ", ".join(f"'{x:g}' {x:g}" for x in xs)
    return 460, script + [
        "set key below Left reverse samplen 2 spacing 1.2 width 2 height 1",
        f"set xlabel {quoted(f'{figure.x}, {figure.x_unit}')} offset 0,0.8",
        f"set ylabel {quoted(axis(figure))}",
        f"set xtics ({tics})",
        *(["set logscale x 2", f"set xrange [{xs[0] / 1.3:g}:"
           f"{xs[-1] * 1.3:g}]"] if far(xs) else []),
        *(["set logscale y"] if log else ["set yrange [0:*]"]),
        "set grid xtics ytics",
        "plot " + ", ".join(plots),
    ]


def script(figure):
    """What gnuplot is told; None when nothing was measured."""
    marks = [m for m in figure.marks if m.values]
    if not marks:
        return None
    drawn = lines if all(not isinstance(m.x, str) for m in marks) else bars
    height, body = drawn(figure, marks)
    return "\n".join([
        f"set terminal svg size 900,{height} dynamic font 'sans-serif,13' "
        "background '#ffffff'",
        "set encoding utf8",
        f"set title {quoted(f'{figure.name}: {figure.title}')} noenhanced",
        "set border 3 lc rgb '#666666'", "set tics nomirror noenhanced",
        "set key noenhanced", "set grid lc rgb '#dddddd'",
        *body, ""])


def draw(figure):
    """SVG; raises Missing without gnuplot or without anything to draw."""
    text = script(figure)
    if not text:
        raise Missing("nothing was measured")
    if not shutil.which("gnuplot"):
        raise Missing("gnuplot is not installed; t/deps.sh bench")
    p = subprocess.run(["gnuplot"], input=text, capture_output=True,
                       text=True, timeout=TIMEOUT)
    if p.returncode or "</svg>" not in p.stdout:
        raise Failed(f"gnuplot: {figure.name}: {p.stderr.strip()}")
    return p.stdout[p.stdout.index("<svg"):]
