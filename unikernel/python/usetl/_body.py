"""_body.py - a response's body, and who holds it.

Invariants:
  - A body's memory belongs to its transfer and is given back when that file
    is closed.  Only a Ticket closes it, and whoever shows the body's memory
    (a Response, a mapping behind a memoryview) holds the Ticket.  A body
    that came compressed is an Own, held in its place: on the function's
    time, in its memory and its files.
  - The named bodies are those whose path was asked for.  The runtime drops
    them before each event.
"""

from __future__ import annotations

import mmap
import os

from ._files import CHUNK, new_file, write_all

FETCH = "/dev/usetl/fetch"
NAMED_MAX = 16              # responses kept for their path alone,
NAMED_BYTES = 64 << 20      # and their bodies, but always one


class Ticket:
    """An open transfer; closes with its last holder.

    The file that it sends from stays open until the transfer has ended: the
    host reads its memory meanwhile.
    """

    __slots__ = ("fd", "body")

    def __init__(self) -> None:
        self.fd = self.body = -1
        self.fd = os.open(FETCH, os.O_RDWR | os.O_CLOEXEC)

    def sent(self) -> None:
        """The transfer has ended: the file that it sent from may go."""
        if self.body >= 0:
            os.close(self.body)
            self.body = -1

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)           # before the body: this cancels
            self.fd = -1
        self.sent()


class Own:
    """A body of the function's own; its file goes with its last holder.

    A short one has no file until its path is asked for.
    """

    __slots__ = ("data", "path", "fd", "size")

    def __init__(self) -> None:
        self.data: bytearray | bytes | None = bytearray()
        self.path = ""
        self.fd = -1                    # while the file is written
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Append bytes; raises OSError when there is no room."""
        if self.data is not None:
            if self.size + len(piece) <= CHUNK:
                self.data += piece
                self.size += len(piece)
                return
            self._spill()
            self.data = None
        write_all(self.fd, piece)
        self.size += len(piece)

    def _spill(self) -> None:
        self.fd, self.path = new_file()
        write_all(self.fd, self.data)

    def end(self) -> None:
        """No more is added."""
        if self.data is not None:
            self.data = bytes(self.data)
        else:
            self._shut()

    def _shut(self) -> None:
        os.fchmod(self.fd, 0o444)
        os.close(self.fd)
        self.fd = -1

    def file(self) -> str:
        """The path of its file, which is made; raises OSError."""
        if not self.path:
            self._spill()
            self._shut()
        return self.path

    def drop(self) -> None:
        """Let go of its bytes and its file."""
        if self.fd >= 0:
            os.close(self.fd)
        if self.path:
            try:
                os.unlink(self.path)
            except OSError:
                pass                    # the function was quicker
        self.fd, self.path, self.data = -1, "", None

    __del__ = drop


# Whose path was asked for, oldest first.  A path is text and holds nothing,
# yet open(usetl.get(url).path) has to find the file.
named: list[tuple[Ticket | Own, int]] = []


def keep_named(body: Ticket | Own, length: int) -> None:
    """Keep a body of so many bytes for its path alone, and so fewer others.
    """
    if any(b is body for b, _ in named):
        return
    named.append((body, length))
    while len(named) > 1 and (len(named) > NAMED_MAX or
                              sum(n for _, n in named) > NAMED_BYTES):
        del named[0]


class BodyMap(mmap.mmap):
    """A body in place; keeps the memory under it from being given back."""

    body: Ticket | Own
