import os

try:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    FORKED = "yes"
except OSError as e:
    FORKED = e.strerror
