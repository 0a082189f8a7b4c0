"""Says when its module was loaded, and that each request is its own."""

import os
import random
import time

BOOT = os.urandom(8).hex()
LOADED = time.monotonic()
CALLS = []


def handler(event, context=None):
    CALLS.append(1)
    return {"boot": BOOT, "calls": len(CALLS), "drawn": random.random(),
            "urandom": os.urandom(8).hex(),
            "later": time.monotonic() >= LOADED,
            "slept": nap(event.get("nap", 0))}


def nap(seconds):
    began = time.monotonic()
    time.sleep(seconds)
    return time.monotonic() - began >= seconds
