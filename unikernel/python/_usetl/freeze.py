"""freeze.py - the fork() in which the reference is frozen.

Every clone, fresh or rolled back, returns from it as the child: what
libraries do for safety after a fork() happens before each request, and
before its event is there.
"""

from __future__ import annotations

import os
import sys

from . import DEV
from .failure import message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USETL_FORK = 0x5502         # ioctls of /dev/usetl/event, unikernel/dev/dev.h
USETL_READY = 0x5503
USETL_LEVEL = 0x5504
RUNTIME = 1                 # levels of it, UK_LEVEL_* in unikernel/abi.h
PACKAGES = 2
ENVIRONMENT_MAX = 8192      # bytes, more than struct uk_ctl holds
EBUSY = 16


def placed(level: int = RUNTIME) -> None:
    """An interpreter is up, or packages are imported: returns where a function
    has been placed, with what that one has in its environment."""
    import fcntl
    event = os.open(DEV + "event", os.O_RDONLY | os.O_CLOEXEC)
    fcntl.ioctl(event, USETL_LEVEL, level)
    os.close(event)
    place = os.open(DEV + "place", os.O_RDONLY | os.O_CLOEXEC)
    text = os.read(place, ENVIRONMENT_MAX)
    os.close(place)
    for line in text.split(b"\0"):
        name, equals, value = line.partition(b"=")
        # the others are as they were, or as a package has set them
        if level != RUNTIME and not name.startswith(b"USETL_"):
            continue
        if equals and os.environb.get(name) != value:
            os.environb[name] = value


def unraisable(what: Any) -> None:
    """A fork handler raised: one line, and the child goes on."""
    exc, tb = what.exc_value, what.exc_traceback
    where = ""
    while tb is not None:
        where = f" ({tb.tb_frame.f_code.co_filename}, line {tb.tb_lineno})"
        tb = tb.tb_next
    name = getattr(what.object, "__qualname__", None) or repr(what.object)
    print(f"usetl: fork handler '{name}' raised {what.exc_type.__name__}: "
          f"{message(exc)}{where}".replace("\n", " "), file=sys.stderr)


def fork(event: int) -> bool:
    """READY: returns in each clone, and after each rollback, as the child of
    a fork(); False where there was none to be had, for other threads live."""
    import fcntl
    saved = sys.unraisablehook
    try:
        fcntl.ioctl(event, USETL_FORK)
    except OSError as e:
        if e.errno != EBUSY:
            raise
        fcntl.ioctl(event, USETL_READY)
        return False
    sys.unraisablehook = unraisable
    try:
        os.fork()
    finally:
        sys.unraisablehook = saved
    return True


def renew_alone() -> None:
    """What of a child's handlers may run although other threads live: they
    have locks and queues that most handlers would take for dead."""
    random, threading = sys.modules.get("random"), sys.modules.get("threading")
    if random:
        random.seed()
    try:
        threading.main_thread()._set_native_id()    # type: ignore
    except AttributeError:
        pass                            # no threading, or an older one
