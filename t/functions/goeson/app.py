"""Requests that wait for a word from outside, to be seen meanwhile."""
from __future__ import annotations

import os
import threading
import time
import zlib

import usetl

LOADED = int.from_bytes(os.urandom(6), "little")


def begin(event):
    """Say that it has begun.  Whoever looks may take its snapshot before the
    answer has come, and then there is none."""
    try:
        usetl.post(event["at"] + "begun", data=b"begun")
    except usetl.Error:
        pass


def may_go(event):
    try:
        return usetl.get(event["at"] + "go").status == 200
    except usetl.Error:
        return False            # it was under way as well


def wait(event):
    """Say so, and wait until the test says that it may go on."""
    begin(event)
    if event.get("spin"):
        end = time.monotonic() + event["spin"]
        while time.monotonic() < end:
            pass
        return
    while not may_go(event):
        time.sleep(0.01)


def handler(event, context=None):
    out = {"event": event["how"], "loaded": LOADED, "pid": os.getpid()}
    pad = b"x" * 1000000
    with open("/tmp/kept", "w") as file:
        file.write("in a file")
    if event["how"] == "thread":
        thread = threading.Thread(target=wait, args=(event,))
        thread.start()
        thread.join()
    elif event["how"] == "bodies":
        bodies = [usetl.get(url) for url in event["urls"]]
        view = bodies[0].memory()
        with open(bodies[-1].path, "rb") as file:
            wait(event)
            out["file of it"] = zlib.crc32(file.read())
        out["bodies"] = [zlib.crc32(body.content) for body in bodies]
        out["view"] = zlib.crc32(view)
    elif event["how"] == "fetch":
        begin(event)
        try:
            out["fetch"] = usetl.get(event["url"]).status
        except usetl.Error as e:
            out["fetch"] = str(e)
    else:
        wait(event)
    if event["how"] == "raise":
        raise KeyError("it went on")
    with open("/tmp/kept") as file:
        out["kept"] = file.read()
    out["pad"] = zlib.crc32(pad)
    out["fetches"] = usetl.get(event["at"] + "begun").text
    return out
