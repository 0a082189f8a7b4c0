"""notes.py - what a trial boot tells whoever bakes the function."""

from __future__ import annotations

import faulthandler
import os
import sys

from . import DEV
from .failure import is_own
from .renewal import reseeders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

DRAW_SIGNAL = 63            # UK_DRAW_SIGNAL in unikernel/abi.h


class Draws:
    """Who draws randomness while the function is loaded, in a trial boot.

    What is made of it is the same in every request, unless it is known to be
    made anew in a child.  The device notes the file whose code asked, and for
    each draw a signal has faulthandler write the Python stack.
    """

    # libraries that notice a fork, or that keep nothing of what they draw
    SAFE = ("libcrypto.", "libssl.", "_ssl.", "_hashlib.", "_rust.abi3.",
            "libsodium", "_sodium.", "cygrpc.", "libgcrypt.", "libgnutls.",
            "libuuid.", "libpq", "liblzma.")
    # of the standard library: fork handlers, and keys that mean the family
    SAFE_PYTHON = ("multiprocessing/process.py",)

    def __init__(self) -> None:
        self.preload: list[str] = []    # what learn.py has found
        self.handled: list[tuple[int, int]] = []    # known to be seeded anew
        # at a fork point before the module: so many draws, and threads
        self.shared: tuple[int, list[str]] | None = None
        self.lines = os.open(DEV + "draws", os.O_RDONLY | os.O_CLOEXEC)
        path = "/tmp/.usetl-draws"
        self.stacks = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL |
                              os.O_CLOEXEC, 0o600)
        os.unlink(path)
        faulthandler.register(DRAW_SIGNAL, self.stacks, all_threads=False)

    def at(self) -> int:
        """Bytes of stacks so far."""
        return os.lseek(self.stacks, 0, os.SEEK_END)

    def all_of(self, fd: int) -> str:
        """The text of an open file; raises OSError."""
        data = b""
        os.lseek(fd, 0, os.SEEK_SET)
        while True:
            more = os.read(fd, 65536)
            if not more:
                return data.decode("utf-8", "replace")
            data += more

    def taken(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """(file whose code asked, [(Python file, line)], innermost first) of
        each draw that nobody is known to make up for."""
        files = self.all_of(self.lines).splitlines()
        offset = 0
        stacks: list[list[tuple[str, str]]] = []
        starts: list[int] = []
        for line in self.all_of(self.stacks).splitlines(keepends=True):
            if line.startswith('  File "'):
                name, _, rest = line[8:].rpartition('", line ')
                stacks[-1].append((name, rest.split()[0]))
            elif not line.startswith("  "):
                stacks.append([])
                starts.append(offset)
            offset += len(line.encode())
        for file, start, frames in zip(files, starts, stacks):
            if not any(a <= start < b for a, b in self.handled):
                yield file, frames

    def note(self, file: str, frames: list[tuple[str, str]]) -> str:
        """A line about one draw, "" when there is nothing to say."""
        base = file.rpartition("/")[2]
        stdlib = os.__file__.rpartition("/")[0] + "/"
        theirs = [f for f in frames if not is_own(f[0]) and
                  not f[0].startswith(("<frozen", stdlib))]
        where = f"{theirs[0][0]} line {theirs[0][1]}" if theirs else ""
        if theirs and theirs[-1][0] != theirs[0][0]:
            where += f" (called at {theirs[-1][0]} line {theirs[-1][1]})"
        if base.startswith(self.SAFE) or frames and (
                frames[0][0].endswith(self.SAFE_PYTHON) or
                is_own(frames[0][0])):  # in a child it draws again
            return ""
        if base.startswith(("python", "libpython")) or \
                "/lib-dynload/" in file:
            if not theirs:
                return ""       # the interpreter's own beginnings
            return (f"{where} drew randomness that all requests will share; "
                    "if they must not, draw it in a function under "
                    "@usetl.on_clone")
        if base.startswith("_uuid_utils.") and reseeders():
            return ""
        return (f"{base} drew randomness, at {where or 'the start'}; unless "
                "it notices a fork, all requests will get the same of it: add "
                "a function under @usetl.on_clone that seeds it again")

    def fork_point(self) -> None:
        """Requests load what follows, each anew: nothing of it is shared."""
        self.shared = len(list(self.taken())), list(thread_note())

    def end(self) -> Iterator[str]:
        """Lines for whoever bakes the function."""
        faulthandler.unregister(DRAW_SIGNAL)
        seen = {""}
        draws = list(self.taken())
        count, threads = self.shared or (len(draws), list(thread_note()))
        for file, frames in draws[:count]:
            line = self.note(file, frames)
            if line not in seen:
                seen.add(line)
                yield line
        os.close(self.lines)
        os.close(self.stacks)
        yield from threads


def thread_note() -> Iterator[str]:
    """Who else lives: then READY is no fork, and no fork handler runs."""
    with open("/proc/self/status", encoding="ascii") as f:
        count = next(int(s.split()[1]) for s in f if s.startswith("Threads"))
    if count < 2:
        return
    threading = sys.modules.get("threading")
    names = [repr(t.name) for t in threading.enumerate()
             if t is not threading.main_thread()] if threading else []
    if count - 1 > len(names):
        names.append(f"{count - 1 - len(names)} not of Python")
    yield ("threads live on in each request, so fork handlers do not run "
           f"there: {', '.join(names)}; start them in the handler, or see "
           "usetl-python(7)")
