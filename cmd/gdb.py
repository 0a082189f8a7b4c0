"""gdb's side of `usetl invoke --gdb`: symbols of what runs in the guest.

The libOS keeps a list of the files whose code is mapped (unikernel/mem/module.h).
Each that is also in root/, where the image's programs and libraries were
copied to, gets its symbols by add-symbol-file, at once and whenever the list
grows.  What is in guest memory may be anything: it is checked, and a broken
list ends the reading, not gdb.
"""
import os
import struct
import time

import gdb

FOLDER = os.environ["USETL_GDB_DIR"]
BOOT = bool(os.environ["USETL_GDB_BOOT"])
VDSO = 0x70101000		# UK_VDSO, unikernel/abi.h
MODULES_MAX = 1024		# unikernel/mem/module.h
PATH_MAX = 512
PAGE = 4096

HELP = """\
usetl: gdb has the guest of this request, which has not run yet.
usetl: "continue" runs it; after its result the guest is killed.
usetl: break NAME: in the libOS (sys_write), in the interpreter and its
usetl: libraries, in extension modules.  usetl-modules: what code is there."""
HELP_BOOT = """\
usetl: gdb has the guest before the libOS's first instruction: "continue"
usetl: boots it; gdb follows to the clone that gets the request, and stops.
usetl: break NAME: the libOS (sys_openat); of what is loaded later when asked
usetl: to wait for it.  usetl-modules: what code is there."""


def read_text(address):
    """The NUL-terminated text at an address, at most PATH_MAX bytes."""
    memory = gdb.selected_inferior()
    text = b""
    while len(text) < PATH_MAX:
        size = min(PAGE - (address + len(text)) % PAGE, PATH_MAX - len(text))
        part = bytes(memory.read_memory(address + len(text), size))
        text += part
        if b"\0" in part:
            break
    return text.split(b"\0")[0].decode("utf-8", "replace")


def libos():
    """The libOS's symbols."""
    return gdb.lookup_objfile(os.path.join(FOLDER, "libos.elf"))


def modules():
    """(address, length, offset in the file, path) of each, by address."""
    found = []
    try:
        at = libos().lookup_global_symbol("modules").value()
        while int(at) and len(found) < MODULES_MAX:
            found.append((int(at["addr"]), int(at["len"]), int(at["off"]),
                          read_text(int(at["path"].address))))
            at = at["next"]
    except gdb.MemoryError as error:
        print("usetl: the libOS's list of modules is damaged: %s" % error)
    return sorted(found)


def host_file(path):
    """Our copy of the guest's file, or None."""
    if not path.startswith("/") or any(c in path for c in "\"'\\") or \
            not path.isprintable():
        return None
    name = os.path.join(FOLDER, "root", os.path.normpath(path).lstrip("/"))
    return name if os.path.isfile(name) else None


def load_bias(name, address, offset):
    """What is added to the file's addresses when its byte `offset` lies at
    `address`, or None where that byte is not of an executable segment."""
    with open(name, "rb") as f:
        head = f.read(64)
        table, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        for i in range(count):
            f.seek(table + i * size)
            entry = f.read(56)
            if size < 56 or len(entry) < 56:
                return None
            kind, flags, off, vaddr, _, filesz = struct.unpack_from(
                "<IIQQQQ", entry)
            if kind == 1 and flags & 1 and \
                    off - off % PAGE <= offset < off + filesz:
                return address - offset + off - vaddr
    return None


def auto_load(path):
    """What gdb would load with this file of the host: for the interpreter
    of a Debian with python3-dbg, py-bt and its kin."""
    folders = gdb.parameter("auto-load scripts-directory") or ""
    for name, value in (("$datadir", "data-directory"),
                        ("$debugdir", "debug-file-directory")):
        folders = folders.replace(name, gdb.parameter(value) or "")
    for folder in folders.split(":"):
        script = folder + os.path.normpath(path) + "-gdb.py"
        if os.path.isfile(script):
            gdb.execute("source " + script, False, True)


class Symbols:
    """What add-symbol-file was told."""

    def __init__(self):
        self.loaded = {}

    def update(self):
        """Makes it agree with the list; that list."""
        known = modules()
        wanted = {}
        for address, _, offset, path in known:
            name = host_file(path)
            bias = load_bias(name, address, offset) if name else None
            if bias is not None:
                wanted.setdefault((name, bias), (address, path))
        for key in [k for k in self.loaded if k not in wanted]:
            self.forget(key)
        for key, (address, path) in wanted.items():
            if key not in self.loaded:
                self.load(key, address)
                auto_load(path)
        return known

    def load(self, key, address):
        """add-symbol-file, asking nothing."""
        name, bias = key
        gdb.execute('add-symbol-file "%s" -o %d' % (name, bias), False, True)
        self.loaded[key] = address

    def forget(self, key):
        """A module that is no more."""
        try:
            gdb.execute("remove-symbol-file -a %d" % self.loaded[key],
                        False, True)
        except gdb.error:
            pass
        del self.loaded[key]

    def has(self, path):
        """Are there symbols for the guest's file?"""
        name = host_file(path)
        return any(name == k[0] for k in self.loaded)


class Modules(gdb.Command):
    """usetl-modules: load symbols of all code there is now, and list it."""

    def __init__(self):
        super().__init__("usetl-modules", gdb.COMMAND_FILES)

    def invoke(self, argument, from_tty):
        """From, to, whether there are symbols, the path in the guest."""
        known = symbols.update()
        print("%-18s %-18s %-7s %s" % ("From", "To", "Symbols", "File"))
        for address, length, _, path in known:
            print("0x%016x 0x%016x %-7s %s" % (
                address, address + length,
                "yes" if symbols.has(path) else "no",
                path if path.isprintable() else repr(path)))


class OnLoad(gdb.Breakpoint):
    """Where the libOS has added a module: symbols, and it goes on."""

    def __init__(self):
        super().__init__("-function module_added", internal=True)
        self.silent = True

    def stop(self):
        """Never; as the kernel's lx-symbols do, loads them from here."""
        symbols.update()
        return False


class OnReady(gdb.Breakpoint):
    """Where the reference is about to be frozen: gdb goes to its clone."""

    def __init__(self):
        super().__init__("-function event_ready", internal=True)
        self.silent = True
        self.commands = "usetl-clone"


class Clone(gdb.Command):
    """usetl-clone: leave the reference, and wait for its first clone."""

    def __init__(self):
        super().__init__("usetl-clone", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        """Breakpoints are not in the snapshot then, but in the clone."""
        path = os.path.join(FOLDER, "next")
        gdb.execute("detach", False, True)
        print("usetl: the function is ready; waiting for its clone")
        while not os.path.exists(path):
            time.sleep(0.05)
        with open(path, encoding="ascii") as f:
            guest = int(f.read())
        if not guest:
            print("usetl: there is no clone")
            return
        gdb.execute("attach %d" % guest, False, True)
        symbols.update()
        print("usetl: gdb has the clone before its request")


def start():
    """Symbols of what there is already; a word of help."""
    gdb.execute('add-symbol-file "%s/vdso.so" -o %d' % (FOLDER, VDSO),
                False, True)
    Modules()
    OnLoad()
    if BOOT:
        Clone()
        OnReady()
    symbols.update()
    print(HELP_BOOT if BOOT else HELP)


symbols = Symbols()
start()
