"""learn.py - in a trial boot: which imports functions may share (preload.py).

They are the longest prefix of the statements of the handler's module that
import modules, do so from packages or the standard library, and do nothing
that a function could tell from who else does it, or when: no output, no
threads, no draw of randomness that the function is told of, no timer, no look
at its own files, name or limits, or at who imports.

Some of that is Python's to see, and the rest the libOS's, which counts it for
USETL_LOOKS.  Nobody sees C code call getenv(3), and nobody has to: the
variables of a base are those of all its functions but for USETL_*, which C
code has no use for, and a module that sets one itself does so by a statement
that is no import, where the prefix ends.
"""

from __future__ import annotations

import os
import sys

from .forkpoint import leading_imports, own_names
from .loader import BootError
from .preload import Asked, Preload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from .notes import Draws

NAMES_MAX = 64              # modules
TEXT_MAX = 1500             # bytes of their names
USETL_LOOKS = 0x5505        # ioctl of /dev/usetl/event, unikernel/dev/dev.h
FRAMES = {"sys._getframe", "sys._getframemodulename"}
# these give frames to who goes on from there
WALKERS = {("currentframe", "inspect.py"), ("stack", "inspect.py")}
OWN = os.path.dirname(os.path.abspath(__file__))


def statements(spec: str) -> Iterator[tuple[Any, str]]:
    """The first statements of the handler's module, and of the packages that
    it is in, in the order in which they run; with the file."""
    path = sys.path[0]
    parts = spec.rpartition(".")[0].split(".")
    for part in parts:
        path = os.path.join(path, part)
        init = os.path.join(path, "__init__.py")
        file = init if os.path.exists(init) else path + ".py"
        try:
            with open(file, "rb") as f:
                nodes, all_of_it = leading_imports(f.read(), file)
        except (OSError, SyntaxError, ValueError):
            return                      # it is said when it is loaded
        for node in nodes:
            if getattr(node, "module", "") != "__future__":
                yield node, file
        if not all_of_it:
            return


def modules(node: Any) -> list[str]:
    """What a statement imports, in order: submodules too, once they are."""
    if type(node).__name__ == "Import":
        return [alias.name for alias in node.names]
    names = [f"{node.module}.{alias.name}" for alias in node.names]
    return [node.module] + [n for n in names if n in sys.modules]


class Own:
    """The finder of the function's folder, which would look at that for each
    module: only for those that may be there."""

    def __init__(self, app: str, own: set[str]) -> None:
        self.app, self.own = app, own
        self.finder: Any = None

    def find_spec(self, name: str, target: Any = None) -> Any:
        if not self.finder or name.rpartition(".")[2] not in self.own:
            return None
        return self.finder.find_spec(name, target)

    def begin(self) -> None:
        for hook in sys.path_hooks:
            try:
                self.finder = hook(self.app)
                break
            except ImportError:
                pass
        cache: Any = sys.path_importer_cache
        cache[self.app] = self

    def end(self) -> None:
        sys.path_importer_cache.pop(self.app, None)


class Environ(dict):                    # type: ignore[type-arg]
    """os.environ's own: does anyone ask for what is the function's alone?"""

    asked = False

    def __len__(self) -> int:
        self.asked = True
        return dict.__len__(self)

    def __getitem__(self, key: Any) -> Any:
        self.asked |= key.startswith(b"USETL_")
        return dict.__getitem__(self, key)

    def __iter__(self) -> Any:
        self.asked = True
        return dict.__iter__(self)


class Watch:
    """What is done while one statement runs."""

    def __init__(self, app: str, own: set[str]) -> None:
        self.app = app
        self.own = Own(app, own)
        self.event = os.open("/dev/usetl/event", os.O_RDONLY | os.O_CLOEXEC)
        self.on = False
        self.seen = False
        sys.addaudithook(self.audit)

    def looks(self) -> int:
        """How many paths have led to the function's own files."""
        import fcntl
        return fcntl.ioctl(self.event, USETL_LOOKS)

    def walks(self, args: tuple[Any, ...]) -> bool:
        """Does a function that asks for a frame, perhaps of its caller's, look
        at who imports?  It does where the frame that it gets is not of the
        import, and may where it goes on from there itself."""
        asks = sys._getframe(2)
        who: Any = asks
        if args and isinstance(args[0], int):
            for _ in range(args[0]):
                who = who and who.f_back
        elif args:
            who = args[0]
        name = getattr(getattr(who, "f_code", None), "co_filename", "")
        code = asks.f_code
        return not name or name.startswith((self.app + "/", OWN)) or \
            "f_back" in code.co_names or \
            (code.co_name, os.path.basename(code.co_filename)) in WALKERS

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in FRAMES:
            self.on = False             # its own frames are its own
            self.seen |= self.walks(args)
            self.on = True
            return
        # Popen is harmless where there is nothing to run: platform.processor()
        self.seen |= event in ("os.fork", "os.forkpty", "usetl.ready")
        if event not in ("open", "os.listdir", "os.scandir", "os.chdir"):
            return
        frame = sys._getframe(1)
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return                      # Asked knows for what
        try:
            path = args[0] if args and args[0] is not None else "."
            path = os.path.abspath(os.fsdecode(path))
        except TypeError:
            return                      # a descriptor
        self.seen |= path in ("/", self.app) or \
            path.startswith((self.app + "/", "/dev/usetl/")) or \
            path.startswith("/proc/") and path.endswith("/environ")

    def run(self, code: Any, module: str) -> bool:
        """Has it done nothing of the kind?"""
        environ: Any = os.environ
        raw: Any = os.environb
        data = environ._data
        held = [os.dup(1), os.dup(2)]
        said = os.open("/tmp/.usetl-said", os.O_RDWR | os.O_CREAT |
                       os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink("/tmp/.usetl-said")
        self.own.begin()
        self.seen, self.on = False, True
        looks, hooks = self.looks(), list(sys.path_hooks)
        try:
            environ._data = raw._data = Environ(data)
            os.dup2(said, 1)
            os.dup2(said, 2)
            exec(code, {"__name__": module, "__builtins__": __builtins__,
                        "__file__": code.co_filename})
        finally:
            self.on = False
            # a new hook would be asked for the function's folder
            self.seen |= self.looks() != looks or sys.path_hooks != hooks
            self.own.end()
            for stream in sys.stdout, sys.stderr:
                if stream:
                    stream.flush()
            for fd, was in zip((1, 2), held):
                os.dup2(was, fd)
                os.close(was)
            self.seen |= environ._data.asked
            data.clear()
            data.update(environ._data)
            environ._data = raw._data = data
            text = os.pread(said, 1 << 20, 0)
            os.close(said)
            if text:
                self.seen = True
                os.write(2, text)
        return not self.seen


def threads() -> int:
    with open("/proc/self/status", encoding="ascii") as f:
        return next(int(s.split()[1]) for s in f if s.startswith("Threads"))


class Learner:
    def __init__(self, spec: str, draws: Draws) -> None:
        self.spec = spec
        self.draws = draws
        self.own = own_names(sys.path[0])
        self.packages = tuple(
            p + "/" for p in os.environ.get("USETL_PATH", "").split(":")[1:])
        self.names: list[str] = []
        self.some = 0               # so many end with one from packages

    def noted(self) -> int:
        return sum(bool(self.draws.note(*d)) for d in self.draws.taken())

    def from_packages(self, name: str) -> bool:
        file = getattr(sys.modules.get(name), "__file__", None)
        return isinstance(file, str) and file.startswith(self.packages)

    def room(self) -> bool:
        return len(self.names) < NAMES_MAX and \
            len(" ".join(self.names)) < TEXT_MAX

    def step(self, watch: Watch, node: Any, file: str) -> bool:
        """Run one statement: may functions share it?  Raises what it does."""
        import _ast
        tree = _ast.Module(body=[node], type_ignores=[])
        code = compile(tree, file, "exec", 0, True)     # type: ignore
        had, noted, asked = set(sys.modules), self.noted(), Asked()
        asked.begin()
        try:
            good = watch.run(code, self.spec.rpartition(".")[0])
        finally:
            asked.end()
        new = set(sys.modules) - had
        if not good or threads() > 1 or self.noted() != noted or \
                asked.names & self.own:
            return False
        self.names += [name for name in modules(node) if name in new]
        if any(self.from_packages(name) for name in new):
            self.some = len(self.names)
        return self.room()

    def follow(self, steps: Iterator[tuple[Any, str]], done: Preload) -> None:
        """What was imported before is how the module begins, or this is no
        trial of it."""
        left = list(done.names)
        while left:
            node = next(steps, (None, ""))[0]
            names = modules(node) if node else []
            had = done.had(len(done.names) - len(left))
            new = [name for name in names if name not in had]
            if not names or done.asked.names & self.own or \
                    left[:len(new)] != new:
                raise BootError("other modules than its own were imported")
            del left[:len(new)]
        self.names = list(done.names)
        self.some = len(self.names)

    def learn(self, done: Preload | None) -> list[str]:
        """The names of modules, in order."""
        if self.packages:
            steps = statements(self.spec)
            if done:
                self.follow(steps, done)
            watch = Watch(sys.path[0], self.own)
            try:
                for node, file in steps:
                    names = modules(node)
                    if self.own.intersection(n.partition(".")[0]
                                             for n in names):
                        break
                    if not self.step(watch, node, file) or \
                            any(a.name == "*" for a in node.names):
                        break
            finally:
                os.close(watch.event)
        return self.names[:self.some]
