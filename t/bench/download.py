"""download.py - USETL, figure 5: time to download a file

From a server on this machine: by QEMU's virtio-net into a file on its
virtio disk, by usetl.get() in a usetl guest, and by a process into a file on a
disk and in memory.  All but usetl run the same lines of urllib, with chunks of
one size; nobody syncs.  The machine is a q35, since Debian's kernel finds the
virtio devices of a microvm by ACPI only.
"""

import contextlib
import functools
import json
import os
import subprocess
import time

import guestroot
import kernel
import peers
import qemu
from figure import Figure
from measure import Failed, Missing
from rows import TENDERS
from subject import bake, edit
from tool import Server

SIZES = (2, 8, 64, 256)                 # MB
REPEATS = 30
BUDGET = 12                             # seconds of one contestant at one size
CHUNK = 64 << 10
HOST = "10.0.2.2"                       # this machine, for QEMU's guest
DISK = 600                              # MB
MKFS = "/sbin/mke2fs"
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev",
           "virtio_pci_modern_dev", "virtio_pci", "failover", "net_failover",
           "virtio_net", "virtio_blk")
SETUP = ("mkdir -p /disk", "mount -t ext4 /dev/vda /disk",
         "ip link set lo up", "ip link set eth0 up",
         "ip address add 10.0.2.15/24 dev eth0",
         "ip route add default via 10.0.2.2")
TO_DISK, TO_MEMORY = "process to a disk", "process to memory"


def disk(bench):
    if not os.path.exists(MKFS):
        raise Missing("mke2fs is not installed; t/deps.sh bench")
    path = os.path.join(bench.tool.tmp, "disk")
    p = subprocess.run([MKFS, "-q", "-F", "-t", "ext4", path,
                        f"{DISK}M"], capture_output=True, text=True)
    if p.returncode:
        raise Failed(f"mke2fs: {p.stderr.strip()}")
    return path


def machine(bench, s, accel):
    """A QEMU machine whose function is ready."""
    linux = kernel.find(bench.kept)
    initrd = guestroot.initrd(s.image, os.path.join(bench.tool.tmp, "q35"),
                              linux, MODULES, SETUP)
    return qemu.Machine(linux, initrd, accel, bench.tool.tmp, "q35", (
        "-netdev", "user,id=net",
        "-device", "virtio-net-pci,netdev=net,romfile=",
        "-drive", f"file={disk(bench)},format=raw,if=none,id=disk,"
        "cache=writeback", "-device", "virtio-blk-pci,drive=disk"),
        1024).ready()


def served(bench, s, stack):
    """{name: how it is asked} of usetl by each tender, all serving."""
    found = {}
    for tender in TENDERS:
        try:
            server = Server(bench.tool, s.image, s.name, clones=1,
                            tender=tender)
        except Missing as e:
            found[f"usetl, {tender}"] = peers.Absent(e)
            continue
        stack.callback(server.stop)
        found[f"usetl, {tender}"] = functools.partial(called, server)
    return found


def called(server, text):
    """One that is kept may be closed before its next turn."""
    with contextlib.closing(server.connect()) as connection:
        return server.call(text, connection)[0]


def guest(bench, s, stack):
    vms = qemu.microvms(bench)          # says which accelerator
    name = f"QEMU to its disk, virtio-net, {vms.accel}"
    try:
        vms.need()
        m = machine(bench, s, vms.accel)
    except Missing as e:
        return {name: peers.Absent(e)}
    stack.callback(m.stop)
    return {name: m.ask}


def contestant(ask, event, right):
    """Milliseconds by this process's clock."""
    text = json.dumps(event)

    def run():
        start = time.perf_counter()
        result = ask(text)
        ms = (time.perf_counter() - start) * 1e3
        if result != right:
            raise Failed(f"{text}: {json.dumps(result)}, not {right}")
        return ms
    return run


def runs(bench, asked, port, mb):
    """{name: contestant} for one size"""
    def event(name):
        host = "127.0.0.1"
        folder = "/dev/shm"
        if name.startswith("QEMU"):
            host, folder = HOST, "/disk"
        elif name == TO_DISK:
            folder = bench.kept
        return {"url": f"http://{host}:{port}/{mb}", "folder": folder,
                "chunk": CHUNK}

    right = asked[TO_MEMORY](json.dumps(event(TO_MEMORY)))
    if right["bytes"] != mb << 20:
        raise Failed(f"a process read {right['bytes']} bytes of {mb} MB")
    return {name: contestant(ask, event(name), right)
            for name, ask in asked.items()}


def figure5(bench):
    sizes = SIZES[:2] if bench.quick else SIZES
    found = Figure("USETL figure 5", "time to download a file", "time", "ms",
                   TO_DISK, "size", "MB",
                   f"chunks of {CHUNK >> 10} KB; files are written, not "
                   "synced, and removed")
    with contextlib.ExitStack() as stack:
        feed, port = peers.feed(max(sizes), bench.log("feed"))
        stack.callback(feed.stop)
        s = bake(bench, "download", {}, prepare=lambda folder: edit(
            os.path.join(folder, "function.ini"), ":9000/", f":{port}/"))
        process = peers.host(s.folder, bench.log("download"))
        stack.callback(process.stop)
        asked = {**served(bench, s, stack), **guest(bench, s, stack),
                 TO_DISK: process.ask, TO_MEMORY: process.ask}
        for run in runs(bench, asked, port, sizes[0]).values():
            with contextlib.suppress(Missing):
                run()                   # what only the first one needs
        for mb in sizes:
            found.add(bench.sample(runs(bench, asked, port, mb), REPEATS,
                                   f"download {mb} MB", BUDGET), mb)
    return [found]
