"""Says when its module was loaded, and what was there before it."""
from __future__ import annotations

import decimal
import os
import sys
import time
from email import policy    # noqa: F401

BEFORE = "csv" in sys.modules, "helper" in sys.modules

import csv          # noqa: E402
import helper       # noqa: E402

LOADED = os.urandom(8).hex()
STARTED = hash("the interpreter's seed")
CALLS = []


def handler(event, context=None):
    if event.get("raise"):
        raise KeyError("asked for")
    if event.get("left"):
        return {"ran": time.process_time() * 1000,
                "left": context.get_remaining_time_in_millis()}
    CALLS.append(1)
    return {"loaded": LOADED, "started": STARTED, "before": BEFORE,
            "calls": len(CALLS), "helper": helper.VALUE,
            "names": [decimal.__name__, csv.__name__]}
