"""figures.py - the papers' figures, by the names of their groups

A new figure is a file with a function of a Bench that returns Figures, and a
line here.
"""

import cloning
import cow

FIGURES = {
    "hyperfork-figure2": cloning.figure2,
    "hyperfork-figure3": cow.figure3,
}
