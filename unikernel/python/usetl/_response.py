"""_response.py - what came back: waiting for it, and reading its body."""

from __future__ import annotations

import io
import json as _json
import mmap
import os

from ._body import BodyMap, Own, keep_named, named
from ._errors import Error, HTTPError, Timeout
from ._files import CHUNK
from ._gzip import undo
from ._headers import Headers
from ._request import HEADERS_MAX
from ._url import URL_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, NoReturn

    from ._body import Ticket
    from ._request import Request

ANSWER_MAX = URL_MAX + HEADERS_MAX + 4096   # bytes


class Response:
    """What came back.

    Attributes:
        status: the HTTP status.
        method: the request's.
        url: the final URL, after redirects.
        headers: a Headers, of the last hop.
    """

    def __init__(self, method: str, url: str, status: int, headers: Headers,
                 path: str, length: int, body: Ticket | Own) -> None:
        self.method = method
        self.url = url
        self.status = status
        self.headers = headers
        self._path = path
        self._length = length
        self._body: Ticket | Own | None = body
        self._content: bytes | None = None
        self._text: str | None = None
        self._file: io.BufferedReader | None = None
        self._lines: io.TextIOWrapper | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    def __len__(self) -> int:
        """Bytes of the body."""
        return self._length

    def __bool__(self) -> bool:
        return True

    @property
    def path(self) -> str:
        """The body as a file, read-only, there until close(), or until the
        response is gone and 16 more paths, or 64 MB, were asked for.

        Opening it for writing gives a private copy of what is written.
        """
        body = self._need()
        keep_named(body, self._length)
        if isinstance(body, Own):
            self._path = body.file()
        return self._path

    def _need(self) -> Ticket | Own:
        if self._body is None:
            raise ValueError(f"the response of {self.url} is closed")
        return self._body

    def _data(self) -> Any:
        """The body, when it is bytes already."""
        if self._content is None and self._length == 0:
            self._content = b""
        if self._content is None:
            body = self._need()
            if isinstance(body, Own):
                return body.data
        return self._content

    def _open(self) -> io.BufferedReader:
        data = self._data()
        if data is not None:
            raw: Any = io.BytesIO(data)
            return io.BufferedReader(raw)
        return open(self._path, "rb")

    @property
    def content(self) -> bytes:
        """The whole body, whatever was read of it before."""
        if self._content is None:
            self._content = self._data()
        if self._content is None:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            with io.FileIO(fd) as f:
                self._content = f.readall()
        return self._content

    @property
    def charset(self) -> str:
        """The encoding that Content-Type names, "utf-8" when it does not."""
        for part in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = part.partition("=")
            if name.strip().lower() == "charset" and value.strip():
                return value.strip().strip("\"'")
        return "utf-8"

    @property
    def text(self) -> str:
        """The whole body as text.

        Raises UnicodeDecodeError when it is not in .charset, LookupError
        when Python has no such encoding.
        """
        if self._text is None:
            if self._length >= CHUNK and self._data() is None:
                # decoded from where it lies: no copy as bytes beside it
                with self.memory() as view:
                    self._text = str(view, self.charset)
            else:
                self._text = self.content.decode(self.charset)
        return self._text

    def json(self) -> Any:
        """The body, decoded from JSON; raises ValueError."""
        return _json.loads(self.content)

    def memory(self) -> memoryview:
        """The body where it lies, read-only, without a copy.

        The view stays good as long as it is held, also after close().
        """
        if self._body is None:
            return memoryview(self.content)
        data = self._data()
        if data is not None:
            return memoryview(data)
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            m = BodyMap(fd, self._length, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
        m.body = self._body
        return memoryview(m)

    def read(self, n: int | None = -1) -> bytes:
        """The next n bytes, or all that is left; b"" at the end."""
        if self._file is None:
            self._file = self._open()
        return self._file.read(-1 if n is None else n)

    def __iter__(self) -> Iterator[str]:
        """The lines that follow what was iterated before, as text, with
        their line ends: what csv.reader() wants."""
        if self._lines is None:
            self._lines = io.TextIOWrapper(
                self._open(), encoding=self.charset, newline="")
        return self._lines

    def raise_for_status(self) -> Response:
        """Raises HTTPError for a status of 400 or more; else itself."""
        if self.status >= 400:
            raise HTTPError(self)
        return self

    def close(self) -> None:
        """Gives the body's memory back, once no memory() view is held.

        .content and .text stay when they have been asked for before.
        """
        for f in (self._file, self._lines):
            if f is not None:
                f.close()
        named[:] = [n for n in named if n[0] is not self._body]
        self._file = self._lines = self._body = None

    def _detach(self) -> None:
        """Keep the body in Python's memory and let its file go."""
        self.content
        self.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.url}>"


def receive(req: Request, ticket: Ticket) -> Response:
    """Wait until the transfer has ended; raises Error."""
    try:
        answer = os.read(ticket.fd, ANSWER_MAX)
    except OSError as e:
        raise Error(e.errno or 5, f"{req.method} {req.url}: {e.strerror}",
                    req.url) from None
    finally:
        ticket.sent()
    if answer.startswith(b"ERROR "):
        code, _, reason = answer[6:].partition(b"\n")
        fail(int(code), reason.decode("utf-8", "replace").strip(), req)
    # header fields are Latin-1 by tradition: any byte is a character
    first, _, rest = answer.decode("latin-1").partition("\n")
    status, length, path, url = first.split(" ", 3)
    headers = Headers(rest.split("\n"))
    size, body = int(length), ticket
    if "content-encoding" in headers and size and not req._wants_range():
        size, path, body = undo(req, headers, size, path, ticket)
    return Response(req.method, url, int(status), headers, path, size, body)


def fail(errno: int, reason: str, req: Request) -> NoReturn:
    reason = reason or os.strerror(errno)
    if errno == 110:                    # ETIMEDOUT
        raise Timeout(errno, reason, req.url)
    raise Error(errno, reason, req.url)
