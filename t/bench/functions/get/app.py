"""get - fetch a URL into a file and read the file, in chunks of one size.

Event: {"url": URL, "chunk": bytes}.  In a USF usetl.get() brings the file,
on the host urllib and a file in /dev/shm; what reads it is the same code.
"""

import os
import time
import zlib

try:
    import usetl
except ImportError:
    usetl = None
    import tempfile
    import urllib.request


def fetch_host(url, chunk):
    """Path of a new file in memory with the body of url."""
    fd, path = tempfile.mkstemp(prefix="usetl-bench.", dir="/dev/shm")
    with open(fd, "wb", buffering=0) as to, \
            urllib.request.urlopen(url, timeout=60) as r:
        while True:
            data = r.read(chunk)
            if not data:
                return path
            to.write(data)


def consume(path, chunk):
    """Bytes of the file, and a sum that a chunk out of place changes."""
    n, check = 0, 1
    with open(path, "rb", buffering=0) as f:
        while True:
            data = f.read(chunk)
            if not data:
                return n, check
            n += len(data)
            check = zlib.adler32(data[:64], check)


def handler(event, context=None):
    url, chunk = event["url"], event["chunk"]
    start = time.perf_counter()
    if usetl:
        with usetl.get(url, timeout=60) as r:
            n, check = consume(r.raise_for_status().path, chunk)
    else:
        path = fetch_host(url, chunk)
        try:
            n, check = consume(path, chunk)
        finally:
            os.unlink(path)
    return {"seconds": time.perf_counter() - start, "bytes": n,
            "check": check}
