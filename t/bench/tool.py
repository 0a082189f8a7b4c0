"""tool.py - usetl itself: bake, invoke, serve"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time

from measure import Failed, Missing
from process import TIMEOUT, Process, children


class Tool:
    """The usetl under test, and its functions in a temporary folder."""

    def __init__(self, path, tmp):
        self.path = os.path.abspath(path)
        self.tmp = tmp
        self.checked = subprocess.run(
            [self.path, "check"], capture_output=True, text=True,
            timeout=TIMEOUT).stdout

    def run(self, *args, **how):
        p = subprocess.run([self.path, *args], capture_output=True, text=True,
                           timeout=TIMEOUT, **how)
        if p.returncode:
            raise Failed(f"usetl {' '.join(args)}: exit status "
                         f"{p.returncode}\n{p.stderr.strip()}")
        return p

    def copy(self, source, port=9000):
        """A compiled copy of a function's folder, for peers and bake."""
        to = os.path.join(self.tmp, os.path.basename(source))
        shutil.copytree(source, to)
        ini = os.path.join(to, "function.ini")
        with open(ini, encoding="utf-8") as f:
            text = f.read().replace(":9000/", f":{port}/")
        with open(ini, "w", encoding="utf-8") as f:
            f.write(text)
        subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", to],
                       check=True, timeout=TIMEOUT)
        return to

    def folder(self):
        """A folder of its own; a context that removes it."""
        return tempfile.TemporaryDirectory(dir=self.tmp)

    def bake(self, folder):
        image = folder + ".usetl"
        self.run("bake", "-o", image, folder)
        return image

    def need(self, tender):
        """Raises Missing, with the reason by usetl check, if it cannot run."""
        for line in self.checked.splitlines():
            verdict, _, said = line.partition(" ")
            what, _, why = said.strip().partition(": ")
            if verdict != "ok" and what in (tender, "/dev/" + tender):
                raise Missing(f"{what}: {why}")

    def invoke(self, image, event, repeat=1, recycle="rollback",
               tender="auto"):
        """(last result, the --stats)."""
        self.need(tender)
        p = self.run("invoke", "--stats=json", "--repeat", str(repeat),
                     "--recycle", recycle, "--tender", tender, "-d", event,
                     image)
        return json.loads(p.stdout), json.loads(p.stderr.splitlines()[-1])

    def command(self, image, event, tender="auto", store=None):
        """Seconds of one whole `usetl invoke`, and its result."""
        self.need(tender)
        kept = ("--store", store) if store else ()
        start = time.perf_counter()
        p = self.run("invoke", *kept, "--tender", tender, "-d", event, image)
        return time.perf_counter() - start, json.loads(p.stdout)


class Server:
    """usetl serve of one image, on a port of its own."""

    def __init__(self, tool, image, name, clones=None, tender="auto",
                 conf="", **how):
        """image: None when conf names it; clones: exactly so many, or None
        for the default; conf: more text for usetl.conf; how: arguments for
        the process"""
        tool.need(tender)
        self.name = name
        self.log = os.path.join(tool.tmp, f"serve-{name}-{tender}.log")
        argv = [tool.path, "serve", "--tender", tender, "-l", "127.0.0.1:0"]
        if clones:
            conf += f"[pool]\nmin = {clones}\nmax = {clones}\n"
        if conf:
            path = os.path.join(tool.tmp, f"serve-{name}.conf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(conf)
            argv += ["-c", path]
        if image:
            argv.append(image)
        self.process = Process(argv, self.log, **how)
        self.port = self.wait_port()
        self.connection = None

    def wait_port(self):
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and self.process.p.poll() is None:
            with open(self.log, encoding="utf-8") as f:
                _, found, port = f.read().rpartition(
                    "listening on http://127.0.0.1:")
            if found and port.endswith("\n"):
                return int(port.split()[0])
            time.sleep(0.02)
        raise self.process.failed("it does not listen")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/function/{self.name}"

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port,
                                          timeout=TIMEOUT)

    def hammer(self, event, connections, each):
        """The last result on each of these concurrent connections."""
        def many():
            with contextlib.closing(self.connect()) as c:
                for _ in range(each):
                    result, _ = self.call(event, c)
            return result

        with concurrent.futures.ThreadPoolExecutor(connections) as pool:
            jobs = [pool.submit(many) for _ in range(connections)]
            return [job.result() for job in jobs]

    def call(self, event, connection=None, name=None):
        """(result, the tender's microseconds) of one request, of another of
        its functions if name says so."""
        if connection is None:
            self.connection = connection = self.connection or self.connect()
        path = f"/function/{name or self.name}"
        connection.request("POST", path, event, {
            "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise Failed(f"{self.url}: HTTP status {answer.status}: {text}")
        return json.loads(text), float(answer.headers["X-Usetl-Run-Us"])

    def functions(self):
        """GET /function, by name."""
        with contextlib.closing(self.connect()) as c:
            c.request("GET", "/function")
            return {f["name"]: f for f in json.load(c.getresponse())}

    def clones(self):
        """Process ids of its function's clones."""
        below = list(children(self.process.pid))
        for base, name in list(below):
            if name == "usetl-base":
                below += children(base)
        return [pid for ref, name in below if name == "usetl-ref"
                for pid, name in children(ref) if name == "usetl-clone"]

    def stop(self):
        if self.connection:
            self.connection.close()
        self.process.stop()
