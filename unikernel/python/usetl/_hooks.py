"""_hooks.py - what the runtime calls of a function besides its handler."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    Hook = TypeVar("Hook", bound=Callable[[], Any])

# what is called before the freeze, and after it at each request
ready: list[Callable[[], Any]] = []
clone: list[Callable[[], Any]] = []


def on_ready(hook: Hook) -> Hook:
    """Decorator: call the function once, before the reference is frozen.

    What it loads and computes is there in every clone.
    """
    ready.append(hook)
    return hook


def on_clone(hook: Hook) -> Hook:
    """Decorator: call the function at the start of every invocation.

    For what must not be the same in two requests, where usetl bake names
    something: what notices a fork has been made anew before it.
    """
    clone.append(hook)
    return hook
