"""forkpoint.py - where a request's clone starts: fork in function.ini(5), and
usetl.ready().

By default behind the function's module, which is loaded once.  Before that, a
request loads it itself, anew each time: `interpreter`, or `packages`, which is
behind what the module imports first.  With `boot` there is no interpreter yet:
boot.py runs in each request, and has nothing to freeze.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

ONLY_AST = 0x400            # ast.PyCF_ONLY_AST, without the module


def own_names(folder: str) -> set[str]:
    """What the function's folder has, as import would name it."""
    try:
        return {name.partition(".")[0] for name in os.listdir(folder)}
    except OSError:
        return set()


def leading_imports(text: bytes, path: str, own: set[str]) -> Iterator[str]:
    """Modules that the first statements import, up to one that is no import,
    or is of the function's own."""
    for node in compile(text, path, "exec", ONLY_AST, True).body:
        kind = type(node).__name__
        if kind == "Import":
            names = [alias.name for alias in node.names]
        elif kind == "ImportFrom" and not node.level:
            names = [node.module]
        elif kind == "Expr" and type(node.value).__name__ == "Constant":
            continue            # the docstring
        else:
            return
        if own.intersection(name.partition(".")[0] for name in names):
            return
        yield from names


def preload(spec: str) -> None:
    """Import what the handler's module imports first.  What fails there is the
    module's to say, when it comes to it."""
    module = spec.rpartition(".")[0]
    folder = sys.path[0]
    path = os.path.join(folder, *module.split("."))
    for path in path + ".py", os.path.join(path, "__init__.py"):
        try:
            with open(path, "rb") as file:
                text = file.read()
            break
        except OSError:
            pass
    else:
        return
    try:
        for name in leading_imports(text, path, own_names(folder)):
            __import__(name)
    except Exception:
        pass
