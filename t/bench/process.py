"""process.py - child processes that the bench talks to by lines"""

import json
import os
import select
import subprocess

from measure import Failed

TIMEOUT = 120                           # seconds for one answer or start


class Process:
    """A child that answers each line with a line on standard output."""

    def __init__(self, argv, log, **how):
        """log: a path for its standard error."""
        self.argv = argv
        self.log = log
        with open(log, "wb") as err:
            self.p = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=err, text=True, bufsize=1, **how)

    @property
    def pid(self):
        return self.p.pid

    def failed(self, why):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            tail = f.read()[-2000:].strip()
        return Failed(f"{' '.join(self.argv)}: {why}\n{tail}".rstrip())

    def line(self):
        ready, _, _ = select.select([self.p.stdout], [], [], TIMEOUT)
        text = self.p.stdout.readline() if ready else ""
        if not text:
            raise self.failed("no answer" if not ready else "it ended")
        return text.strip()

    def ask(self, text):
        """Send a line and return the answer, decoded from JSON."""
        try:
            self.p.stdin.write(text + "\n")
            self.p.stdin.flush()
        except OSError as e:
            raise self.failed(str(e)) from None
        return json.loads(self.line())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        for pipe in (self.p.stdin, self.p.stdout):
            try:
                pipe.close()
            except OSError:
                pass
        self.p.terminate()
        try:
            self.p.wait(10)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()


def children(pid):
    """[(pid, name)] of the children of all threads of a process."""
    found = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/children", encoding="ascii") as f:
            for child in map(int, f.read().split()):
                with open(f"/proc/{child}/comm", encoding="utf-8") as c:
                    found.append((child, c.read().strip()))
    return found


def rollup(pid, keys):
    """Bytes of a process's memory, of those keys of its smaps_rollup."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) << 10 for line in f
                   if line.startswith(keys))


def private_bytes(pid):
    """Bytes of memory that no other process has mapped."""
    return rollup(pid, "Private_")


def proportional_bytes(pid):
    """Bytes of memory, each divided by how many processes have it mapped."""
    return rollup(pid, "Pss:")
