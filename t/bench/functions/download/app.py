"""download - bring a URL's body here, and look at a little of it.

Event: {"url": URL, "folder": where to, "chunk": bytes}.  In a USF usetl.get()
brings it, as a file of the host region; elsewhere urllib does, and it is
written to a new file in that folder, in chunks, and not synced.  The result's
"check" is of the first bytes of each megabyte.
"""

import os
import zlib

try:
    import usetl
except ImportError:
    usetl = None
    import tempfile
    import urllib.request


def fetch(url, folder, chunk):
    """Path of a new file with the body of url."""
    fd, path = tempfile.mkstemp(prefix="usetl-bench.", dir=folder)
    with open(fd, "wb", buffering=0) as to, \
            urllib.request.urlopen(url, timeout=100) as r:
        while True:
            data = r.read(chunk)
            if not data:
                return path
            to.write(data)


def look(path):
    check = 1
    with open(path, "rb", buffering=0) as f:
        size = f.seek(0, os.SEEK_END)
        for at in range(0, size, 1 << 20):
            f.seek(at)
            check = zlib.adler32(f.read(64), check)
    return {"bytes": size, "check": check}


def handler(event, context=None):
    if usetl:
        with usetl.get(event["url"], timeout=100) as r:
            return look(r.raise_for_status().path)
    path = fetch(event["url"], event["folder"], event["chunk"])
    try:
        return look(path)
    finally:
        os.unlink(path)
