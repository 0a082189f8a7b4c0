"""kernel.py - the Linux of the peers that are virtual machines

Debian's kernel for clouds, downloaded by apt-get and unpacked, never
installed; without a network, the kernel in /boot with its modules.  QEMU
starts the uncompressed vmlinux sooner than the file that it is packed in.
"""

import glob
import os
import re
import shutil
import subprocess

from measure import Failed, Missing

PACKAGE = "linux-image-cloud-amd64"     # depends on the newest one
TIMEOUT = 300                           # seconds, for 26 MB
PACKED = (                              # how Debian's kernels are packed
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\xfd7zXZ\0", "xz"),
)


class Kernel:
    """A kernel to start and the folder of its modules."""

    def __init__(self, vmlinuz, root, folder):
        self.release = os.path.basename(vmlinuz).partition("-")[2]
        self.modules = os.path.join(root, "lib/modules", self.release)
        self.path = unpacked(vmlinuz, folder)

    def module(self, name):
        found = glob.glob(os.path.join(self.modules, "**", name + ".ko"),
                          recursive=True)
        if not found:
            raise Missing(f"Linux {self.release} has no module {name}.ko")
        return found[0]


def unpacked(vmlinuz, folder):
    """Path of vmlinux; of vmlinuz itself, if it is packed in another way."""
    path = os.path.join(folder, "vmlinux-" + os.path.basename(vmlinuz))
    if os.path.exists(path):
        return path
    with open(vmlinuz, "rb") as f:
        data = f.read()
    for magic, program in PACKED:
        at = data.find(magic)
        if at < 0 or not shutil.which(program):
            continue
        # what follows the packed kernel is an error to the program
        p = subprocess.run([program, "-dc"], input=data[at:],
                           capture_output=True, timeout=TIMEOUT)
        if p.stdout.startswith(b"\x7fELF"):
            with open(path + ".new", "wb") as f:
                f.write(p.stdout)
            os.rename(path + ".new", path)
            return path
    return vmlinuz


def output(argv, cwd):
    p = subprocess.run(argv, capture_output=True, text=True, cwd=cwd,
                       timeout=TIMEOUT)
    if p.returncode:
        raise Failed(f"{' '.join(argv)}: {p.stderr.strip()}")
    return p.stdout


def download(folder):
    """Unpacks the package into folder/root."""
    depends = output(["apt-cache", "depends", PACKAGE], folder)
    names = re.findall(r"Depends: (linux-image-\S+-cloud-amd64)$", depends,
                       re.M)
    if not names:
        raise Failed(f"apt-cache knows no {PACKAGE}")
    output(["apt-get", "-qq", "-o", "Acquire::Retries=1", "-o",
            "Acquire::http::Timeout=20", "download", names[0]], folder)
    deb, = glob.glob(os.path.join(folder, names[0] + "_*.deb"))
    output(["dpkg-deb", "-x", deb, "root"], folder)
    os.unlink(deb)


def find(kept):
    """The Kernel; what is downloaded stays in the folder `kept`."""
    folder = os.path.join(kept, "kernel")
    os.makedirs(folder, exist_ok=True)
    root = os.path.join(folder, "root")
    why = ""
    if not glob.glob(os.path.join(root, "boot/vmlinuz-*")):
        try:
            download(folder)
        except (Failed, OSError, ValueError, subprocess.SubprocessError) as e:
            why = str(e)
    for where in (root, "/"):
        for vmlinuz in sorted(glob.glob(os.path.join(where,
                                                     "boot/vmlinuz-*"))):
            if os.access(vmlinuz, os.R_OK):
                return Kernel(vmlinuz, where, folder)
    raise Missing(f"no kernel for QEMU: {why or 'none in /boot'}")
