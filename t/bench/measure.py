"""measure.py - interleaved runs and their medians

A contestant is a function without arguments that returns one figure, or a list
of them; it raises Failed when it cannot.  All contestants of a comparison run
once in each round, and every other round runs in reverse order, so that
whatever disturbs the machine disturbs all of them alike.
"""

import statistics
import sys


class Failed(Exception):
    """A contestant did not do what it was asked; the text says what."""


class Missing(Failed):
    """A contestant is not installed here, or cannot run on this machine."""


class Progress:
    """One line on a terminal, nothing elsewhere."""

    def __init__(self, stream=sys.stderr):
        self.stream = stream
        self.shown = stream.isatty()

    def say(self, text):
        if self.shown:
            self.stream.write(f"\r\033[K{text[:79]}")
            self.stream.flush()

    def clear(self):
        self.say("")


def interleave(contestants, rounds, progress, what):
    """{name: median of medians, or the Missing that it raised}.

    A list of figures counts as its median, so that each round has one figure.
    """
    figures = {name: [] for name in contestants}
    missing = {}
    order = list(contestants)
    for n in range(rounds):
        for name in order:
            if name in missing:
                continue
            progress.say(f"{what}: round {n + 1} of {rounds}, {name}")
            try:
                got = contestants[name]()
            except Missing as e:
                missing[name] = e
                continue
            if isinstance(got, list):
                got = statistics.median(got)
            figures[name].append(got)
        order.reverse()
    return {name: missing.get(name) or statistics.median(figures[name])
            for name in contestants}
