"""asks - asks its host for more than it can want (asks.c), then for a file.

Event: {"asks": N, "url": URL}; answers how many were begun and the text.
{"rings": N} rings a doorbell that there is not, and answers the seconds that
this took; {"wakes": ADDRESS} wakes who waits there, without end.  The test
compiles asks.c to asks.so beside this file.
"""

import ctypes
import os
import time

import usetl

lib = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "asks.so"))


def handler(event, context):
    if "rings" in event:
        begun = time.monotonic()
        lib.rings(ctypes.c_long(event["rings"]))
        return time.monotonic() - begun
    if "wakes" in event:
        return lib.wakes(ctypes.c_uint64(event["wakes"]))
    url = event["url"]
    begun = lib.asks(ctypes.c_long(event["asks"]), url.encode())
    return {"begun": begun, "text": usetl.get(url).text}
