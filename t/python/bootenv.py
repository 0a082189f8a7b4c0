"""bootenv.py - runs the real boot.py where there is no /dev/usetl.

usage: PYTHON -I -S -B bootenv.py BOOT_PY; descriptors of the stand-ins for
event, result and error are in BOOTENV_FDS, the text of info in BOOTENV_INFO;
report is standard error.  What of the environment begins with USETL_ comes by
place, once the runtime has said that it is up.  READY is a real fork() whose parent only waits; it
is refused where other threads are alive.
"""

import errno
import faulthandler
import fcntl
import functools
import os
import resource
import signal
import sys

fds = dict(zip(("event", "result", "error"),
               map(int, os.environ["BOOTENV_FDS"].split(","))))
info = os.environ["BOOTENV_INFO"].encode()
own = {name: os.environ.pop(name) for name in list(os.environ)
       if name.startswith("USETL_")}
placed = False
real_open = os.open


def fake_open(path, flags, mode=0o777, *, dir_fd=None):
    if not str(path).startswith("/dev/usetl/"):
        return real_open(path, flags, mode, dir_fd=dir_fd)
    name = path[len("/dev/usetl/"):]
    if name in ("info", "place"):
        text = info
        if name == "place":
            assert placed
            text = b"".join(f"{n}={v}\0".encode() for n, v in own.items())
        r, w = os.pipe()
        os.write(w, text)
        os.close(w)
        return r
    return os.dup(2 if name == "report" else fds[name])


# what ends by a signal here does so on purpose
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
armed = False
real_ioctl, real_fork = fcntl.ioctl, os.fork


def fake_ioctl(fd, request, *more):
    global armed, placed
    if request == 0x5504:
        assert not placed and not armed
        placed = True
    elif request == 0x5502:
        if len(sys._current_frames()) > 1:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        armed = True
    elif request != 0x5503:
        return real_ioctl(fd, request, *more)
    return 0


def fake_fork():
    global armed
    if not armed:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    armed = False
    child = real_fork()
    if child:
        faulthandler.disable()
        faulthandler.unregister(64)
        signal.signal(64, lambda *_: os.kill(child, 64))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status < 0:
            if status != -signal.SIGKILL:
                signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        os._exit(status)
    return child


fcntl.ioctl, os.fork = fake_ioctl, fake_fork

# not a plain function: as an attribute of a class it must not be a method
os.open = functools.partial(fake_open)
boot = sys.argv[1]
with open(boot) as f:
    code = compile(f.read(), boot, "exec", dont_inherit=True)
sys.path.append(os.environ["BOOTENV_LIB"])
exec(code, {"__name__": "__main__", "__file__": boot})
