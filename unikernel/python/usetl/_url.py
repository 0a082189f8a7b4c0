"""_url.py - URLs and queries as they are sent."""

from __future__ import annotations

from ._errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

URL_MAX = 8192          # bytes, as UK_URL_MAX in unikernel/abi.h
UNRESERVED = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(text: str, keep: frozenset[int] = UNRESERVED) -> str:
    """Text, percent-encoded but for the bytes to keep."""
    # urllib.parse does this too, but is 2 ms to import
    return "".join(chr(b) if b in keep else f"%{b:02X}"
                   for b in text.encode())


def query(params: Mapping[str, Any]) -> str:
    """A query, or an HTML form, of names and values or lists of values."""
    pairs = []
    for name, value in params.items():
        if isinstance(value, (str, bytes)) or \
                not hasattr(value, "__iter__"):
            value = (value,)
        for v in value:
            if isinstance(v, bytes):
                v = v.decode()
            pairs.append(f"{quote(str(name))}={quote(str(v))}")
    return "&".join(pairs)


def encode_url(url: str, params: Mapping[str, Any] | None) -> str:
    """The URL as it is sent: checked, encoded, with its query; raises Error.
    """
    url = str(url)
    if params:
        base, mark, fragment = url.partition("#")
        base += ("&" if "?" in base else "?") + query(params)
        url = base + mark + fragment
    if not url.isascii():
        url = "".join(c if c.isascii() else quote(c) for c in url)
    if not url.isprintable() or " " in url:
        raise Error(22, f"URL {url!r} has a space or a control character",
                    url)
    scheme = url.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        raise Error(22, f"URL '{url}' is not http:// or https://", url)
    if len(url) > URL_MAX:
        raise Error(36, f"the URL is longer than {URL_MAX} bytes", url)
    return url
