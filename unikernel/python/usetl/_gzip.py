"""_gzip.py - the content-encoding that is asked for, and undone here."""

from __future__ import annotations

import os

try:
    # Here and not when the first answer needs it: that import would be part
    # of each request again, this one is in the snapshot.
    import zlib
except ImportError:             # an interpreter built without: none is asked
    zlib = None                 # type: ignore[assignment]

from ._body import Own
from ._errors import Error
from ._files import CHUNK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from ._body import Ticket
    from ._headers import Headers
    from ._request import Request

CODINGS = 2             # gzip in gzip, and no further


def read_pieces(path: str) -> Iterator[bytes]:
    """What is in a file, in pieces; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            piece = os.read(fd, CHUNK // 4)
            if not piece:
                return
            yield piece
    finally:
        os.close(fd)


def members(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What is in the gzip members that the pieces are of, one behind the
    other and perhaps with zeros between them (RFC 1952, 2.2), in pieces.

    Raises EOFError when the last one has no end, zlib.error when something
    is wrong with one or lies behind it.
    """
    member, ended = None, False
    for piece in pieces:
        while piece:
            if member is None:
                if ended:
                    piece = piece.lstrip(b"\0")
                    if not piece:
                        break
                member = zlib.decompressobj(31)
            while True:
                data = member.decompress(piece, CHUNK)
                piece = member.unconsumed_tail
                if data:
                    yield data
                if member.eof or not piece and len(data) < CHUNK:
                    break
            if member.eof:
                piece, member, ended = member.unused_data, None, True
    if member is not None or not ended:
        raise EOFError


def take_gzips(headers: Headers) -> int:
    """How often gzip was applied last; Content-Encoding goes, or keeps what
    was applied before that."""
    codings = [c.strip() for v in headers.get_all("content-encoding")
               for c in v.split(",")]
    codings = [c for c in codings if c and c.lower() != "identity"]
    n = 0
    while codings and codings[-1].lower() in ("gzip", "x-gzip"):
        codings.pop()
        n += 1
    if n:
        headers._fields.pop("content-length", None)
        name, _ = headers._fields.pop("content-encoding")
        if codings:
            headers._fields["content-encoding"] = (name, [", ".join(codings)])
    return n


def undo(req: Request, headers: Headers, size: int, path: str,
         ticket: Ticket) -> tuple[int, str, Ticket | Own]:
    """(bytes, path, holder) of a body as it was before gzip; what was
    encoded otherwise is as it came.

    Raises Error when it cannot be undone.
    """
    n = 0 if zlib is None else take_gzips(headers)
    if not n:
        return size, path, ticket
    own, pieces = Own(), read_pieces(path)
    errno = 71                          # EPROTO
    try:
        if n > CODINGS:
            raise ValueError(f"gzip {n} times over; at most {CODINGS} are "
                             "undone")
        for _ in range(n):
            pieces = members(pieces)
        for piece in pieces:
            own.add(piece)
        own.end()
        return own.size, own.path, own
    except EOFError:
        why, errno = "truncated: its gzip data have no end", 5
    except (ValueError, zlib.error) as e:
        why = f"the content-encoding could not be undone: {e}"
    except OSError as e:
        errno, why = e.errno or 5, "no room for more than " \
            f"{own.size} bytes of the body, decoded: {e.strerror}"
    finally:
        pieces.close()                  # type: ignore[attr-defined]
    own.drop()
    raise Error(errno, f"{req.method} {req.url}: {why}", req.url) from None
