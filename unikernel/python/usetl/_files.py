"""_files.py - files: what of a request's body is one already, and new ones
below /tmp for what is none.

Sizes are in bytes.
"""

from __future__ import annotations

import io
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

CHUNK = 0x40000         # bytes moved at a time
count = 0               # of files that were made


def plain_file(data: Any) -> int:
    """The descriptor of a file that can be sent as it lies, or -1.

    Only what open() returns: of others (gzip, say) fileno() is not what
    read() reads.
    """
    raw = data
    if type(data) is io.TextIOWrapper:
        raw = data.buffer
    if type(raw) in (io.BufferedReader, io.BufferedRandom,
                     io.BufferedWriter):
        raw = raw.raw
    if type(raw) is not io.FileIO:
        return -1
    try:
        if data.tell() != 0:
            return -1
    except OSError:
        return -1                       # a pipe
    if data.writable():
        data.flush()
    return raw.fileno()


def chunks(data: Any) -> Iterator[bytes]:
    """Bytes of a file-like object or of an iterable; raises TypeError for
    what is neither."""
    if hasattr(data, "read"):
        def pieces() -> Iterator[Any]:
            while True:
                piece = data.read(CHUNK)
                if not piece:
                    return
                yield piece
        source = pieces()
    elif hasattr(data, "__iter__"):
        source = iter(data)
    else:
        raise TypeError("data is neither bytes, str, a dict, a file nor an "
                        f"iterable: '{type(data).__name__}'")
    for piece in source:
        yield piece.encode() if isinstance(piece, str) else piece


def new_file() -> tuple[int, str]:
    """A new file's descriptor and path; raises OSError."""
    global count
    while True:
        count += 1
        path = f"/tmp/.usetl-{os.getpid()}-{count}"
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL |
                           os.O_CLOEXEC, 0o600), path
        except FileExistsError:
            continue


def write_all(fd: int, piece: Any) -> None:
    """Write all bytes of something like bytes; raises OSError."""
    view = memoryview(piece).cast("B")
    while len(view):
        view = view[os.write(fd, view):]


def spool(pieces: Any) -> int:
    """A new file without a name that holds the pieces; its descriptor.

    Raises OSError, and whatever the pieces raise.
    """
    fd, path = new_file()
    try:
        os.unlink(path)
        for piece in pieces:
            write_all(fd, piece)
    except BaseException:
        os.close(fd)
        raise
    return fd
