"""zygote.py - the peers that fork: a warm Python parent and its children

usage: python3 -S -E -B zygote.py HOW FOLDER EVENT

Imports app from FOLDER, collects garbage and freezes what is left, so that the
collector does not write to it, then for each line "N" on standard input makes
N requests of EVENT (a file) and prints a line of JSON: {"us": [of each
request], "result": last}.

  fork      os.fork() for each request, with pipes for event and result; timed
            until the child has been reaped
  prefork   one child that was forked before; the same pipes for all requests
  idle      one more child, which has served N requests and waits: {"pid": N}
"""

import gc
import json
import os
import sys
import time

how, folder, path = sys.argv[1:4]
sys.path.insert(0, folder)
sys.path.append("/usr/lib/python3/dist-packages")  # which -S leaves out
import app  # noqa: E402

with open(path, "rb") as f:
    EVENT = f.read().strip() + b"\n"


def read_all(fd):
    data = b""
    while True:
        part = os.read(fd, 65536)
        if not part:
            return data
        data += part


def read_line(fd):
    data = b""
    while not data.endswith(b"\n"):
        part = os.read(fd, 65536)
        if not part:
            return b""
        data += part
    return data


def answer(line):
    return json.dumps(app.handler(json.loads(line))).encode() + b"\n"


def spawn(serve):
    """A child that runs serve(from, to): (pid, to it, from it)."""
    to_r, to_w = os.pipe()
    from_r, from_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(to_w)
        os.close(from_r)
        serve(to_r, from_w)
        os._exit(0)
    os.close(to_r)
    os.close(from_w)
    return pid, to_w, from_r


def serve_one(source, sink):
    os.write(sink, answer(read_line(source)))


def serve_many(source, sink):
    while True:
        line = read_line(source)
        if not line:
            return
        os.write(sink, answer(line))


def forked():
    pid, to, source = spawn(serve_one)
    os.write(to, EVENT)
    os.close(to)
    text = read_all(source)
    os.close(source)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("zygote.py: the child failed")
    return text


class Prefork:
    def __init__(self):
        self.pid, self.to, self.source = spawn(serve_many)

    def __call__(self):
        os.write(self.to, EVENT)
        return read_line(self.source)


def main():
    gc.collect()
    gc.freeze()
    one = forked if how == "fork" else Prefork() if how == "prefork" else None
    idle = []
    for line in sys.stdin:
        if how == "idle":
            one = Prefork()
            idle.append(one)
        us, text = [], b""
        for _ in range(int(line)):
            start = time.perf_counter()
            text = one()
            us.append((time.perf_counter() - start) * 1e6)
        print(json.dumps({"us": us, "result": json.loads(text),
                          "pid": getattr(one, "pid", 0)}), flush=True)


main()
