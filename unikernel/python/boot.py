"""boot.py - what the guest's interpreter runs: load the function, serve it.

Started as ``PYTHON -I -S -B /usetl/boot.py``.  Up to placed() there is a
runtime, which many functions may share; from there on one function, or first
the packages that some of them share, by USETL_PRELOAD (modules); and in the
environment its USETL_HANDLER (module.function), USETL_PATH (folders, colon-
separated) and USETL_NAME, and USETL_TRIAL when usetl bake boots it once.
Here is the order of a start; the package _usetl has the rest.
"""

from __future__ import annotations

import os
import sys

# The standard library alone is on the path yet, and stays as it is.
sys.path.insert(0, "/usetl/lib")
from _usetl import failure                              # noqa: E402
from _usetl.context import Context                      # noqa: E402
from _usetl.freeze import PACKAGES, placed              # noqa: E402
from _usetl.loader import set_path                      # noqa: E402
from _usetl.preload import Preload                      # noqa: E402
from _usetl.server import Server, prepare               # noqa: E402
from _usetl.streams import set_report, set_streams      # noqa: E402
from _usetl.unseeded import Unseeded                    # noqa: E402
del sys.path[0]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    failure.own += (main.__code__.co_filename,)
    spec = ""
    what = "the runtime"
    server = None
    try:
        set_streams()
        set_report()
        # With fork = boot that is there already, and this a request's.
        at_boot = os.environ.get("USETL_FORK_POINT") == "boot"
        if not at_boot:
            prepare()
            placed()
        set_path(os.environ.get("USETL_PATH", "/app").split(":"))
        sys.argv[:] = [""]
        unseeded = Unseeded()
        if not at_boot:
            unseeded.begin()
        done = None
        names = os.environ.pop("USETL_PRELOAD", "")
        if names:
            what = "importing the packages"
            del os.environ["USETL_PATH"]    # no more than others is there
            done = Preload(names)
            done.run(unseeded)
            placed(PACKAGES)
            done.part(unseeded)
        spec = os.environ.get("USETL_HANDLER", "")
        what = f"importing the module of handler '{spec}'"
        draws = None
        point = os.environ.pop("USETL_FORK_POINT", "function")
        if point == "packages":
            from _usetl.forkpoint import preload
        if os.environ.pop("USETL_TRIAL", ""):
            from _usetl.learn import Learner
            from _usetl.notes import Draws
            draws = unseeded.draws = Draws()
            if point in ("function", "packages"):
                draws.preload = Learner(spec, draws).learn(done)
            if point == "packages":
                preload(spec)
            if point != "function":
                draws.fork_point()
            point = "function"      # whether it loads is what is tried
        Context.function_name = os.environ.get("USETL_NAME", "")
        server = Server(spec, unseeded)
        if at_boot:
            server.begin()
        elif point == "packages":
            preload(spec)
        elif point == "function":
            server.load()
            what = "a usetl.on_ready hook"
            server.hooks()
        what = "the runtime"
        server.serve()
    except BaseException as e:
        if server and server.waiting >= 0:
            server.refuse(e)
        failure.fail(what, e)


main()
