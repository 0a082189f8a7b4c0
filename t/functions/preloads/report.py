"""What a program can see of how it came to be here."""
import os
import random
import sys
import threading


def of(module):
    found = {
        "x": module["X"],
        "environ": dict(os.environ),
        "path": sys.path,
        "argv": sys.argv,
        "modules": sorted(sys.modules),
        "finders": [repr(f) for f in sys.meta_path],
        "cached": sorted(sys.path_importer_cache),
        "app": sys.path_importer_cache.get("/app") is not None,
        "threads": [t.name for t in threading.enumerate()],
        "names": sorted(module),
        "temporary": sorted(os.listdir("/tmp")),
        "opened": len(os.listdir("/proc/self/fd")),
    }
    if "seedpkg" in module:
        found["drawn"] = random.random() < 1
    if "own" in module:
        module["own"](found)
    return found
