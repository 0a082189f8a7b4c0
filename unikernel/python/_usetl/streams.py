"""streams.py - the log: what the function prints, and what the interpreter
writes of a bad end."""

from __future__ import annotations

import faulthandler
import io
import os
import sys

from . import DEV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

LAST_SIGNAL = 64            # UK_LAST_SIGNAL in unikernel/abi.h


def set_streams() -> None:
    """A line is in the log once it is printed, even when the function then
    crashes or loops; and printing never fails for want of a character."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace",
                               line_buffering=True)


def set_report() -> None:
    """All threads' tracebacks go to the report of a bad end: after a fatal
    signal, and when the time limit is over.  The descriptor stays open."""
    report = os.open(DEV + "report", os.O_WRONLY | os.O_CLOEXEC)
    faulthandler.enable(report)
    faulthandler.register(LAST_SIGNAL, report)


def flush() -> None:
    """What the function printed goes to the log, whatever it did to the
    streams."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()              # type: ignore[union-attr]
        except BaseException:
            pass


def leave(exc: SystemExit) -> NoReturn:
    """End the guest as sys.exit() would have ended the process."""
    code = exc.code
    if code is None:
        code = 0
    elif not isinstance(code, int):
        try:
            print(code, file=sys.stderr)
        except BaseException:
            pass
        code = 1
    flush()
    os._exit(code & 0xff)
