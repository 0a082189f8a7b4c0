"""machine.py - what the figures were measured on, in one line"""

import os
import platform


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.machine()


def kvm():
    """Which module provides /dev/kvm."""
    if not os.path.exists("/dev/kvm"):
        return "no /dev/kvm"
    for name in ("kvm_intel", "kvm_amd", "kvm_pvm"):
        if os.path.isdir("/sys/module/" + name):
            return name
    return "kvm"


def describe():
    return (f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores, Linux "
            f"{platform.release()}, {kvm()}, load {os.getloadavg()[0]:.1f}")
