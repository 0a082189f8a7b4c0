"""guestroot.py - the root file system of virtual machines and containers

It is that of a usetl image, whose layers are the interpreter with its
libraries and the function: so all contestants run the same files.  What peers
run of this folder is in /bench.
"""

import json
import os
import shutil
import subprocess
import tarfile

from measure import Failed, Missing

TIMEOUT = 60                            # seconds
HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = ("/usr/bin/python3", "-S", "-E", "-B")
FUNCTION = "/app"                       # where an image has it
SCRIPTS = ("fresh.py", "host.py")

# process 1 of a machine: what needs a shell, then the function
INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t proc none /proc
/bin/busybox stty -F /dev/ttyS0 raw -echo
{setup}
exec {argv} </dev/ttyS0 >/dev/ttyS0 2>/dev/ttyS0
"""


def layers(tar):
    """The layers of an image, an OCI image layout, from the lowest on."""
    def blob(of):
        return tar.extractfile(
            "blobs/" + of["digest"].replace(":", "/"))

    index = json.load(tar.extractfile("index.json"))
    manifest = json.load(blob(index["manifests"][0]))
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=blob(layer)) as members:
            yield members


def unpack(image, to):
    """The root of an image, with /bench."""
    with tarfile.open(image) as tar:
        for members in layers(tar):
            for m in members:
                path = os.path.join(to, m.name)
                if os.path.lexists(path) and not m.isdir():
                    os.unlink(path)     # a higher layer's stands for it
                members.extract(m, to, set_attrs=False)
                if m.isfile():
                    os.chmod(path, m.mode)
    os.makedirs(os.path.join(to, "bench"))
    for name in SCRIPTS:
        shutil.copy(os.path.join(HERE, name), os.path.join(to, "bench"))
    for name in ("dev", "proc", "tmp"):
        os.makedirs(os.path.join(to, name), exist_ok=True)


def initrd(image, path, kernel=None, modules=(), setup=()):
    """A memory disk whose process 1 is host.py with the image's function, on
    the serial line; it says "ready" when it has imported it.  modules are
    loaded, in this order; setup: lines of shell, of busybox's commands."""
    busybox = shutil.which("busybox")
    if not busybox or not shutil.which("cpio"):
        raise Missing("busybox or cpio is not installed; t/deps.sh bench")
    root = path + ".root"
    unpack(image, root)
    os.makedirs(os.path.join(root, "bin"))
    os.makedirs(os.path.join(root, "mod"))
    shutil.copy(busybox, os.path.join(root, "bin"))
    commands = [f"insmod /mod/{m}.ko" for m in modules] + list(setup)
    for m in modules:
        shutil.copy(kernel.module(m), os.path.join(root, "mod"))
    with open(os.path.join(root, "init"), "w", encoding="ascii") as f:
        f.write(INIT.format(
            setup="\n".join(f"/bin/busybox {c} || exec /bin/busybox reboot -f"
                            for c in commands),
            argv=" ".join([*PYTHON, "/bench/host.py", FUNCTION, "ready"])))
    os.chmod(os.path.join(root, "init"), 0o755)
    p = subprocess.run("find . | cpio --quiet -o -H newc -R 0:0 >"
                       f"'{path}'", shell=True, cwd=root, text=True,
                       capture_output=True, timeout=TIMEOUT)
    shutil.rmtree(root)
    if p.returncode:
        raise Failed(f"cpio: {p.stderr.strip()}")
    return path
