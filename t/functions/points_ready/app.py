"""Is ready in the midst of its module."""

import os

import usetl

FIRST = os.urandom(8).hex()
usetl.ready()
usetl.ready()
SECOND = os.urandom(8).hex()
if os.path.exists("/tmp/there"):
    raise RuntimeError("an earlier request is here")

@usetl.on_clone
def before():
    CALLED.append(1)


CALLED = []


def handler(event, context=None):
    open("/tmp/there", "w").close()
    if event.get("ready"):
        usetl.ready()
    return {"first": FIRST, "second": SECOND, "called": len(CALLED)}
