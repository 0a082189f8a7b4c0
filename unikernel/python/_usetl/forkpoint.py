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
    from typing import Any

ONLY_AST = 0x400            # ast.PyCF_ONLY_AST, without the module


def own_names(folder: str) -> set[str]:
    """What the function's folder has, as import would name it."""
    try:
        return {name.partition(".")[0] for name in os.listdir(folder)}
    except OSError:
        return set()


def leading_imports(text: bytes, path: str) -> tuple[list[Any], bool]:
    """The statements that a module begins with, as far as they import others
    by whole names; its docstring is none of them.  Are these all it has?"""
    found: list[Any] = []
    for node in compile(text, path, "exec", ONLY_AST, True).body:
        kind = type(node).__name__
        if kind == "Expr" and type(node.value).__name__ == "Constant":
            continue
        if kind not in ("Import", "ImportFrom") or getattr(node, "level", 0):
            return found, False
        found.append(node)
    return found, True


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
    own = own_names(folder)
    try:
        for node in leading_imports(text, path)[0]:
            names = [alias.name for alias in node.names]
            asked: list[str] = []
            if hasattr(node, "module"):
                names, asked = [node.module], names
            if own.intersection(name.partition(".")[0] for name in names):
                return
            for name in names:
                __import__(name, None, None, asked)
    except Exception:
        pass
