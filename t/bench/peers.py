"""peers.py - what usetl is compared with, started from this folder"""

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request

import guestroot
from measure import Failed, Missing
from process import TIMEOUT, Process

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = ["/usr/bin/python3", "-S", "-E", "-B"]


class Absent:
    """Stands for a contestant that is not there."""

    def __init__(self, why):
        self.why = why

    def __call__(self, *args):
        raise self.why


def need_module(name, package):
    """Raises Missing where Debian's package of a module is not there."""
    p = subprocess.run([*PYTHON, "-c", "import sys; sys.path.append("
                        f"'/usr/lib/python3/dist-packages'); import {name}"],
                       capture_output=True)
    if p.returncode:
        raise Missing(f"{package} is not installed; t/deps.sh bench")


def script(name):
    return os.path.join(HERE, name)


def zygote(how, folder, event_path, log):
    return Process(PYTHON + [script("zygote.py"), how, folder, event_path],
                   log)


def host(folder, log):
    return Process(PYTHON + [script("host.py"), folder], log)


def feed(megabytes, log):
    """(process, port) of the server of large bodies."""
    p = Process(PYTHON + [script("feed.py"), str(megabytes)], log)
    return p, int(p.line())


def fresh(folder, event):
    """(seconds, output) of a run of a new interpreter."""
    start = time.perf_counter()
    p = subprocess.run(PYTHON + [script("fresh.py"), folder], input=event,
                       capture_output=True, text=True, timeout=TIMEOUT)
    seconds = time.perf_counter() - start
    if p.returncode:
        raise Failed(f"fresh.py: {p.stderr.strip()}")
    return seconds, p.stdout


def fork_server(folder, log):
    """(process, URL) of the server that forks for each request."""
    p = Process(PYTHON + [script("forksrv.py"), folder], log)
    return p, f"http://127.0.0.1:{p.line()}/"


def containers(image, folder, event_path, log):
    """The process that starts containers of an image's files, by crun."""
    if not shutil.which("crun"):
        raise Missing("crun is not installed; t/deps.sh bench")
    if os.geteuid():
        raise Missing("crun: this needs root, to mount a cgroup of version 2")
    for way in ("run", "idle"):
        os.makedirs(os.path.join(folder, way))
        os.symlink("../root", os.path.join(folder, way, "root"))
    guestroot.unpack(image, os.path.join(folder, "root"))
    p = Process(["unshare", "--mount", *PYTHON, script("container.py"),
                 folder, os.path.join(folder, "state"), event_path], log)
    try:
        p.ask("run")                    # not every host lets one be made
    except Failed as e:
        p.stop()
        raise Missing(f"crun: {str(e).splitlines()[-1]}") from None
    return p


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def gunicorn(folder, log):
    """(process, URL) of gunicorn with two sync workers."""
    if not shutil.which("/usr/bin/gunicorn"):
        raise Missing("gunicorn is not installed; t/deps.sh bench")
    url = f"http://127.0.0.1:{free_port()}/"
    p = Process(["/usr/bin/gunicorn", "-w", "2", "-k", "sync", "-b",
                 url[7:-1], "--log-level", "warning", "--pythonpath",
                 f"{HERE},{folder}", "wsgi:application"], log,
                env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
    return p, url


def post(process, url, event):
    """The answer to a POST; waits until the server is up."""
    end = time.monotonic() + 20
    request = urllib.request.Request(url, event.encode(), {
        "Content-Type": "application/json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as r:
                return r.read()
        except OSError as e:
            if time.monotonic() > end or process.p.poll() is not None:
                raise process.failed(f"{url}: {e}") from None
            time.sleep(0.1)


def wrk(url, event_path, connections, seconds):
    """Requests per second; any error fails it."""
    if not shutil.which("wrk"):
        raise Missing("wrk is not installed; t/deps.sh bench")
    p = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
         script("post.lua"), url], capture_output=True, text=True,
        timeout=seconds + TIMEOUT, env=dict(os.environ,
                                            BENCH_EVENT=event_path))
    m = re.search(r"^bench (\d+) (\d+) (\d+) (\d+)$", p.stdout, re.M)
    if p.returncode or not m:
        raise Failed(f"wrk: {p.stderr.strip() or p.stdout.strip()}")
    requests, us, errors, bad = map(int, m.groups())
    if bad or not requests:
        raise Failed(f"wrk: {url}: {requests} requests, {bad} of them "
                     f"answered with an error")
    return (requests - bad) / us * 1e6, errors
