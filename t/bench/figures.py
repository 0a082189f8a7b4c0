"""figures.py - the papers' figures, by the names of their groups

A new figure is a file with a function of a Bench that returns Figures, and a
line here.
"""

import cloning
import cow
import creation
import download
import footprint
import pillow

FIGURES = {
    "usetl-figure5": download.figure5,
    "usetl-figure6": creation.figure6,
    "usetl-memory": footprint.memory,
    "hyperfork-figure2": cloning.figure2,
    "hyperfork-figure3": cow.figure3,
    "hyperfork-figure4": pillow.figure4,
    "hyperfork-figure5": pillow.figure5,
}
