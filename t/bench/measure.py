"""measure.py - interleaved runs and their medians

A contestant is a function without arguments that returns one figure, or a list
of them; it raises Failed when it cannot.  All contestants of a comparison run
once in each round, and every other round runs in reverse order, so that
whatever disturbs the machine disturbs all of them alike.
"""

import statistics
import sys
import time


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


def sample(contestants, rounds, progress, what, budget=None):
    """{name: its figures, or the Missing that it raised}.

    A list of figures counts as its median, so that each round has one figure.
    Who has run for `budget` seconds, and three times, sits out what is left.
    """
    figures = {name: [] for name in contestants}
    missing, spent = {}, dict.fromkeys(contestants, 0.0)
    order = list(contestants)
    for n in range(rounds):
        for name in order:
            if name in missing or (budget and len(figures[name]) >= 3 and
                                   spent[name] > budget):
                continue
            progress.say(f"{what}: round {n + 1} of {rounds}, {name}")
            start = time.monotonic()
            try:
                got = contestants[name]()
            except Missing as e:
                missing[name] = e
                continue
            spent[name] += time.monotonic() - start
            if isinstance(got, list):
                got = statistics.median(got)
            figures[name].append(got)
        order.reverse()
    return {name: missing.get(name) or figures[name] for name in contestants}


def interleave(contestants, rounds, progress, what):
    """{name: median of medians, or the Missing that it raised}."""
    measured = sample(contestants, rounds, progress, what)
    return {name: got if isinstance(got, Missing) else statistics.median(got)
            for name, got in measured.items()}
