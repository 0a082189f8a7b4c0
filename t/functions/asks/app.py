"""asks - asks its host for more than it can want (asks.c), then for a file.

Event: {"asks": N, "url": URL}; answers how many were begun and the text.  The
test compiles asks.c to asks.so beside this file.
"""

import ctypes
import os

import usetl

lib = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "asks.so"))


def handler(event, context):
    url = event["url"]
    begun = lib.asks(ctypes.c_long(event["asks"]), url.encode())
    return {"begun": begun, "text": usetl.get(url).text}
