"""_request.py - a request, until its transfer is started."""

from __future__ import annotations

import json as _json
import os
from collections.abc import Mapping

from . import _gzip
from ._body import Ticket
from ._errors import Error
from ._files import chunks, plain_file, spool
from ._headers import check_name, check_value
from ._url import URL_MAX, encode_url, query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")
HEADERS_MAX = 65536     # bytes, as UK_HEADERS_MAX in unikernel/abi.h


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
        if self.method not in METHODS:
            raise ValueError(f"method '{method}' is not one of "
                             + ", ".join(METHODS))
        self.url = encode_url(url, params)
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
        asks = "" if _gzip.zlib is None else "Accept-Encoding: gzip"
        for name, value in self.headers.items():
            lines.append(f"{check_name(name)}: {check_value(name, value)}")
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
        if len(head) > HEADERS_MAX + URL_MAX:
            raise Error(7, "the headers are longer than "
                        f"{HEADERS_MAX} bytes", self.url)
        return head.encode("latin-1")

    def _wants_range(self) -> bool:
        return any(name.lower() == "range" for name in self.headers)

    def _submit(self) -> Ticket:
        """Start the transfer; raises Error, OSError when the body cannot be
        read or has no room, and what its iterable raises."""
        fd, kind, own = self._body()
        try:
            head = self._head(kind, fd)
            ticket = Ticket()
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
            return spool((text.encode(),)), "application/json", True
        data = self.data
        if data is None:
            return -1, "", False
        if isinstance(data, str):
            return (spool((data.encode(),)), "text/plain; charset=utf-8",
                    True)
        if isinstance(data, Mapping):
            return (spool((query(data).encode(),)),
                    "application/x-www-form-urlencoded", True)
        kind = "application/octet-stream"
        if isinstance(data, (bytes, bytearray, memoryview)):
            return spool((data,)), kind, True
        fd = plain_file(data)
        if fd >= 0:
            return fd, kind, False
        return spool(chunks(data)), kind, True
