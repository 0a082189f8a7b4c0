"""renewal.py - what each child of the freeze has anew, where neither a fork
handler nor a seed that was watched (unseeded.py) sees to it."""

from __future__ import annotations

import gc
import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


def read_ahead_drop() -> None:
    """What a buffered reader has of the kernel's random bytes is not read by
    a child: the next ones are as good, and its own."""
    for f in gc.get_objects():
        if type(f) is io.BufferedReader and not f.closed and \
                f.raw.__class__ is io.FileIO and \
                f.name in ("/dev/urandom", "/dev/random"):
            f.read(len(f.peek()))


def sqlite_reset() -> None:
    """SQLite seeds its generator once in a process, or when it opens a file
    in another; after this, when it is next asked."""
    module = sys.modules.get("_sqlite3")
    if module is None:
        return
    try:
        import ctypes
        # the library is one that the module needs, or is in it
        sqlite = ctypes.PyDLL(getattr(module, "__file__", None))
        sqlite.sqlite3_randomness(0, None)
    except (ImportError, OSError, AttributeError):
        pass                            # hidden in it


def uuid_reset() -> None:
    """libuuid and uuid keep node and clock sequence from their first UUID by
    time on, and two clones may ask in the same moment.  What uuid has for
    machines without libuuid draws them in the child."""
    module: Any = sys.modules.get("uuid")
    if module is None:
        return
    module._generate_time_safe = None
    module._node = None
    module._GETTERS = []                # a guest has no network interface


def uuid_utils_by_time(uuid_utils: Any) -> None:
    """Likewise, but there nothing renews them: each UUID gets its own, as
    RFC 9562 has it in 5.6."""
    def renewed(make: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def by_time(node: Any = None, clock_seq: Any = None) -> Any:
            if clock_seq is None:
                drawn = int.from_bytes(os.urandom(8), "little")
                clock_seq = drawn & 0x3fff
                if node is None:
                    node = drawn >> 16 | 1 << 40    # no hardware's
            return make(node, clock_seq)
        return by_time

    for name in ("uuid1", "uuid6"):
        make = getattr(uuid_utils, name, None)
        if make:
            setattr(uuid_utils, name, renewed(make))


def reseeders() -> list[Callable[[], Any]]:
    """What a child calls for generators that have no fork handler of their
    own, by the name of their module."""
    calls: list[Callable[[], Any]] = []
    for module, call in (("uuid_utils", "reseed_rng"),):
        f = getattr(sys.modules.get(module), call, None)
        if callable(f):
            calls.append(f)
    return calls
