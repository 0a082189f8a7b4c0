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


def family(pid):
    """[(pid, name)] of a process and all that come from it and still run."""
    found, todo = [], [pid]
    for pid in todo:
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                found.append((pid, f.read().strip()))
            todo += [child for child, _ in children(pid)]
        except OSError:
            pass                        # it has ended
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


def memfds(pid):
    """{inode: bytes in memory} of the memory files that a process has open,
    mapped or not."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{fd}"
        try:
            if os.readlink(path).startswith("/memfd:"):
                file = os.stat(path)
                found[file.st_ino] = file.st_blocks * 512
        except OSError:
            pass                        # it was closed
    return found


def shared_mappings(pid):
    """[(inode, bytes by Pss)] of the memory files that a process maps
    shared."""
    found, inode = [], None
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            word = line.split()
            if not word[0].endswith(":"):
                inode = int(word[4]) if word[1].endswith("s") and \
                    line.find("/memfd:") > 0 else None
            elif inode and word[0] == "Pss:":
                found.append((inode, int(word[1]) << 10))
    return found


def held_bytes(pids):
    """Bytes of memory of processes: all that is theirs by Pss, and memory
    files whole, also what of them nobody has mapped at the time."""
    total, files, mapped = 0, {}, []
    for pid in pids:
        try:
            total += rollup(pid, ("Pss_Anon:", "Pss_File:"))
            files.update(memfds(pid))
            mapped += shared_mappings(pid)
        except OSError:
            pass                        # it has ended
    return total + sum(files.values()) + \
        sum(n for inode, n in mapped if inode not in files)


def meminfo(*keys):
    """Bytes of these lines of /proc/meminfo together."""
    with open("/proc/meminfo", encoding="ascii") as f:
        return sum(int(line.split()[1]) << 10 for line in f
                   if line.partition(":")[0] in keys)


def kernel_bytes():
    """Bytes that the kernel has for itself: objects, stacks, page tables."""
    return meminfo("SUnreclaim", "KernelStack", "PageTables", "SecPageTables",
                   "Percpu")
