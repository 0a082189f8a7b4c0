"""_errors.py - what a transfer raises."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._response import Response


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
