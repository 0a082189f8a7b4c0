"""boot.py - what the guest's interpreter runs: load the function, serve it.

Started as ``PYTHON -I -S -B /usetl/boot.py`` with USETL_HANDLER
(module.function), USETL_PATH (folders, colon-separated) and USETL_NAME in
the environment; unikernel/dev/dev.h says what the files under /dev/usetl are.

Invariants:
  - The reference is frozen inside fork(); every clone, fresh or rolled back,
    returns from it as the child: what libraries do for safety after a fork()
    happens before each request, and before its event is there.
  - Whatever a request needs is imported, opened and allocated before that, and
    has run often enough that the interpreter has specialised it: each page
    that a request is the first to touch costs as much as many bytecodes.
  - Nothing random that was drawn before the freeze is used after it.
  - One result or one error is written per event; with rollback that write
    does not return.
"""

from __future__ import annotations

import faulthandler
import gc
import io
import json
import os
import sys
import time
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Iterator, NoReturn

    Handler = Callable[[Any, "Context"], Any]

DEV = "/dev/usetl/"
EVENT_MAX = 0x200000        # bytes, as ETLFS_EVENT_MAX in etlfs/format.h
MESSAGE_MAX = 8192          # characters of an errorMessage
FRAMES_MAX = 50             # stack frames in a stackTrace
NAMES_MAX = 8               # functions named in place of a missing one
WARM_ROUNDS = 64            # more than any interpreter's specialiser waits
LAST_SIGNAL = 64            # UK_LAST_SIGNAL in unikernel/abi.h
USETL_FORK = 0x5502         # ioctls of /dev/usetl/event, unikernel/dev/dev.h
USETL_READY = 0x5503
EBUSY = 16
DRAW_SIGNAL = 63            # UK_DRAW_SIGNAL in unikernel/abi.h


class BootError(Exception):
    """The function cannot be loaded; the text says why, in one line."""


class Context:
    """What the handler gets as its second argument.

    Attributes:
        function_name: the function's name.
        memory_limit_in_mb: the function's memory limit, in MiB.
        deadline: time.monotonic() seconds at which the request is ended;
            infinity when the runtime was not told the time limit.
        request_id, aws_request_id: a UUID (version 4) of this invocation.
    """

    __slots__ = ("_start", "_deadline", "_id")

    function_name = ""
    memory_limit_in_mb = 0

    def __init__(self, start: float) -> None:
        self._start = start
        self._deadline = 0.0
        self._id = ""

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


# --- loading


def set_path(entries: list[str]) -> None:
    """The function's folder first, then the standard library, then the rest.

    .pth files are not processed: `site` is not part of a function's start.
    """
    entries = [e for e in entries if e]
    sys.path[:] = entries[:1] + sys.path + entries[1:] + ["/usetl/lib"]


def own_functions(module: str) -> list[str]:
    """Names of what a module has defined itself and could be a handler."""
    return [name for name, f in vars(sys.modules[module]).items()
            if isinstance(f, FunctionType) and f.__module__ == module]


def takes_two(f: FunctionType) -> bool:
    """Can it be called with two positional arguments, as a handler is?"""
    code = f.__code__
    needs = code.co_argcount - len(f.__defaults__ or ())
    return needs <= 2 and \
        (code.co_argcount >= 2 or bool(code.co_flags & 4)) and \
        code.co_kwonlyargcount <= len(f.__kwdefaults__ or ())


def load(spec: str) -> Handler:
    """Import the module of `module.function` and return the function.

    Raises BootError when there is no such module, attribute or callable;
    whatever the module itself raises passes through.
    """
    module, _, name = spec.rpartition(".")
    if not module or not name:
        raise BootError(f"handler '{spec}' is not of the form module.function")
    try:
        # Not importlib: the C function trims the machinery's own frames.
        __import__(module)
    except ModuleNotFoundError as e:
        # Is it the module itself that is missing, or one that it imports?
        if e.name and (module == e.name or module.startswith(e.name + ".")):
            raise BootError(f"handler '{spec}': no module named '{e.name}'; "
                            f"looked in {', '.join(sys.path)}") from None
        raise
    try:
        handler = getattr(sys.modules[module], name)
    except AttributeError:
        where = getattr(sys.modules[module], "__file__", None) or module
        has = ", ".join(own_functions(module)[:NAMES_MAX])
        raise BootError(f"handler '{spec}': '{where}' has no attribute "
                        f"'{name}'" + (has and f"; it has: {has}")) from None
    if not callable(handler):
        raise BootError(f"handler '{spec}' is not callable: it is of type "
                        f"'{type(handler).__name__}'")
    # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR: a call runs nothing
    if getattr(getattr(handler, "__code__", None), "co_flags", 0) & 0x2a0:
        raise BootError(f"handler '{spec}' is async or a generator: a call of "
                        "it runs nothing; let a plain function return "
                        "asyncio.run(...) or list(...)")
    if isinstance(handler, FunctionType) and not takes_two(handler):
        code = handler.__code__
        takes = ", ".join(code.co_varnames[:code.co_argcount +
                                           code.co_kwonlyargcount])
        raise BootError(f"handler '{spec}' is called with two arguments, "
                        f"(event, context); it takes ({takes})")
    return handler


def ready_hooks() -> None:
    """Run what the function registered by usetl.on_ready, in that order."""
    hooks = sys.modules.get("usetl._hooks")
    for hook in getattr(hooks, "ready", ()):
        hook()


def trim(tb: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is not ours."""
    own = trim.__code__.co_filename     # not __file__: may be byte code
    while tb is not None and tb.tb_frame.f_code.co_filename == own:
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


# --- errors


def frame_lines(tb: TracebackType | None) -> Iterator[str]:
    """Lines of a traceback as Python writes them, the middle left out when
    there are many.  Not by the traceback module: importing that during a
    request costs more than all the rest of the request."""
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
        text = text or message(exc) or (
            "no memory is left; the function's limit is "
            f"{Context.memory_limit_in_mb} MB")
    try:
        lines = list(stack(exc, []))
    except BaseException as e:
        lines = [f"<no stack: {type(e).__name__}>"]
    return json.dumps({
        "errorType": kind or type(exc).__name__,
        "errorMessage": text or message(exc),
        "stackTrace": lines,
    }).encode()


# --- one request


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


# --- another process for each request


class Draws:
    """Who draws randomness while the function is loaded, in a trial boot.

    What is made of it is the same in every request, unless it is known to be
    made anew in a child.  The device notes the file whose code asked, and for
    each draw a signal has faulthandler write the Python stack.
    """

    # libraries that notice a fork, or that keep nothing of what they draw
    SAFE = ("libcrypto.", "libssl.", "_ssl.", "_hashlib.", "_rust.abi3.",
            "libsodium", "_sodium.", "cygrpc.", "libgcrypt.", "libgnutls.",
            "libuuid.", "libpq", "liblzma.")
    # of the standard library: fork handlers, and keys that mean the family
    SAFE_PYTHON = ("multiprocessing/process.py",)

    def __init__(self) -> None:
        self.handled: list[tuple[int, int]] = []    # known to be seeded anew
        self.lines = os.open(DEV + "draws", os.O_RDONLY | os.O_CLOEXEC)
        path = "/tmp/.usetl-draws"
        self.stacks = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL |
                              os.O_CLOEXEC, 0o600)
        os.unlink(path)
        faulthandler.register(DRAW_SIGNAL, self.stacks, all_threads=False)

    def at(self) -> int:
        return os.lseek(self.stacks, 0, os.SEEK_END)

    def all_of(self, fd: int) -> str:
        data = b""
        os.lseek(fd, 0, os.SEEK_SET)
        while True:
            more = os.read(fd, 65536)
            if not more:
                return data.decode("utf-8", "replace")
            data += more

    def taken(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """(file whose code asked, [(Python file, line)], innermost first) of
        each draw that nobody is known to make up for."""
        files = self.all_of(self.lines).splitlines()
        offset = 0
        stacks: list[list[tuple[str, str]]] = []
        starts: list[int] = []
        for line in self.all_of(self.stacks).splitlines(keepends=True):
            if line.startswith('  File "'):
                name, _, rest = line[8:].rpartition('", line ')
                stacks[-1].append((name, rest.split()[0]))
            elif not line.startswith("  "):
                stacks.append([])
                starts.append(offset)
            offset += len(line.encode())
        for file, start, frames in zip(files, starts, stacks):
            if not any(a <= start < b for a, b in self.handled):
                yield file, frames

    def note(self, file: str, frames: list[tuple[str, str]]) -> str:
        base = file.rpartition("/")[2]
        own = trim.__code__.co_filename
        stdlib = os.__file__.rpartition("/")[0] + "/"
        theirs = [f for f in frames if f[0] != own and
                  not f[0].startswith(("<frozen", stdlib))]
        where = f"{theirs[0][0]} line {theirs[0][1]}" if theirs else ""
        if theirs and theirs[-1][0] != theirs[0][0]:
            where += f" (called at {theirs[-1][0]} line {theirs[-1][1]})"
        if base.startswith(self.SAFE) or frames and (
                frames[0][0].endswith(self.SAFE_PYTHON) or
                frames[0][0] == own):   # in a child it draws again
            return ""
        if base.startswith(("python", "libpython")) or \
                "/lib-dynload/" in file:
            if not theirs:
                return ""       # the interpreter's own beginnings
            return (f"{where} drew randomness that all requests will share; "
                    "if they must not, draw it in a function under "
                    "@usetl.on_clone")
        if base.startswith("_uuid_utils.") and reseeders():
            return ""
        return (f"{base} drew randomness, at {where or 'the start'}; unless "
                "it notices a fork, all requests will get the same of it: add "
                "a function under @usetl.on_clone that seeds it again")

    def end(self) -> Iterator[str]:
        """Lines for whoever bakes the function."""
        faulthandler.unregister(DRAW_SIGNAL)
        seen = {""}
        for file, frames in self.taken():
            line = self.note(file, frames)
            if line not in seen:
                seen.add(line)
                yield line
        os.close(self.lines)
        os.close(self.stacks)


def thread_note() -> Iterator[str]:
    """Who else lives: then READY is no fork, and no fork handler runs."""
    with open("/proc/self/status", encoding="ascii") as f:
        count = next(int(s.split()[1]) for s in f if s.startswith("Threads"))
    if count < 2:
        return
    threading = sys.modules.get("threading")
    names = [repr(t.name) for t in threading.enumerate()
             if t is not threading.main_thread()] if threading else []
    if count - 1 > len(names):
        names.append(f"{count - 1 - len(names)} not of Python")
    yield ("threads live on in each request, so fork handlers do not run "
           f"there: {', '.join(names)}; start them in the handler, or see "
           "usetl-python(7)")


class Unseeded:
    """The generators made before the freeze that nobody gave a seed.

    A fork() leaves them alone, so each child must seed them anew; those that
    were given a seed repeat themselves because somebody wants that.  Which is
    which is observed: what asks for a seed of random.Random, or for the bits
    that numpy's SeedSequence begins with, is watched from the moment that the
    module is imported, by being a finder of modules.
    """

    def __init__(self, draws: Draws | None = None) -> None:
        self.draws = draws              # of a trial boot
        self.made: dict[int, Any] = {}  # id: weak reference
        self.drawn: set[int] = set()    # what secrets.randbits returned
        self.reseeded = False           # numpy.random.seed(), without a seed
        self.undo: list[Callable[[], None]] = []

    def begin(self) -> None:
        sys.meta_path.insert(0, self)   # type: ignore[arg-type]

    def find_spec(self, name: str, path: Any = None, target: Any = None
                  ) -> Any:
        watch = {"random": self.watch_random,
                 "secrets": self.watch_secrets,
                 "uuid_utils": uuid_utils_by_time}.get(name)
        if watch is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if finder is not self else None
            if spec is not None:
                break
        else:
            return None
        load = self.handled(spec.loader.exec_module)

        def exec_module(module: Any) -> None:
            load(module)
            watch(module)

        spec.loader.exec_module = exec_module
        return spec

    def handled(self, call: Any) -> Any:
        """call, with what it draws known to be made up for in a child"""
        draws = self.draws
        if draws is None:
            return call

        def handled_call(*args: Any) -> Any:
            start = draws.at()
            try:
                return call(*args)
            finally:
                draws.handled.append((start, draws.at()))

        return handled_call

    def watch_random(self, random: Any) -> None:
        from _weakref import ref
        kind, was, setstate = random.Random, random.Random.seed, \
            random.Random.setstate
        seed = self.handled(was)

        def watched_seed(self_: Any, a: Any = None, version: int = 2) -> None:
            seed(self_, a, version)
            if a is None:
                self.made[id(self_)] = ref(self_)
            else:
                self.made.pop(id(self_), None)

        def watched_setstate(self_: Any, state: Any) -> None:
            setstate(self_, state)
            self.made.pop(id(self_), None)

        def undo() -> None:
            kind.seed, kind.setstate = was, setstate

        kind.seed, kind.setstate = watched_seed, watched_setstate
        self.undo.append(undo)

    def watch_secrets(self, secrets: Any) -> None:
        randbits = secrets.randbits
        draw = self.handled(randbits)

        def watched(k: int) -> int:
            bits: int = draw(k)
            self.drawn.add(bits)
            # numpy.random.seed() keeps nothing to know it by, but has the
            # generator's lock meanwhile
            mtrand = sys.modules.get("numpy.random.mtrand")
            rand = getattr(mtrand, "_rand", None)
            lock = getattr(getattr(rand, "_bit_generator", None), "lock", None)
            held = getattr(lock, "_is_owned", None) or \
                getattr(lock, "locked", bool)
            self.reseeded |= held()
            return bits

        def undo() -> None:
            for name in ("secrets", "numpy.random.bit_generator"):
                module = sys.modules.get(name)
                if getattr(module, "randbits", None) is watched:
                    module.randbits = randbits      # type: ignore[union-attr]

        secrets.randbits = watched
        self.undo.append(undo)

    def end(self) -> list[Callable[[], Any]]:
        """Stop watching; what a child has to call."""
        sys.meta_path[:] = [f for f in sys.meta_path if f is not self]
        for undo in self.undo:
            undo()
        calls: list[Callable[[], Any]] = []
        for made in self.made.values():
            rng = made()
            # the one that random's own functions use has a fork handler
            if rng is not None and rng is not sys.modules["random"]._inst:
                calls.append(rng.seed)
        if self.drawn and "numpy.random" in sys.modules:
            calls.extend(self.numpy_generators())
        self.made.clear()
        self.drawn.clear()
        return calls

    def numpy_generators(self) -> Iterator[Callable[[], Any]]:
        numpy_random = sys.modules["numpy.random"]
        sequences, legacy, kinds = (numpy_random.SeedSequence,
                                    numpy_random.RandomState,
                                    numpy_random.BitGenerator)
        found = [o for o in gc.get_objects()
                 if issubclass(type(o), (sequences, legacy, kinds))]
        own = []                        # what is seen to by its RandomState
        for rs in found:
            bits = getattr(rs, "_bit_generator", None)
            if not isinstance(rs, legacy) or not (self.was_drawn(bits) or (
                    self.reseeded and rs is numpy_random.mtrand._rand)):
                continue
            if hasattr(bits, "_legacy_seeding"):
                own += [bits, getattr(bits, "_seed_seq", None)]
                yield lambda rs=rs: rs.seed(
                    memoryview(os.urandom(32)).cast("I").tolist())
            else:
                # the second of a pair of normal values is not in bits
                rs.set_state({**rs.get_state(legacy=False), "has_gauss": 0})
        for o in found:
            if any(o is seen for seen in own) or not self.was_drawn(o):
                continue
            if isinstance(o, sequences):
                # in place: spawn() makes others of it
                yield lambda o=o: o.__init__(pool_size=o.pool_size)
            elif isinstance(o, kinds):
                yield lambda o=o: setattr(o, "state", type(o)().state)

    def was_drawn(self, o: Any) -> bool:
        """Of a sequence, or of bits that began with one."""
        seq = getattr(o, "seed_seq", None) or getattr(o, "_seed_seq", o)
        try:
            return getattr(seq, "entropy", None) in self.drawn
        except TypeError:               # a list of integers that was given
            return False


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


def each_request() -> list[Callable[[], Any]]:
    """What comes before each call of the handler, when the event is there."""
    body = sys.modules.get("usetl._body")
    hooks = sys.modules.get("usetl._hooks")
    calls: list[Callable[[], Any]] = []
    if hasattr(body, "named"):
        calls.append(body.named.clear)
    calls.extend(getattr(hooks, "clone", ()))
    return calls


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


class Server:
    """The function, ready to be called; answers events one at a time."""

    def __init__(self, handler: Handler, spec: str) -> None:
        self.handler = handler
        self.spec = spec
        self.decode = json.JSONDecoder().raw_decode
        self.encode = json.JSONEncoder(allow_nan=False).encode
        self.before: list[Callable[[], Any]] = []

    def answer(self, view: memoryview) -> tuple[bool, bytes]:
        """(True, result) or (False, error), both JSON text."""
        start = time.monotonic()
        try:
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

    def warm(self) -> None:
        """Run everything but the handler itself as requests will."""
        saved = self.handler
        sample = memoryview(b' {"a": [1, 2.5, "x\\u00e9\\n", null, true]} ')
        self.handler = lambda event, context: event
        try:
            for _ in range(WARM_ROUNDS):
                ok, text = self.answer(sample)
                flush()
                if not ok:
                    raise BootError(f"warm-up failed: {text.decode()}")
        finally:
            self.handler = saved

    def serve(self, unseeded: Unseeded) -> NoReturn:
        """Freeze, then answer for ever."""
        event = io.FileIO(os.open(DEV + "event", os.O_RDONLY | os.O_CLOEXEC))
        result = os.open(DEV + "result", os.O_WRONLY | os.O_CLOEXEC)
        error = os.open(DEV + "error", os.O_WRONLY | os.O_CLOEXEC)
        # Writable memory that is zero without being written (a bytearray
        # would be): only as many pages are touched as the event has.
        buf = io.BytesIO(bytes(EVENT_MAX)).getbuffer()
        self.warm()
        self.before = each_request()
        renew = unseeded.end() + reseeders()
        if unseeded.draws:
            for line in (*unseeded.draws.end(), *thread_note()):
                print(f"usetl: note: {line}", file=sys.stderr)
        for reset in read_ahead_drop, sqlite_reset, uuid_reset:
            reset()
        flush()
        gc.collect()
        # Collections during requests need not visit, and so not write to,
        # what the reference made.
        gc.freeze()
        if not fork(event.fileno()):
            renew_alone()
        for call in renew:
            try:
                call()
            except Exception as e:
                print("usetl: a generator made in warm-up cannot be seeded "
                      f"anew: {type(e).__name__}: {message(e)}"
                      .replace("\n", " "), file=sys.stderr)
        while True:
            n = event.readinto(buf)
            ok, text = self.answer(buf[:n])
            flush()
            try:
                os.write(result if ok else error, text)
            except OSError as e:
                # Too long, or the function closed our descriptors and this
                # one stays (recycle = keep); the second failure is final.
                os.write(error, failure(
                    e, "Runtime.ResultError",
                    f"a result of {len(text)} bytes: {message(e)}"))


def read_info() -> dict[str, Any]:
    fd = os.open(DEV + "info", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return json.loads(os.read(fd, 65536))
    finally:
        os.close(fd)


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


def main() -> NoReturn:
    spec = os.environ.get("USETL_HANDLER", "")
    what = f"importing the module of handler '{spec}'"
    try:
        set_streams()
        set_report()
        set_path(os.environ.get("USETL_PATH", "/app").split(":"))
        sys.argv[:] = [""]
        trial = os.environ.pop("USETL_TRIAL", "")
        unseeded = Unseeded(Draws() if trial else None)
        unseeded.begin()
        handler = load(spec)
        what = "a usetl.on_ready hook"
        ready_hooks()
        what = "the runtime"
        Context.function_name = os.environ.get("USETL_NAME", "")
        Context.memory_limit_in_mb = read_info()["memory"] >> 20
        Server(handler, spec).serve(unseeded)
    except BaseException as e:
        fail(what, e)


main()
