"""refusals - asks for more memory than there is, and does well or badly."""

import mmap
import os

TOO_MUCH = 256 << 20
requests = 0


def without():
    """More than the limit, which is refused and missed by nobody."""
    try:
        bytearray(TOO_MUCH)
    except MemoryError:
        return "without"


def mapping():
    try:
        mmap.mmap(-1, TOO_MUCH)
    except OSError:
        return "without"


def handler(event, context):
    global requests
    requests += 1
    if event == "caught":
        return without()
    if event == "mapping":
        return mapping()
    if event == "raised":
        return len(bytearray(TOO_MUCH))
    if event == "later":
        if requests > 1:
            raise LookupError("nothing to do with memory")
        return without()
    without()
    if event == "hidden":
        raise ImportError("failed to map segment from shared object") from None
    if event == "exit":
        os._exit(3)
    if event == "abort":
        os.abort()


without()
