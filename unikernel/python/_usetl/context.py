"""context.py - what the handler gets as its second argument."""

from __future__ import annotations

import json
import os
import sys
import time

from . import DEV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Context:
    """What the handler gets as its second argument.

    Attributes:
        function_name: the function's name.
        memory_limit_in_mb: the function's memory limit, in MiB.
        deadline: time.monotonic() seconds at which the request is ended;
            infinity when the runtime was not told the time limit.
        request_id, aws_request_id: a UUID (version 4) of this invocation.
    """

    # repr() and pickle name the module that runs, as they did before this
    # was a file of its own
    __module__ = "__main__"
    __slots__ = ("_start", "_deadline", "_id", "_memory")

    function_name = ""

    def __init__(self, start: float) -> None:
        self._start = start
        self._deadline = 0.0
        self._id = ""
        self._memory = 0

    @property
    def memory_limit_in_mb(self) -> int:
        # The function's from where it is placed on, which need not be that
        # of the boot.
        if not self._memory:
            self._memory = memory_limit()
        return self._memory

    @property
    def deadline(self) -> float:
        # The time limit is the request's, so it is read when asked for.
        if not self._deadline:
            limit = read_info()["timeout"] or float("inf")
            self._deadline = self._start + limit
        return self._deadline

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the request is ended, 0 when it is overdue,
        sys.maxsize when the deadline is infinite."""
        left = (self.deadline - time.monotonic()) * 1000
        return int(min(max(0.0, left), sys.maxsize))

    @property
    def request_id(self) -> str:
        # Drawn when asked for: most handlers never do.
        if not self._id:
            raw = bytearray(os.urandom(16))
            raw[6] = raw[6] & 0x0f | 0x40
            raw[8] = raw[8] & 0x3f | 0x80
            h = raw.hex()
            self._id = "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
        return self._id

    aws_request_id = request_id


def memory_limit() -> int:
    """The function's memory limit now, in MiB."""
    return read_info()["memory"] >> 20


def read_info() -> dict[str, Any]:
    """The function's name, memory (bytes) and timeout (seconds, or 0)."""
    fd = os.open(DEV + "info", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return json.loads(os.read(fd, 65536))
    finally:
        os.close(fd)
