"""Says when its module was loaded, and what was there before it."""
from __future__ import annotations

import decimal
import os
import sys

BEFORE = "csv" in sys.modules, "helper" in sys.modules

import csv          # noqa: E402
import helper       # noqa: E402

LOADED = os.urandom(8).hex()
CALLS = []


def handler(event, context=None):
    if event.get("raise"):
        raise KeyError("asked for")
    CALLS.append(1)
    return {"loaded": LOADED, "before": BEFORE, "calls": len(CALLS),
            "helper": helper.VALUE, "names": [decimal.__name__, csv.__name__]}
