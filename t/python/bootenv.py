"""bootenv.py - runs the real boot.py where there is no /dev/usetl.

usage: PYTHON -I -S -B bootenv.py BOOT_PY; descriptors of the stand-ins for
event, result and error are in BOOTENV_FDS, the text of info in BOOTENV_INFO;
report is standard error.
"""

import functools
import os
import sys

fds = dict(zip(("event", "result", "error"),
               map(int, os.environ["BOOTENV_FDS"].split(","))))
info = os.environ["BOOTENV_INFO"].encode()
real_open = os.open


def fake_open(path, flags, mode=0o777, *, dir_fd=None):
    if not str(path).startswith("/dev/usetl/"):
        return real_open(path, flags, mode, dir_fd=dir_fd)
    name = path[len("/dev/usetl/"):]
    if name == "info":
        r, w = os.pipe()
        os.write(w, info)
        os.close(w)
        return r
    return os.dup(2 if name == "report" else fds[name])


# not a plain function: as an attribute of a class it must not be a method
os.open = functools.partial(fake_open)
boot = sys.argv[1]
with open(boot) as f:
    code = compile(f.read(), boot, "exec", dont_inherit=True)
sys.path.append(os.environ["BOOTENV_LIB"])
exec(code, {"__name__": "__main__", "__file__": boot})
