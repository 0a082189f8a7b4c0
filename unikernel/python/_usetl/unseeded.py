"""unseeded.py - generators without a seed, found while a function loads."""

from __future__ import annotations

import gc
import os
import sys

from .renewal import uuid_utils_by_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

    from .notes import Draws


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
        self.earlier: list[Any] = []    # numpy's, which gc sees no more
        self.undo: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Watch what is imported from now on."""
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
        def handled_call(*args: Any) -> Any:
            draws = self.draws
            if draws is None:
                return call(*args)
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

        inst = random._inst
        bound: list[tuple[str, Any, Any]] = []

        def undo() -> None:
            kind.seed, kind.setstate = was, setstate
            for name, method, watched in bound:
                if getattr(random, name, None) is watched:
                    setattr(random, name, method)

        kind.seed, kind.setstate = watched_seed, watched_setstate
        # its own functions are methods that are bound already
        for name in ("seed", "setstate"):
            bound.append((name, getattr(random, name), getattr(inst, name)))
            setattr(random, name, bound[-1][2])
        self.made[id(inst)] = ref(inst)
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
        self.earlier.clear()
        return calls

    def share(self) -> None:
        """What was made so far functions are to share: gc is about to be
        told to forget it."""
        if self.drawn and "numpy.random" in sys.modules:
            self.earlier = self.numpy_found()

    def part(self) -> None:
        """In one of these functions: none draws what another does."""
        for made in list(self.made.values()):
            rng = made()
            if rng is not None:
                rng.seed()
        for o in self.earlier:
            # in place, so that each is still one that was drawn
            if not self.was_drawn(o):
                continue
            if hasattr(o, "pool_size"):
                o.__init__(pool_size=o.pool_size)
            elif hasattr(o, "state"):
                o.state = type(o)().state

    def numpy_found(self) -> list[Any]:
        numpy_random = sys.modules["numpy.random"]
        kinds = (numpy_random.SeedSequence, numpy_random.RandomState,
                 numpy_random.BitGenerator)
        return [o for o in gc.get_objects() if issubclass(type(o), kinds)]

    def numpy_generators(self) -> Iterator[Callable[[], Any]]:
        numpy_random = sys.modules["numpy.random"]
        sequences, legacy, kinds = (numpy_random.SeedSequence,
                                    numpy_random.RandomState,
                                    numpy_random.BitGenerator)
        found = self.earlier + self.numpy_found()
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
