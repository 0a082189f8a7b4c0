"""machine - machine code against the guest's own stubs (attack.c).

Event: {"do": NAME, "at": NUMBER}; {"do": "state"} answers what the processor
looks like from inside, which is the same in every request that begins anew.
The test compiles attack.c to attack.so beside this file.
"""

import ctypes
import os

lib = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "attack.so"))
lib.state.restype = ctypes.c_char_p
lib.handlers()
mark = bytearray(b"clean")
if "AT_IMPORT" in os.environ:
    imported = getattr(lib, os.environ["AT_IMPORT"])(ctypes.c_long(0))
    print("at import:", imported)


def handler(event, context):
    do, at = event["do"], event.get("at", 0)
    if do == "state":
        return {"state": lib.state().decode(), "mark": mark.decode()}
    mark[:] = b"dirty"
    if do not in ("jump", "flags", "selectors", "trace", "run_on", "stack",
                  "forge", "compat", "int80", "x32", "overwrite", "touch",
                  "altstack", "windows", "holes", "keys", "copying", "park",
                  "drop", "advice", "elsewhere", "flood", "no_frame", "fast",
                  "grow", "beyond", "ready"):
        raise ValueError(f"no attack {do!r}")
    return {"answer": getattr(lib, do)(ctypes.c_long(at))}
