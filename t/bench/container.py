"""container.py - the peer that is a container: crun and the same python3

usage: unshare --mount python3 -S -E -B container.py BUNDLE STATE EVENT

crun wants a cgroup of version 2 and nothing else, so this mounts one, in a
mount namespace of its own.  For each line on standard input:

  run    a new container that runs fresh.py with EVENT, a file:
         {"us": from exec to exit, "result": its answer}
  idle   one that runs host.py and waits for its next event: {"pid": of crun}

At the end of its input those that wait are ended.
"""

import json
import os
import signal
import subprocess
import sys
import time

bundle, state, path = sys.argv[1:4]
PYTHON = ["/usr/bin/python3", "-S", "-E", "-B"]
WAYS = {"run": ["/bench/fresh.py", "/app"],
        "idle": ["/bench/host.py", "/app", "ready"]}


def config(argv):
    """What an OCI runtime is told: no network, and nothing to write to."""
    return {
        "ociVersion": "1.0.0",
        "root": {"path": "root", "readonly": True},
        "process": {"cwd": "/", "args": PYTHON + argv, "env": ["PATH=/bin"],
                    "user": {"uid": 0, "gid": 0}, "noNewPrivileges": True},
        "mounts": [{"destination": "/proc", "type": "proc",
                    "source": "proc"}],
        "linux": {"namespaces": [{"type": t} for t in (
            "pid", "mount", "ipc", "uts", "network")]},
    }


class Containers:
    def __init__(self):
        self.count, self.idle = 0, []

    def argv(self, way):
        """crun's command line for one more container."""
        self.count += 1
        return ["crun", "--root", state, "--cgroup-manager=disabled", "run",
                "--bundle", os.path.join(bundle, way),
                f"usetl-bench-{os.getpid()}-{self.count}"]

    def run(self):
        argv = self.argv("run")
        with open(path, "rb") as event:
            start = time.perf_counter()
            p = subprocess.run(argv, stdin=event, capture_output=True)
            us = (time.perf_counter() - start) * 1e6
        if p.returncode:
            raise SystemExit(f"crun: {p.stderr.decode().strip()}")
        return {"us": us, "result": json.loads(p.stdout)}

    def wait(self):
        """One whose function has answered an event and waits for the next."""
        p = subprocess.Popen(self.argv("idle"), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        self.idle.append(p)
        if p.stdout.readline() != b"ready\n":
            raise SystemExit("crun: the function is not ready")
        with open(path, "rb") as event:
            p.stdin.write(event.read().strip() + b"\n")
        p.stdin.flush()
        return {"pid": p.pid, "result": json.loads(p.stdout.readline())}

    def end(self):
        for p in self.idle:             # its function reads to the end
            p.stdin.close()
            p.wait()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"],
                   check=True)
    for way, argv in WAYS.items():
        with open(os.path.join(bundle, way, "config.json"), "w",
                  encoding="utf-8") as f:
            json.dump(config(argv), f)
    containers = Containers()
    try:
        for line in sys.stdin:
            got = containers.run() if line == "run\n" else containers.wait()
            print(json.dumps(got), flush=True)
    finally:
        containers.end()


main()
