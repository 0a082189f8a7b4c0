"""hold - a function that holds memory: as many MB as the file `size` says.

The result's "check" is of its first and its last page.
"""

import os

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "size"),
          encoding="ascii") as f:
    HELD = bytearray(b"held") * (int(f.read()) << 18)


def handler(event, context=None):
    return {"mb": len(HELD) >> 20, "check": (HELD[:4] + HELD[-4:]).decode()}
