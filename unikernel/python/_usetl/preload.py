"""preload.py - what a function imports from its packages before all else.

Once for all functions that begin so: done here, in a runtime that knows none
of them yet.  Nothing may tell it from the same statements in the module, so a
trial boot (learn.py) finds which they are.
"""

from __future__ import annotations

import gc
import os
import sys

from .renewal import read_ahead_drop, sqlite_reset, uuid_reset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .unseeded import Unseeded


class Asked:
    """The first parts of the names of all modules that are looked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None
                  ) -> None:
        self.names.add(name.partition(".")[0])

    def begin(self) -> None:
        sys.meta_path.insert(0, self)   # type: ignore[arg-type]

    def end(self) -> None:
        sys.meta_path[:] = [f for f in sys.meta_path if f is not self]


class Preload:
    """Modules that were imported before the function was placed."""

    def __init__(self, names: str) -> None:
        self.names = names.split()
        self.asked = Asked()
        self.counts: list[int] = []     # of modules, before each
        self.order: list[str] = []      # of all of them

    def had(self, n: int) -> set[str]:
        """The modules that were there before the nth."""
        return set(self.order[:self.counts[n]])

    def run(self, unseeded: Unseeded) -> None:
        """Import them; raises what they do."""
        self.asked.begin()
        try:
            for name in self.names:
                self.counts.append(len(sys.modules))
                __import__(name)
        finally:
            self.asked.end()
        self.order = list(sys.modules)
        for reset in read_ahead_drop, sqlite_reset, uuid_reset:
            reset()
        gc.collect()
        unseeded.share()
        # What functions collect is their own.
        gc.freeze()

    def part(self, unseeded: Unseeded) -> None:
        """A function has been placed."""
        app = sys.path[0]
        for path in list(sys.path_importer_cache):
            # it was not there
            if path == app or path.startswith(app + "/"):
                del sys.path_importer_cache[path]
        unseeded.part()
        ssl: Any = sys.modules.get("_ssl")
        if ssl:
            ssl.RAND_add(os.urandom(32), 32.0)
