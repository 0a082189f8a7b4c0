"""_hooks.py - what the runtime calls of a function besides its handler."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    Hook = TypeVar("Hook", bound=Callable[[], Any])

# what is called before the freeze, and after it at each request
at_ready: list[Callable[[], Any]] = []
at_clone: list[Callable[[], Any]] = []


def ready() -> None:
    """In a module that is being loaded: the function is ready here.

    What lies behind it is run anew by each request, before its handler.
    Does nothing where that is so already, since fork in function.ini(5) says
    that a request loads the module.
    """
    sys.audit("usetl.ready")
    server = getattr(sys.modules.get("_usetl.server"), "loading", None)
    if server is None:
        raise RuntimeError("usetl.ready() is for a function's module, while "
                           "usetl loads it")
    if not server.frozen:
        server.ready()


def on_ready(hook: Hook) -> Hook:
    """Decorator: call the function once, before the reference is frozen.

    What it loads and computes is there in every clone.
    """
    at_ready.append(hook)
    return hook


def on_clone(hook: Hook) -> Hook:
    """Decorator: call the function at the start of every invocation.

    For what must not be the same in two requests, where usetl bake names
    something: what notices a fork has been made anew before it.
    """
    at_clone.append(hook)
    return hook
