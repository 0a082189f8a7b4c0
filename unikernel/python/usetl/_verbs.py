"""_verbs.py - making requests: one, or many at once."""

from __future__ import annotations

from ._errors import Error
from ._request import Request
from ._response import Response, receive

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from typing import Any

IN_FLIGHT = 32          # of gather(); a clone has 64 tickets in all


def run(req: Request) -> Response:
    """Make a request and wait for its response; raises Error."""
    return receive(req, req._submit())


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
    return run(Request(method, url, headers, params=params, data=data,
                       json=json, file=file, timeout=timeout))


def get(url: str, headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        params: Mapping[str, Any] | None = None) -> Response:
    """GET a URL; timeout in seconds; errors as request()."""
    return run(Request("GET", url, headers, params=params, timeout=timeout))


def head(url: str, headers: Mapping[str, str] | None = None,
         timeout: float | None = None,
         params: Mapping[str, Any] | None = None) -> Response:
    """HEAD of a URL; timeout in seconds; errors as request()."""
    return run(Request("HEAD", url, headers, params=params,
                       timeout=timeout))


def post(url: str, data: Any = None, headers: Mapping[str, str] | None = None,
         timeout: float | None = None, **body: Any) -> Response:
    """POST data, json= or file= to a URL; errors as request()."""
    return run(Request("POST", url, headers, data=data, timeout=timeout,
                       **body))


def put(url: str, data: Any = None, headers: Mapping[str, str] | None = None,
        timeout: float | None = None, **body: Any) -> Response:
    """PUT data, json= or file= to a URL; errors as request()."""
    return run(Request("PUT", url, headers, data=data, timeout=timeout,
                       **body))


def patch(url: str, data: Any = None,
          headers: Mapping[str, str] | None = None,
          timeout: float | None = None, **body: Any) -> Response:
    """PATCH with data, json= or file=; errors as request()."""
    return run(Request("PATCH", url, headers, data=data, timeout=timeout,
                       **body))


def delete(url: str, headers: Mapping[str, str] | None = None,
           timeout: float | None = None, **body: Any) -> Response:
    """DELETE a URL; errors as request()."""
    return run(Request("DELETE", url, headers, timeout=timeout, **body))


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
    begun: list[Any] = []       # (Request, Ticket), Error, or None: ended

    def start() -> None:
        i = len(begun)
        if i < len(requests):
            r = requests[i]
            try:
                req = r if isinstance(r, Request) else Request("GET", r)
                begun.append((req, req._submit()))
            except Error as e:
                begun.append(e)

    for _ in range(IN_FLIGHT):
        start()
    for i in range(len(requests)):
        one, begun[i] = begun[i], None
        if isinstance(one, Error):
            results[i] = one
        else:
            try:
                results[i] = receive(*one)
                if len(requests) > IN_FLIGHT:
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
