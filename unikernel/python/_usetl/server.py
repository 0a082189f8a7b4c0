"""server.py - the function, ready to be called, and the loop that calls it.

Invariant: one result or one error is written per event; with rollback that
write does not return.
"""

from __future__ import annotations

import gc
import io
import json
import os
import sys
import time

from . import DEV
from .context import Context
from .failure import failure, message
from .freeze import fork, renew_alone
from .loader import BootError, forget_hooks, load, ready_hooks
from .renewal import read_ahead_drop, reseeders, sqlite_reset, uuid_reset
from .streams import flush, leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn

    from .loader import Handler
    from .unseeded import Unseeded

EVENT_MAX = 0x200000        # bytes, as ETLFS_EVENT_MAX in etlfs/format.h
WARM_ROUNDS = 64            # more than any interpreter's specialiser waits


def each_request() -> list[Callable[[], Any]]:
    """What comes before each call of the handler, when the event is there."""
    body = sys.modules.get("usetl._body")
    hooks = sys.modules.get("usetl._hooks")
    calls: list[Callable[[], Any]] = []
    if hasattr(body, "named"):
        calls.append(body.named.clear)
    calls.extend(getattr(hooks, "at_clone", ()))
    return calls


def prepare() -> None:
    """In the runtime, which functions share: a collection visits, and so
    writes to, all that is not frozen."""
    gc.collect()
    gc.freeze()


loading: Server | None = None   # whose module is being loaded: usetl.ready()


class Server:
    """The function, ready to be called; answers events one at a time."""

    def __init__(self, spec: str, unseeded: Unseeded) -> None:
        self.handler: Handler | None = None     # until all is loaded
        self.loaded: Handler | None = None
        self.spec = spec
        self.unseeded = unseeded
        self.frozen = False
        self.began = 0.0            # of a request that began before answer()
        self.waiting = -1           # bytes of an event that was read
        self.decode = json.JSONDecoder().raw_decode
        self.encode = json.JSONEncoder(allow_nan=False).encode
        self.before: list[Callable[[], Any]] = []

    def answer(self, view: memoryview) -> tuple[bool, bytes]:
        """(True, result) or (False, error), both JSON text."""
        start = time.monotonic()
        try:
            if self.handler is None:
                start, self.began = self.began or start, 0.0
                self.load()
                self.hooks()
            for call in self.before:
                call()
            try:
                text = str(view, "utf-8").strip(" \t\r\n")
                event, end = self.decode(text)
                if end != len(text):
                    raise ValueError(f"data after its end, at {end}")
            except (ValueError, RecursionError) as e:
                return False, failure(e, "Runtime.UnmarshalError",
                                      f"the event is not JSON: {message(e)}")
            result = self.handler(event, Context(start))
            try:
                return True, self.encode(result).encode()
            except (TypeError, ValueError, RecursionError) as e:
                return False, failure(
                    e, "Runtime.MarshalError",
                    f"the result of '{self.spec}' cannot be written as "
                    f"JSON: {message(e)}")
        except SystemExit as e:
            leave(e)
        except BaseException as e:
            return False, failure(e)

    def load(self) -> None:
        """The function, before the freeze or in a request."""
        global loading
        loading = self
        try:
            self.loaded = load(self.spec)
        except BaseException:
            forget_hooks()
            raise
        finally:
            loading = None

    def hooks(self) -> None:
        """What is called once it is loaded, and what before each request."""
        ready_hooks()
        self.handler, self.before = self.loaded, each_request()

    def warm(self) -> None:
        """Run everything but the handler itself as requests will."""
        saved, before = self.handler, self.before
        sample = memoryview(b' {"a": [1, 2.5, "x\\u00e9\\n", null, true]} ')
        self.handler, self.before = lambda event, context: event, []
        try:
            for _ in range(WARM_ROUNDS):
                ok, text = self.answer(sample)
                flush()
                if not ok:
                    raise BootError(f"warm-up failed: {text.decode()}")
        finally:
            self.handler, self.before = saved, before

    def settle(self) -> list[Callable[[], Any]]:
        """The last before the freeze; what a child calls first."""
        self.before = each_request()
        renew = self.unseeded.end() + reseeders()
        if self.unseeded.draws:
            for line in self.unseeded.draws.end():
                print(f"usetl: note: {line}", file=sys.stderr)
            if self.unseeded.draws.preload:
                print("usetl: preload:", *self.unseeded.draws.preload,
                      file=sys.stderr)
        for reset in read_ahead_drop, sqlite_reset, uuid_reset:
            reset()
        flush()
        gc.collect()
        # Collections during requests need not visit, and so not write to,
        # what the reference made.
        gc.freeze()
        return renew

    def begin(self) -> None:
        """READY was before the interpreter (fork = boot): its start is the
        first request's, and so is its time."""
        self.began = time.monotonic() - time.process_time()
        self.open()
        self.frozen = True

    def open(self) -> None:
        """What events are read and answered by."""
        self.event = io.FileIO(os.open(DEV + "event",
                                       os.O_RDONLY | os.O_CLOEXEC))
        self.result = os.open(DEV + "result", os.O_WRONLY | os.O_CLOEXEC)
        self.error = os.open(DEV + "error", os.O_WRONLY | os.O_CLOEXEC)
        # Writable memory that is zero without being written (a bytearray
        # would be): only as many pages are touched as the event has.
        self.buf = io.BytesIO(bytes(EVENT_MAX)).getbuffer()

    def freeze(self) -> None:
        """READY: what comes behind it is in each clone, and each request."""
        self.open()
        self.warm()
        renew = self.settle()
        self.frozen = True
        if not fork(self.event.fileno()):
            renew_alone()
        for call in renew:
            try:
                call()
            except Exception as e:
                print("usetl: a generator made in warm-up cannot be seeded "
                      f"anew: {type(e).__name__}: {message(e)}"
                      .replace("\n", " "), file=sys.stderr)

    def ready(self) -> None:
        """usetl.ready(), in a module that is being loaded: the rest of it is
        part of each request."""
        self.freeze()
        self.waiting = self.event.readinto(self.buf)

    def write(self, ok: bool, text: bytes) -> None:
        flush()
        try:
            os.write(self.result if ok else self.error, text)
        except OSError as e:
            # Too long, or the function closed our descriptors and this
            # one stays (recycle = keep); the second failure is final.
            os.write(self.error, failure(
                e, "Runtime.ResultError",
                f"a result of {len(text)} bytes: {message(e)}"))

    def refuse(self, exc: BaseException) -> NoReturn:
        """What is behind usetl.ready() has raised, in a request: so that one
        hears, and with recycle = keep each that follows."""
        if isinstance(exc, SystemExit):
            leave(exc)
        text = failure(exc)
        while True:
            self.write(False, text)
            self.event.readinto(self.buf)

    def serve(self) -> NoReturn:
        """Freeze, where that was not done, then answer for ever; raises
        OSError when the descriptors are gone."""
        if not self.frozen:
            self.freeze()
        while True:
            n, self.waiting = self.waiting, -1
            if n < 0:
                n = self.event.readinto(self.buf)
            self.write(*self.answer(self.buf[:n]))
