"""page.py - all groups' tables and plots as one page

A group is kept in a file of its own beside the page, GROUP.json, so that a run
of one group renews its part and leaves those of earlier runs, each with its
machine and its time.
"""

import dataclasses
import html
import json
import os
import time

import figure
import plot
import table
from measure import Failed

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 68em; margin: 2em auto;
       padding: 0 1em; color: #222 }
h1, h2 { font-weight: 600 }
h2 { margin-top: 2.5em; border-top: 1px solid #ccc; padding-top: .6em }
table { border-collapse: collapse; font-size: 13px; margin: 1em 0 }
th, td { padding: .15em .7em; text-align: right; white-space: nowrap;
         border-bottom: 1px solid #eee }
th:first-child, td:first-child, th:last-child, td:last-child
{ text-align: left }
td:last-child { white-space: normal; min-width: 16em }
.machine, .note { color: #555; font-size: 13px }
.note { margin: .3em 0 }
svg { max-width: 100%; height: auto }
"""


class Folder:
    """The parts of a page."""

    def __init__(self, page):
        self.page = os.path.abspath(page)
        self.path = os.path.splitext(self.page)[0]
        os.makedirs(self.path, exist_ok=True)

    def write(self, path, text):
        """The file appears complete or not at all."""
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def save(self, group, machine, results):
        """results: the group's Rows and Figures."""
        rows = [r for r in results if isinstance(r, table.Row)]
        drawn = [f for f in results if isinstance(f, figure.Figure)]
        self.write(os.path.join(self.path, group + ".json"), json.dumps({
            "machine": machine,
            "time": time.strftime("%Y-%m-%d %H:%M %Z"),
            "rows": [dataclasses.asdict(r) for r in rows],
            "figures": [dataclasses.asdict(f) for f in drawn]}, indent=1))

    def load(self, group):
        """(machine, time, rows, figures) of its last run, or None."""
        try:
            with open(os.path.join(self.path, group + ".json"),
                      encoding="utf-8") as f:
                kept = json.load(f)
            return (kept["machine"], kept["time"],
                    [table.Row(**r) for r in kept["rows"]],
                    [figure.Figure(**dict(f, marks=[
                        figure.Mark(**m) for m in f["marks"]]))
                     for f in kept["figures"]])
        except (OSError, ValueError, KeyError, TypeError):
            return None                 # never run, or by an earlier bench

    def compose(self, groups):
        """Writes the page.  Returns what could not be drawn."""
        parts, failures = [], []
        for group in groups:
            kept = self.load(group)
            if kept:
                parts.append(self.section(group, *kept, failures))
        self.write(self.page, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta "
                   "charset=\"utf-8\">\n<title>usetl: make bench</title>\n"
                   f"<style>{STYLE}</style>\n<h1>usetl: make bench</h1>\n"
                   "<p>Plots show means, with whiskers of one standard "
                   "deviation, which on a logarithmic axis go no lower "
                   "than a tenth of the mean; ratios are of medians.</p>\n" +
                   "\n".join(parts) + "\n</html>\n")
        return failures

    def section(self, group, machine, when, rows, drawn, failures):
        title = "; ".join(dict.fromkeys(f"{f.name}: {f.title}"
                                        for f in drawn)) or group
        text = [f"<h2 id=\"{html.escape(group)}\">{html.escape(title)}</h2>",
                f"<p class=\"machine\">{html.escape(when)}; "
                f"{html.escape(machine)}; "
                f"<code>make bench BENCH={html.escape(group)}</code></p>"]
        if rows:
            text.append(as_html(table.COLUMNS, map(table.cells, rows)))
            text += [note(f"{r.name}: {r.note}") for r in rows if r.note]
        for f in drawn:
            try:
                svg = plot.draw(f)
                self.write(os.path.join(self.path, slug(f.name) + ".svg"),
                           svg)
                text.append(svg)
            except Failed as e:
                failures.append(f"no plot of {f.name}: {e}")
                text.append(note(failures[-1]))
            text.append(as_html(figure.COLUMNS, (figure.cells(f, m)
                                                  for m in f.marks)))
            text.append(note("; ".join(filter(None, (
                f"ratio: of medians, to {f.base}", f.note)))))
        return "\n".join(text)


def slug(name):
    return "-".join(name.lower().split())


def note(text):
    return f"<p class=\"note\">{html.escape(text)}</p>"


def as_html(columns, lines):
    def row(tag, line):
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>"
                                for c in line) + "</tr>"
    return "\n".join(["<table>", row("th", columns),
                      *(row("td", line) for line in lines), "</table>"])
