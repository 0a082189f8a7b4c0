"""big - a large body, read in every way.

Event: {"url": URL, "how": read | file | memory | text}.  The result is the
number of bytes that were seen and their Adler-32 sum.
"""

import zlib

import usetl

CHUNK = 1 << 20


def handler(event, context):
    how = event.get("how", "read")
    r = usetl.get(event["url"]).raise_for_status()
    n, check = 0, 1
    if how == "memory":
        with r.memory() as view:
            return {"bytes": len(view), "check": zlib.adler32(view)}
    if how == "text":
        data = r.text.encode(r.charset)
        return {"bytes": len(data), "check": zlib.adler32(data)}
    f = open(r.path, "rb", buffering=0) if how == "file" else r
    while True:
        chunk = f.read(CHUNK)
        if not chunk:
            return {"bytes": n, "check": check}
        n += len(chunk)
        check = zlib.adler32(chunk, check)
