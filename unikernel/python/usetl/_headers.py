"""_headers.py - header fields: those that came, and the check of those that
are sent."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

TOKEN = frozenset(
    "!#$%&'*+-.^_`|~0123456789"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


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


def check_name(name: str) -> str:
    """The name of a field that is sent; raises ValueError."""
    if not name or not TOKEN.issuperset(name):
        raise ValueError(f"{name!r} cannot be a header's name")
    return name


def check_value(name: str, value: Any) -> str:
    """Its value, as text; raises ValueError."""
    text = str(value)
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"header '{name}': {text!r} is not Latin-1") \
            from None
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError(f"header '{name}': {text!r} has a line end")
    return text
