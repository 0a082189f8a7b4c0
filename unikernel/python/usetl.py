"""usetl.py - HTTP for a function that has no network: usetl-python(7).

The host does the transfer and leaves the body in memory that the guest can
read, as a file; here are the words for asking and for reading it.  Under it
lies /dev/usetl/fetch (unikernel/dev/dev.h): one open file is one transfer.

Invariants:
  - A body's memory belongs to its transfer and is given back when that file
    is closed.  Only a _Ticket closes it, and whoever shows the body's memory
    (a Response, a mapping behind a memoryview) holds the _Ticket.  A body
    that came compressed is undone here, into an _Own, held in its place: on
    the function's time, in its memory and its files.
  - Times are in seconds, sizes in bytes.
  - Every failure of a transfer is an Error that names the URL.
"""

from __future__ import annotations

import io
import json as _json
import mmap
import os
from collections.abc import Mapping

try:
    # Here and not when the first answer needs it: that import would be part
    # of each request again, this one is in the snapshot.
    import zlib
except ImportError:             # an interpreter built without: none is asked
    zlib = None                 # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, NoReturn, TypeVar

    Hook = TypeVar("Hook", bound=Callable[[], Any])

__all__ = [
    "Error", "HTTPError", "Headers", "Request", "Response", "Timeout",
    "delete", "gather", "get", "head", "on_clone", "on_ready", "patch",
    "post", "put", "request",
]

_FETCH = "/dev/usetl/fetch"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")
_URL_MAX = 8192             # as UK_URL_MAX in unikernel/abi.h
_HEADERS_MAX = 65536        # as UK_HEADERS_MAX
_ANSWER_MAX = _URL_MAX + _HEADERS_MAX + 4096
_IN_FLIGHT = 32             # of gather(); a clone has 64 tickets in all
_CHUNK = 0x40000            # bytes moved at a time
_CODINGS = 2                # gzip in gzip, and no further
_NAMED = 16                 # responses kept for their path alone,
_NAMED_BYTES = 64 << 20     # and their bodies, but always one
_UNRESERVED = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_TOKEN = frozenset(
    "!#$%&'*+-.^_`|~0123456789"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

# what boot.py runs before the freeze, and after it in every clone
_ready_hooks: list[Callable[[], Any]] = []
_clone_hooks: list[Callable[[], Any]] = []


class Error(OSError):
    """A transfer failed: .errno, .strerror (the reason) and .url."""

    def __init__(self, errno: int, reason: str, url: str) -> None:
        super().__init__(errno, reason)
        self.url = url

    def __str__(self) -> str:
        # The host's reasons name the URL already; ours may not.
        if self.url in self.strerror:
            return self.strerror
        return f"{self.url}: {self.strerror}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.errno, self.strerror, self.url)


class Timeout(Error, TimeoutError):
    """A transfer took longer than its timeout."""


class HTTPError(Error):
    """raise_for_status() met a status of 400 or more: .status, .response."""

    def __init__(self, response: Response) -> None:
        super().__init__(5, f"{response.method} {response.url}: "
                         f"status {response.status}", response.url)
        self.response = response
        self.status = response.status

    def __reduce__(self) -> tuple[Any, ...]:
        return Error, (self.errno, self.strerror, self.url)


class Headers(Mapping):
    """Header fields; names compare without case.

    A field that came several times is one value, joined by ", ";
    get_all() has them apart.
    """

    __slots__ = ("_fields",)

    def __init__(self, lines: list[str]) -> None:
        self._fields: dict[str, tuple[str, list[str]]] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if colon:
                name = name.strip()
                self._fields.setdefault(name.lower(), (name, []))[1].append(
                    value.strip())

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._fields[name.lower()][1])

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._fields.values()])

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def get_all(self, name: str) -> list[str]:
        """Every value of a field, in the order in which they came."""
        return list(self._fields.get(name.lower(), (name, []))[1])

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


class _Ticket:
    """An open transfer; closes with its last holder.

    The file that it sends from stays open until the transfer has ended: the
    host reads its memory meanwhile.
    """

    __slots__ = ("fd", "body")

    def __init__(self) -> None:
        self.fd = self.body = -1
        self.fd = os.open(_FETCH, os.O_RDWR | os.O_CLOEXEC)

    def sent(self) -> None:
        if self.body >= 0:
            os.close(self.body)
            self.body = -1

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)           # before the body: this cancels
            self.fd = -1
        self.sent()


class _Own:
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
        if self.data is not None:
            if self.size + len(piece) <= _CHUNK:
                self.data += piece
                self.size += len(piece)
                return
            self._spill()
            self.data = None
        _write(self.fd, piece)
        self.size += len(piece)

    def _spill(self) -> None:
        self.fd, self.path = _new_file()
        _write(self.fd, self.data)

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
        """The path of its file, which is made."""
        if not self.path:
            self._spill()
            self._shut()
        return self.path

    def drop(self) -> None:
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
_named: list[tuple[_Ticket | _Own, int]] = []


def _keep_named(body: _Ticket | _Own, length: int) -> None:
    if any(b is body for b, _ in _named):
        return
    _named.append((body, length))
    while len(_named) > 1 and (len(_named) > _NAMED or
                               sum(n for _, n in _named) > _NAMED_BYTES):
        del _named[0]


class _Map(mmap.mmap):
    """A body in place; keeps the memory under it from being given back."""

    body: _Ticket | _Own


class Response:
    """What came back.

    Attributes:
        status: the HTTP status.
        method: the request's.
        url: the final URL, after redirects.
        headers: a Headers, of the last hop.
    """

    def __init__(self, method: str, url: str, status: int, headers: Headers,
                 path: str, length: int, body: _Ticket | _Own) -> None:
        self.method = method
        self.url = url
        self.status = status
        self.headers = headers
        self._path = path
        self._length = length
        self._body: _Ticket | _Own | None = body
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
        _keep_named(body, self._length)
        if isinstance(body, _Own):
            self._path = body.file()
        return self._path

    def _need(self) -> _Ticket | _Own:
        if self._body is None:
            raise ValueError(f"the response of {self.url} is closed")
        return self._body

    def _data(self) -> Any:
        """The body, when it is bytes already."""
        if self._content is None and self._length == 0:
            self._content = b""
        if self._content is None:
            body = self._need()
            if isinstance(body, _Own):
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
            if self._length >= _CHUNK and self._data() is None:
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
            m = _Map(fd, self._length, access=mmap.ACCESS_READ)
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
        _named[:] = [n for n in _named if n[0] is not self._body]
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


class Request:
    """A request to make, by gather() or request().

    Args:
        method: GET, HEAD, POST, PUT, DELETE or PATCH.
        url: http:// or https://; what is not ASCII is percent-encoded.
        headers: names and values.
        params: added to the URL's query; a value may be a list.
        data: the body: bytes, str (as UTF-8), a dict (as an HTML form), a
            file from where it stands, or an iterable of bytes.
        json: the body, written as JSON.
        file: the body: the path of a file, sent from where it lies.
        timeout: seconds for the whole transfer; None: until the invocation
            ends.
    """

    def __init__(self, method: str, url: str,
                 headers: Mapping[str, str] | None = None, *,
                 params: Mapping[str, Any] | None = None,
                 data: Any = None, json: Any = None,
                 file: str | os.PathLike[str] | None = None,
                 timeout: float | None = None) -> None:
        if (data is not None) + (json is not None) + (file is not None) > 1:
            raise TypeError("a request has one of data, json and file")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout is not above 0: {timeout!r}")
        self.method = method.upper()
        if self.method not in _METHODS:
            raise ValueError(f"method '{method}' is not one of "
                             + ", ".join(_METHODS))
        self.url = _url(url, params)
        self.headers = dict(headers or {})
        self.data = data
        self.json = json
        self.file = file
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url}>"

    def _head(self, kind: str, fd: int) -> bytes:
        ms = 0
        if self.timeout is not None:
            # whole milliseconds, rounded up: 0 would mean no limit
            ms = int(min(self.timeout * 1000 + 0.999, 1 << 31))
        lines = [f"{self.method} {self.url} {ms} {fd}"]
        asks = "" if zlib is None else "Accept-Encoding: gzip"
        for name, value in self.headers.items():
            lines.append(f"{_token(name)}: {_value(name, value)}")
            lower = name.lower()
            if lower == "content-type":
                kind = ""
            elif lower in ("accept-encoding", "range"):
                asks = ""
        if asks:
            lines.append(asks)
        if kind:
            lines.append(f"Content-Type: {kind}")
        head = "\n".join(lines) + "\n"
        if len(head) > _HEADERS_MAX + _URL_MAX:
            raise Error(7, "the headers are longer than "
                        f"{_HEADERS_MAX} bytes", self.url)
        return head.encode("latin-1")

    def _wants_range(self) -> bool:
        return any(name.lower() == "range" for name in self.headers)

    def _submit(self) -> _Ticket:
        """Start the transfer."""
        fd, kind, own = self._body()
        try:
            head = self._head(kind, fd)
            ticket = _Ticket()
            os.write(ticket.fd, head)
            if own:
                ticket.body, own = fd, False
            return ticket
        except OSError as e:
            if isinstance(e, Error):
                raise
            raise Error(e.errno or 5, f"{self.method} {self.url}: "
                        f"cannot ask for it: {e.strerror}",
                        self.url) from None
        finally:
            if own:
                os.close(fd)

    def _body(self) -> tuple[int, str, bool]:
        """(descriptor, content type, whether to close it) of what to send;
        -1 when nothing is."""
        if self.file is not None:
            fd = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC)
            return fd, "application/octet-stream", True
        if self.json is not None:
            text = _json.dumps(self.json, allow_nan=False)
            return _spool((text.encode(),)), "application/json", True
        data = self.data
        if data is None:
            return -1, "", False
        if isinstance(data, str):
            return (_spool((data.encode(),)), "text/plain; charset=utf-8",
                    True)
        if isinstance(data, Mapping):
            return (_spool((_query(data).encode(),)),
                    "application/x-www-form-urlencoded", True)
        kind = "application/octet-stream"
        if isinstance(data, (bytes, bytearray, memoryview)):
            return _spool((data,)), kind, True
        fd = _plain_file(data)
        if fd >= 0:
            return fd, kind, False
        return _spool(_chunks(data)), kind, True


def _receive(req: Request, ticket: _Ticket) -> Response:
    """Wait until the transfer has ended."""
    try:
        answer = os.read(ticket.fd, _ANSWER_MAX)
    except OSError as e:
        raise Error(e.errno or 5, f"{req.method} {req.url}: {e.strerror}",
                    req.url) from None
    finally:
        ticket.sent()
    if answer.startswith(b"ERROR "):
        code, _, reason = answer[6:].partition(b"\n")
        _fail(int(code), reason.decode("utf-8", "replace").strip(), req)
    # header fields are Latin-1 by tradition: any byte is a character
    first, _, rest = answer.decode("latin-1").partition("\n")
    status, length, path, url = first.split(" ", 3)
    headers = Headers(rest.split("\n"))
    size, body = int(length), ticket
    if "content-encoding" in headers and size and not req._wants_range():
        size, path, body = _undo(req, headers, size, path, ticket)
    return Response(req.method, url, int(status), headers, path, size, body)


def _fail(errno: int, reason: str, req: Request) -> NoReturn:
    reason = reason or os.strerror(errno)
    if errno == 110:                    # ETIMEDOUT
        raise Timeout(errno, reason, req.url)
    raise Error(errno, reason, req.url)


# --- content-encoding


def _pieces(path: str) -> Iterator[bytes]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            piece = os.read(fd, _CHUNK // 4)
            if not piece:
                return
            yield piece
    finally:
        os.close(fd)


def _members(pieces: Iterator[bytes]) -> Iterator[bytes]:
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
                data = member.decompress(piece, _CHUNK)
                piece = member.unconsumed_tail
                if data:
                    yield data
                if member.eof or not piece and len(data) < _CHUNK:
                    break
            if member.eof:
                piece, member, ended = member.unused_data, None, True
    if member is not None or not ended:
        raise EOFError


def _gzips(headers: Headers) -> int:
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


def _undo(req: Request, headers: Headers, size: int, path: str,
          ticket: _Ticket) -> tuple[int, str, _Ticket | _Own]:
    """(bytes, path, holder) of a body as it was before gzip; what was
    encoded otherwise is as it came."""
    n = 0 if zlib is None else _gzips(headers)
    if not n:
        return size, path, ticket
    own, pieces = _Own(), _pieces(path)
    errno = 71                          # EPROTO
    try:
        if n > _CODINGS:
            raise ValueError(f"gzip {n} times over; at most {_CODINGS} are "
                             "undone")
        for _ in range(n):
            pieces = _members(pieces)
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


# --- what to send


def _quote(text: str, keep: frozenset[int] = _UNRESERVED) -> str:
    # urllib.parse does this too, but is 2 ms to import
    return "".join(chr(b) if b in keep else f"%{b:02X}"
                   for b in text.encode())


def _query(params: Mapping[str, Any]) -> str:
    pairs = []
    for name, value in params.items():
        if isinstance(value, (str, bytes)) or \
                not hasattr(value, "__iter__"):
            value = (value,)
        for v in value:
            if isinstance(v, bytes):
                v = v.decode()
            pairs.append(f"{_quote(str(name))}={_quote(str(v))}")
    return "&".join(pairs)


def _url(url: str, params: Mapping[str, Any] | None) -> str:
    """The URL as it is sent: checked, encoded, with its query."""
    url = str(url)
    if params:
        base, mark, fragment = url.partition("#")
        base += ("&" if "?" in base else "?") + _query(params)
        url = base + mark + fragment
    if not url.isascii():
        url = "".join(c if c.isascii() else _quote(c) for c in url)
    if not url.isprintable() or " " in url:
        raise Error(22, f"URL {url!r} has a space or a control character",
                    url)
    scheme = url.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        raise Error(22, f"URL '{url}' is not http:// or https://", url)
    if len(url) > _URL_MAX:
        raise Error(36, f"the URL is longer than {_URL_MAX} bytes", url)
    return url


def _token(name: str) -> str:
    if not name or not _TOKEN.issuperset(name):
        raise ValueError(f"{name!r} cannot be a header's name")
    return name


def _value(name: str, value: Any) -> str:
    text = str(value)
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"header '{name}': {text!r} is not Latin-1") \
            from None
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError(f"header '{name}': {text!r} has a line end")
    return text


def _plain_file(data: Any) -> int:
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


def _chunks(data: Any) -> Iterator[bytes]:
    """Bytes of a file-like object or of an iterable."""
    if hasattr(data, "read"):
        def pieces() -> Iterator[Any]:
            while True:
                piece = data.read(_CHUNK)
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


_files = 0


def _new_file() -> tuple[int, str]:
    """A new file's descriptor and path."""
    global _files
    while True:
        _files += 1
        path = f"/tmp/.usetl-{os.getpid()}-{_files}"
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL |
                           os.O_CLOEXEC, 0o600), path
        except FileExistsError:
            continue


def _write(fd: int, piece: Any) -> None:
    view = memoryview(piece).cast("B")
    while len(view):
        view = view[os.write(fd, view):]


def _spool(pieces: Any) -> int:
    """A new file without a name that holds the pieces; its descriptor."""
    fd, path = _new_file()
    try:
        os.unlink(path)
        for piece in pieces:
            _write(fd, piece)
    except BaseException:
        os.close(fd)
        raise
    return fd


# --- the verbs


def _run(req: Request) -> Response:
    return _receive(req, req._submit())


def request(method: str, url: str,
            headers: Mapping[str, str] | None = None, *,
            params: Mapping[str, Any] | None = None, data: Any = None,
            json: Any = None, file: str | os.PathLike[str] | None = None,
            timeout: float | None = None) -> Response:
    """Make a request and wait for its response; see Request.

    A status of 400 or more is a response like others.  Raises Error when
    there is none: refused by the egress policy, no such host, no
    connection, cut short, too large; Timeout after timeout seconds.
    """
    return _run(Request(method, url, headers, params=params, data=data,
                        json=json, file=file, timeout=timeout))


def get(url: str, headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        params: Mapping[str, Any] | None = None) -> Response:
    """GET a URL; timeout in seconds; errors as request()."""
    return _run(Request("GET", url, headers, params=params, timeout=timeout))


def head(url: str, headers: Mapping[str, str] | None = None,
         timeout: float | None = None,
         params: Mapping[str, Any] | None = None) -> Response:
    """HEAD of a URL; timeout in seconds; errors as request()."""
    return _run(Request("HEAD", url, headers, params=params,
                        timeout=timeout))


def post(url: str, data: Any = None, headers: Mapping[str, str] | None = None,
         timeout: float | None = None, **body: Any) -> Response:
    """POST data, json= or file= to a URL; errors as request()."""
    return _run(Request("POST", url, headers, data=data, timeout=timeout,
                        **body))


def put(url: str, data: Any = None, headers: Mapping[str, str] | None = None,
        timeout: float | None = None, **body: Any) -> Response:
    """PUT data, json= or file= to a URL; errors as request()."""
    return _run(Request("PUT", url, headers, data=data, timeout=timeout,
                        **body))


def patch(url: str, data: Any = None,
          headers: Mapping[str, str] | None = None,
          timeout: float | None = None, **body: Any) -> Response:
    """PATCH with data, json= or file=; errors as request()."""
    return _run(Request("PATCH", url, headers, data=data, timeout=timeout,
                        **body))


def delete(url: str, headers: Mapping[str, str] | None = None,
           timeout: float | None = None, **body: Any) -> Response:
    """DELETE a URL; errors as request()."""
    return _run(Request("DELETE", url, headers, timeout=timeout, **body))


def gather(*requests: str | Request,
           return_exceptions: bool = False) -> list[Any]:
    """Make requests at once and wait for all; responses in the same order.

    A str stands for a GET of that URL.  With more than 32 requests the
    later ones start as earlier ones end, and bodies are moved into Python's
    memory (Response.path is then gone).

    Raises the first request's Error once all have ended; with
    return_exceptions, an Error stands in the list in its response's place.
    """
    results: list[Any] = [None] * len(requests)
    begun: list[Any] = []       # (Request, _Ticket), Error, or None: ended

    def start() -> None:
        i = len(begun)
        if i < len(requests):
            r = requests[i]
            try:
                req = r if isinstance(r, Request) else Request("GET", r)
                begun.append((req, req._submit()))
            except Error as e:
                begun.append(e)

    for _ in range(_IN_FLIGHT):
        start()
    for i in range(len(requests)):
        one, begun[i] = begun[i], None
        if isinstance(one, Error):
            results[i] = one
        else:
            try:
                results[i] = _receive(*one)
                if len(requests) > _IN_FLIGHT:
                    results[i]._detach()
            except Error as e:
                results[i] = e
        del one
        start()
    if not return_exceptions:
        for r in results:
            if isinstance(r, Error):
                raise r
    return results


def on_ready(hook: Hook) -> Hook:
    """Decorator: call the function once, before the reference is frozen.

    What it loads and computes is there in every clone.
    """
    _ready_hooks.append(hook)
    return hook


def on_clone(hook: Hook) -> Hook:
    """Decorator: call the function at the start of every invocation.

    For what must not be the same in two requests, where usetl bake names
    something: what notices a fork has been made anew before it.
    """
    _clone_hooks.append(hook)
    return hook
