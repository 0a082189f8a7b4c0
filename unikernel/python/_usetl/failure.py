"""failure.py - what is said of an exception: to the caller, or on the log of
a function that does not start.

Not by the traceback module: importing that during a request costs more than
all the rest of the request.
"""

from __future__ import annotations

import json
import os

from .context import memory_limit
from .loader import BootError
from .streams import flush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Iterator, NoReturn

MESSAGE_MAX = 8192          # characters of an errorMessage
FRAMES_MAX = 50             # stack frames in a stackTrace


def is_own(path: str) -> bool:
    """Is this file, by the name that a code object has, the runtime's?"""
    return path.startswith(own)


# What the names of the runtime's files begin with; boot.py, which lies in
# another folder, adds its own.  Not __file__: may be byte code.
own = (is_own.__code__.co_filename.rpartition("/")[0] + "/",)


def trim(tb: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is not ours."""
    while tb is not None and is_own(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def fail(what: str, exc: BaseException) -> NoReturn:
    """Report on the log why the function cannot start, and end the guest."""
    if isinstance(exc, BootError):
        text = f"usetl: {exc}\n"
    else:
        import traceback
        text = "".join(traceback.format_exception(
            type(exc), exc, trim(exc.__traceback__)))
        text += f"usetl: {what} raised {type(exc).__name__}"
        if isinstance(exc, ModuleNotFoundError):
            text += "; [packages] in function.ini(5) brings packages along"
        text += "\n"
    flush()
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(2, data):]
    os._exit(1)


def frame_lines(tb: TracebackType | None) -> Iterator[str]:
    """Lines of a traceback as Python writes them, the middle left out when
    there are many."""
    frames = []
    while tb is not None:
        frames.append((tb.tb_frame.f_code, tb.tb_lineno))
        tb = tb.tb_next
    sources: dict[str, list[str]] = {}
    for i, (code, line) in enumerate(frames):
        if FRAMES_MAX // 2 <= i < len(frames) - FRAMES_MAX // 2:
            if i == FRAMES_MAX // 2:
                yield f"  [{len(frames) - FRAMES_MAX} frames left out]"
            continue
        yield f'  File "{code.co_filename}", line {line}, in {code.co_name}'
        text = source_line(code.co_filename, line, sources)
        if text:
            yield "    " + text


def source_line(path: str, line: int, sources: dict[str, list[str]]) -> str:
    """A line of a file, "" when there is none; sources has what was read."""
    if path not in sources:
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                sources[path] = f.readlines()
        except Exception:
            sources[path] = []
    text = sources[path]
    return text[line - 1].strip() if 0 < line <= len(text) else ""


def message(exc: BaseException) -> str:
    """str() of an exception, whatever its class does."""
    try:
        text = str(exc)
    except BaseException as e:
        return f"<str() of the exception raised {type(e).__name__}>"
    if len(text) > MESSAGE_MAX:
        text = (f"{text[:MESSAGE_MAX]}... "
                f"({len(text) - MESSAGE_MAX} more characters)")
    return text


def stack(exc: BaseException, seen: list[BaseException]) -> Iterator[str]:
    """Lines of an exception's stack, after those of what caused it."""
    seen.append(exc)
    before, why = exc.__cause__, "was the direct cause of"
    if before is None and not exc.__suppress_context__:
        before, why = exc.__context__, "was being handled during"
    if before is not None and len(seen) < 10 and \
            not any(before is s for s in seen):
        yield from stack(before, seen)
        yield f"{type(before).__name__}: {message(before)}"
        yield f"which {why}:"
    yield from frame_lines(trim(exc.__traceback__))
    for note in getattr(exc, "__notes__", ()):
        yield f"  {note}"
    for sub in getattr(exc, "exceptions", ()):      # an ExceptionGroup
        if isinstance(sub, BaseException) and len(seen) < 10:
            yield f"in the group: {type(sub).__name__}: {message(sub)}"
            yield from stack(sub, seen)


def no_memory() -> str:
    text = "no memory is left"
    try:
        return f"{text}; the function's limit is {memory_limit()} MB"
    except (OSError, MemoryError):
        return text


def failure(exc: BaseException, kind: str = "", text: str = "") -> bytes:
    """JSON text of an error: errorType, errorMessage, stackTrace."""
    if isinstance(exc, MemoryError):
        # What filled the memory hangs on these frames; their locals go,
        # their line numbers stay.
        tb = trim(exc.__traceback__)
        while tb is not None:
            try:
                tb.tb_frame.clear()
            except RuntimeError:
                pass                    # a frame that still runs
            tb = tb.tb_next
        text = text or message(exc) or no_memory()
    try:
        lines = list(stack(exc, []))
    except BaseException as e:
        lines = [f"<no stack: {type(e).__name__}>"]
    return json.dumps({
        "errorType": kind or type(exc).__name__,
        "errorMessage": text or message(exc),
        "stackTrace": lines,
    }).encode()
