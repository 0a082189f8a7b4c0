"""qemu.py - the peer that is a virtual machine: QEMU, Linux and python3

A Machine talks by lines over the serial line with host.py in the guest.  Under
tcg a microvm needs acpi=off, without which Linux waits for a timer for ever
while it calibrates the TSC.
"""

import functools
import json
import os
import select
import shutil
import socket
import subprocess
import time

import guestroot
import kernel
from measure import Failed, Missing
from subject import json_function

PROGRAM = "qemu-system-x86_64"
MEMORY = 256                            # MB
BOOT = 60                               # seconds; some hosts' kvm hangs
ANSWER = 120
SAID = 20                               # lines in an error, not the kernel's
MONITOR = 60                            # to connect and to write a snapshot


class Machine:
    """A running QEMU; stop() ends it."""

    def __init__(self, linux, initrd, accel, folder, machine="microvm",
                 more=(), memory=MEMORY):
        if not shutil.which(PROGRAM):
            raise Missing("QEMU is not installed; t/deps.sh bench")
        off = ",acpi=off" if machine == "microvm" else ""
        self.monitor_path = os.path.join(folder, "qemu.monitor")
        if os.path.exists(self.monitor_path):
            os.unlink(self.monitor_path)
        self.p = subprocess.Popen(
            [PROGRAM, "-M", machine + off, "-accel", accel,
             *(["-cpu", "host"] if accel == "kvm" else []), "-m", str(memory),
             "-nodefaults", "-no-user-config", "-nographic", "-no-reboot",
             "-serial", "stdio", "-qmp",
             f"unix:{self.monitor_path},server=on,wait=off",
             "-kernel", linux.path, "-initrd", initrd,
             "-append", "console=ttyS0 quiet panic=-1 reboot=t", *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.data, self.passed = b"", []

    @property
    def pid(self):
        return self.p.pid

    def failed(self, why):
        said = b"\n".join([p for p in self.passed if p[:1] != b"["][-SAID:])
        return Failed(f"QEMU: {why}\n{said.decode(errors='replace')}"
                      .rstrip())

    def read_until(self, found, seconds):
        """The first line for which found(line) is true."""
        end = time.monotonic() + seconds
        while True:
            line, newline, rest = self.data.partition(b"\n")
            if newline:
                self.data = rest
                if found(line.strip()):
                    return line.strip()
                self.passed.append(line.strip())
                continue
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.p.stdout], [], [],
                                              left)[0]:
                raise self.failed(f"no answer in {seconds} s")
            more = os.read(self.p.stdout.fileno(), 65536)
            if not more:
                raise self.failed("it ended")
            self.data += more

    def ready(self):
        """Itself, when its function is ready."""
        try:                            # firmware may have begun the line
            self.read_until(lambda line: line.endswith(b"ready"), BOOT)
        except BaseException:
            self.stop()
            raise
        return self

    def ask(self, event):
        try:
            self.p.stdin.write(event.encode() + b"\n")
            self.p.stdin.flush()
        except OSError as e:
            raise self.failed(str(e)) from None
        # an object: Linux's own lines begin with something else
        return json.loads(self.read_until(lambda line: line[:1] == b"{",
                                          ANSWER))

    def wait_running(self):
        """Until a snapshot is loaded: what is sent before that is lost."""
        with Monitor(self.monitor_path) as m:
            end = time.monotonic() + BOOT
            while m.ask("query-status")["status"] != "running":
                if time.monotonic() > end:
                    raise self.failed("it does not run")
                time.sleep(0.001)

    def save(self, path):
        """Writes the stopped machine to a file."""
        with Monitor(self.monitor_path) as m:
            m.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
            m.ask("migrate", uri=f"exec:cat >{path}")
            end = time.monotonic() + MONITOR
            while time.monotonic() < end:
                status = m.ask("query-migrate").get("status")
                if status == "completed":
                    return
                if status == "failed":
                    break
                time.sleep(0.05)
        raise Failed("QEMU: its snapshot was not written")

    def stop(self):
        self.p.kill()
        self.p.wait()
        self.p.stdin.close()
        self.p.stdout.close()


class Monitor:
    """QMP: a line of JSON for each command and answer; events between."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(MONITOR)
        end = time.monotonic() + MONITOR
        while self.socket.connect_ex(path):
            if time.monotonic() > end:
                raise Failed("QEMU has no monitor")
            time.sleep(0.001)
        self.file = self.socket.makefile("rw")
        self.file.readline()            # its greeting
        self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()
        self.socket.close()

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command,
                                    "arguments": arguments}) + "\n")
        self.file.flush()
        for line in self.file:
            answer = json.loads(line)
            if "error" in answer:
                raise Failed(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise Failed(f"QEMU ended at {command}")


def faster(linux, initrd, folder, event):
    """(kvm or tcg, whichever boots faster; what the other one did)"""
    took, why = {}, {}
    for accel in ("kvm", "tcg"):
        if accel == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
            why[accel] = "no /dev/kvm"
            continue
        try:
            took[accel] = created(linux, initrd, accel, folder, event)[0]
        except Missing:
            raise
        except Failed as e:
            why[accel] = f"Linux does not boot ({str(e).splitlines()[0]})"
    if not took:
        raise Missing("; ".join(f"{a}: {w}" for a, w in why.items()))
    best = min(took, key=took.get)
    other = "tcg" if best == "kvm" else "kvm"
    return best, f"by {other}: " + (f"{took[other]:.1f} s" if other in took
                                    else why[other])


def created(*args):
    """(seconds from exec to the first result, the result)"""
    *how, event = args
    start = time.perf_counter()
    machine = Machine(*how).ready()
    try:
        result = machine.ask(event)
        return time.perf_counter() - start, result
    finally:
        machine.stop()


@functools.lru_cache(maxsize=None)
def microvms(bench):
    """Those of the json function, by the accelerator that boots it faster."""
    return Microvms(bench, json_function(bench))


class Microvms:
    """Microvms of a subject's function.  Where they cannot be had, each use
    raises the Missing that says why, and accel is a word for it."""

    def __init__(self, bench, subject):
        self.event, self.folder = subject.event, bench.tool.tmp
        self.why, self.accel, self.other = None, "absent", ""
        self.snapshot = None
        bench.progress.say("QEMU: kernel and memory disk")
        try:
            self.linux = kernel.find(bench.kept)
            self.initrd = guestroot.initrd(
                subject.image, os.path.join(self.folder, "initrd"))
            self.accel, self.other = faster(self.linux, self.initrd,
                                            self.folder, self.event)
        except Missing as e:
            self.why = e

    def need(self):
        if self.why:
            raise self.why

    def start(self, *more):
        self.need()
        return Machine(self.linux, self.initrd, self.accel, self.folder,
                       more=more)

    def booted(self):
        return self.start().ready()

    def create(self):
        """(seconds from exec to the first result, the result)"""
        self.need()
        return created(self.linux, self.initrd, self.accel, self.folder,
                       self.event)

    def prepare(self):
        """Writes the file that resumed() goes on from, once."""
        if self.snapshot:
            return
        machine = self.booted()
        try:
            path = os.path.join(self.folder, "qemu.snapshot")
            machine.save(path)
        except Failed as e:
            raise Missing(str(e)) from None
        finally:
            machine.stop()
        self.snapshot = path

    def resumed(self):
        """A machine that goes on from a file, in which it was ready."""
        self.prepare()
        machine = self.start("-incoming", f"exec:cat {self.snapshot}")
        try:
            machine.wait_running()
        except BaseException:
            machine.stop()
            raise
        return machine

    def resume(self):
        """(seconds from exec to the result, the result)"""
        self.prepare()
        start = time.perf_counter()
        machine = self.resumed()
        try:
            result = machine.ask(self.event)
            return time.perf_counter() - start, result
        finally:
            machine.stop()
