"""shares - what a function finds of others that were started from one runtime.

It leaves a mark wherever a module can leave one; who loads it anew says which
were there.
"""

import builtins
import json
import os
import sys


def marks():
    return {
        "environment": "SHARES" in os.environ,
        "builtins": hasattr(builtins, "shares"),
        "library": hasattr(json, "shares"),
        "modules": "shares" in sys.modules,
        "file": os.path.exists("/tmp/shares"),
    }


found = marks()
os.environ["SHARES"] = "x"
builtins.shares = json.shares = 1
sys.modules["shares"] = sys
with open("/tmp/shares", "w") as f:
    f.write("x")


def handler(event, context):
    before, calls = marks(), getattr(handler, "calls", 0)
    handler.calls = calls + 1
    return {
        "found": sorted(k for k in found if found[k]),
        "left": sorted(k for k in before if before[k]),
        "calls": calls,
        "memory": context.memory_limit_in_mb,
    }
