"""loader.py - the function: where its modules lie, and its handler."""

from __future__ import annotations

import sys
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .context import Context

    Handler = Callable[[Any, Context], Any]

NAMES_MAX = 8               # functions named in place of a missing one


class BootError(Exception):
    """The function cannot be loaded; the text says why, in one line."""


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


def forget_hooks() -> None:
    """Those of a module that could not be loaded, which may be once more."""
    hooks = sys.modules.get("usetl._hooks")
    for name in "at_ready", "at_clone":
        found = getattr(hooks, name, [])
        found[:] = [hook for hook in found
                    if getattr(hook, "__module__", None) in sys.modules]


def ready_hooks() -> None:
    """Run what the function registered by usetl.on_ready, in that order."""
    hooks = sys.modules.get("usetl._hooks")
    for hook in getattr(hooks, "at_ready", ()):
        hook()
