"""bake.py - what `usetl bake` asks the chosen interpreter itself.

Run on the host, before any image is there, as ``PYTHON -s -B -c TEXT VERB``
with PYTHONHASHSEED=0; one JSON value on standard input, one on standard
output.  Standard library only, Python 3.9 to 3.13; older ones must get as
far as `probe`, so that bake can say what is wrong with them.
"""

import sys

sys.path[:] = [p for p in sys.path if p]    # never the current folder

import json
import os
import re
import types


def probe(_ask: None) -> dict:
    """Which interpreter this is and where its parts lie."""
    import importlib.util
    import platform

    stdlib = os.path.dirname(os.path.abspath(os.__file__))
    dynload = [p for p in sys.path if os.path.basename(p) == "lib-dynload"]
    own = {stdlib} | set(dynload)
    site = [p for p in sys.path if os.path.isdir(p) and p not in own]
    venv = sys.prefix != sys.base_prefix
    program = os.path.realpath(sys.executable)
    if venv and program.startswith(os.path.realpath(sys.prefix) + os.sep):
        # made with --copies: the original is where the standard library is
        name = "python%d.%d" % sys.version_info[:2]
        program = os.path.realpath(
            os.path.join(sys.base_exec_prefix, "bin", name))
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        libc = ""
    pip = importlib.util.find_spec("pip")
    return {
        "implementation": sys.implementation.name,
        "version": "%d.%d.%d" % sys.version_info[:3],
        "major": sys.version_info[0],
        "minor": sys.version_info[1],
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2 ** 32 else 32,
        "libc": libc,
        "executable": sys.executable,
        "program": program,
        "cache_tag": sys.implementation.cache_tag,
        "stdlib": stdlib,
        "dynload": dynload[0] if dynload else None,
        "site": site,
        "prefix": sys.prefix,
        "pip": (pip.origin or "none") if pip else None,
    }


# Markers (PEP 508): a recursive descent over a list of tokens.

TOKEN = re.compile(r"""\s*(\(|\)|<=|>=|===|==|~=|!=|<|>|
    '[^']*'|"[^"]*"|[A-Za-z_][A-Za-z0-9_.]*)""", re.X)


def version_key(text: str) -> list:
    """The numbers of a version, without zeros at the end."""
    key = [int(n) for n in re.findall(r"\d+", text.split("+")[0])]
    while key and key[-1] == 0:
        key.pop()
    return key


def compare(left: str, op: str, right: str) -> bool:
    """One comparison of a marker; versions as versions, else as text."""
    if op == "in":
        return left in right
    if op == "not in":
        return left not in right
    if op in ("==", "!=") and right.endswith(".*"):
        same = (left + ".").startswith(right[:-1])
        return same if op == "==" else not same
    a, b = left, right
    if re.match(r"\d+(\.\d+)*", a) and re.match(r"\d+(\.\d+)*", b):
        a, b = version_key(a), version_key(b)
    if op == "~=":
        stem = right.rsplit(".", 1)[0]
        return a >= b and (left + ".").startswith(stem + ".")
    return {"==": a == b, "===": left == right, "!=": a != b, "<": a < b,
            ">": a > b, "<=": a <= b, ">=": a >= b}[op]


def marker_holds(text: str, env: dict) -> bool:
    """Whether a requirement's marker is true here; ValueError if malformed."""
    tokens, at = [], 0
    while text[at:].strip():
        m = TOKEN.match(text, at)
        if not m:
            raise ValueError("malformed marker: " + text)
        tokens.append(m.group(1))
        at = m.end()
    tokens.append("")

    def value() -> str:
        t = tokens.pop(0)
        if t[:1] in ("'", '"'):
            return t[1:-1]
        if t not in env:
            raise ValueError("malformed marker: " + text)
        return env[t]

    def atom() -> bool:
        if tokens[0] == "(":
            tokens.pop(0)
            result = either()
            if tokens.pop(0) != ")":
                raise ValueError("malformed marker: " + text)
            return result
        left, op = value(), tokens.pop(0)
        if op == "not":
            op += " " + tokens.pop(0)
        return compare(left, op, value())

    def both() -> bool:
        result = atom()
        while tokens[0] == "and":
            tokens.pop(0)
            result = atom() and result
        return result

    def either() -> bool:
        result = both()
        while tokens[0] == "or":
            tokens.pop(0)
            result = both() or result
        return result

    result = either()
    if tokens != [""]:
        raise ValueError("malformed marker: " + text)
    return result


def marker_env() -> dict:
    """The names that markers know, with this interpreter's values."""
    import platform

    full = platform.python_version()
    return {
        "os_name": os.name, "sys_platform": sys.platform,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "python_full_version": full,
        "implementation_name": sys.implementation.name,
        "implementation_version": full, "extra": "",
    }


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


# Distributions and their files

ZONEINFO = "/usr/share/zoneinfo"
DPKG = "/var/lib/dpkg"
LOOKED = set()                  # what answers of `installed` depend on


def is_there(path: str, test=os.path.exists) -> bool:
    """Whether the test holds; what fails it is not packed, but remembered."""
    holds = test(path)
    if not holds:
        LOOKED.add(path)
    return holds


def look_at_all(site: list) -> None:
    """Remembers all that metadata of distributions is read from."""
    LOOKED.update([DPKG + "/status", DPKG + "/info", *site])
    for folder in site:
        for entry in os.listdir(folder):
            path = os.path.join(folder, entry)
            if not entry.endswith((".dist-info", ".egg-info", ".egg",
                                   ".egg-link")):
                continue
            LOOKED.add(path)
            for at, folders, files in os.walk(path):
                LOOKED.update(os.path.join(at, f) for f in folders + files)


def record_files(dist, text: str) -> list:
    """Paths that a wheel's RECORD names."""
    import csv

    return [os.path.normpath(str(dist.locate_file(row[0])))
            for row in csv.reader(text.splitlines()) if row]


def top_level_files(site: str, names: list) -> list:
    """Folders, modules and extension modules of these names in site."""
    found = []
    for entry in sorted(os.listdir(site)):
        stem = entry.split(".")[0]
        if stem not in names:
            continue
        path = os.path.join(site, entry)
        if entry == stem and os.path.isdir(path):
            found.append(path)
        elif entry == stem + ".py" or entry.endswith(".so"):
            found.append(path)
    return found


def run(*argv: str) -> str:
    """Standard output of a tool, empty when it is missing or fails."""
    import subprocess

    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, universal_newlines=True).stdout
    except OSError:
        return ""


def debian_owner(info: str) -> str:
    """The Debian package that brought a path, or nothing."""
    return run("dpkg", "-S", info).split(": ")[0].split(",")[0]


def debian_files(site: str, package: str) -> list:
    """What a Debian package has in site."""
    return [path for path in run("dpkg", "-L", package).splitlines()
            if path.startswith(site + os.sep)] if package else []


def debian_requires(site: str, info: str, by_info: dict) -> tuple:
    """Distributions, and files without one, that Debian says info needs.

    Debian's builds empty Requires-Dist here and there; what counts for them
    is the package's Depends.  Debian's pytz and dateutil have no time zones
    of their own.
    """
    owner = debian_owner(info)
    depends = run("dpkg-query", "-W", "-f", "${Depends}", owner) \
        if owner else ""
    names, paths = [], []
    for package in sorted(set(re.findall(r"python3-[a-z0-9.+-]+", depends))):
        files = debian_files(site, package)
        dists = [by_info[path] for path in files if path in by_info]
        names += dists
        if not dists:
            paths += [path for path in files
                      if is_there(path, os.path.isfile)]
    if re.search(r"\btzdata\b", depends) and \
            is_there(ZONEINFO, os.path.isdir):
        paths.append(ZONEINFO)
    return names, paths


def dist_files(dist, warn) -> list:
    """Files and folders of one distribution that lie in its site folder."""
    site = os.path.normpath(str(dist.locate_file("")))
    info = str(dist._path)
    name = dist.metadata["Name"]
    text = dist.read_text("RECORD")
    if text is not None:
        paths = record_files(dist, text)
        if any("__editable__" in p for p in paths):
            warn("'%s' is installed as editable: its own files are "
                 "elsewhere; name their folder as path" % name)
    else:
        listed = dist.read_text("installed-files.txt")
        top = dist.read_text("top_level.txt")
        if listed is not None:
            paths = [os.path.normpath(os.path.join(info, line))
                     for line in listed.splitlines() if line]
        else:
            paths = top_level_files(site, top.split()) if top else []
        paths = paths or [
            p for p in debian_files(site, debian_owner(info))
            if is_there(p, os.path.isfile)] or top_level_files(
                site, [canonical(name).replace("-", "_")])
        if not paths:
            warn("'%s' does not say which files it has" % name)
        paths.append(info)
    return [p for p in paths if p.startswith(site + os.sep)
            and "__pycache__" not in p and is_there(p)]


def requirements(dist, by_info: dict, warn) -> tuple:
    """Names of what a distribution requires here, and files without one."""
    env, names = marker_env(), []
    for line in dist.requires or []:
        need, _, marker = line.partition(";")
        m = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", need)
        try:
            if m and (not marker or marker_holds(marker, env)):
                names.append(m.group(1))
        except ValueError as e:
            warn("'%s': %s" % (dist.metadata["Name"], e))
    if dist.read_text("RECORD") is not None:
        return names, []
    more, paths = debian_requires(os.path.normpath(
        str(dist.locate_file(""))), str(dist._path), by_info)
    return names + more, paths


def installed(ask: dict) -> dict:
    """The distributions asked for, with what they require."""
    from importlib import metadata

    warnings, found, by_info = [], {}, {}
    look_at_all(ask["site"])
    for dist in metadata.distributions(path=ask["site"]):
        if dist.metadata["Name"]:
            name = canonical(dist.metadata["Name"])
            found.setdefault(name, dist)
            by_info.setdefault(str(dist._path), name)
    for name in ask["names"]:
        if not re.match(r"\*$|[A-Za-z0-9._-]+$", name):
            return {"error": "'%s' is not a distribution's name alone; what "
                             "%s has installed is taken, of whatever version"
                             % (name, sys.executable)}
    todo = [(name, None) for name in ask["names"]]
    if ask["names"] == ["*"]:
        todo = [(name, None) for name in sorted(found) if name != "pip"]
    done, paths, folders = {}, set(), set()
    while todo:
        name, by = todo.pop(0)
        name = canonical(name)
        if name in done:
            continue
        dist = found.get(name)
        if dist is None and by is None:
            return {"error": "'%s' is not installed for %s; install it for "
                             "that, take a venv's python as runtime, or have "
                             "pip get it: requirements = FILE"
                             % (name, sys.executable)}
        if dist is None:
            warnings.append("'%s' requires '%s', which is not installed"
                            % (by, name))
            continue
        done[name] = dist.version
        needs, more = requirements(dist, by_info, warnings.append)
        todo += [(need, name) for need in needs]
        paths.update(dist_files(dist, warnings.append), more)
        folders.add(os.path.normpath(str(dist.locate_file(""))))
    return {
        "paths": sorted(p for p in paths if "__pycache__" not in p),
        "folders": [p for p in ask["site"] if os.path.normpath(p) in folders],
        "dists": sorted(done.items()),
        "warnings": warnings,
        "looked": sorted(p for p in LOOKED if p.isprintable()),
        "unsure": not all(p.isprintable() for p in LOOKED),
    }


# Wheels

def tag_fits(python: str, abi: str, platform: str) -> bool:
    """Whether this interpreter takes a wheel of one tag (PEP 425)."""
    m = re.match(r"(cp|py)3(\d*)$", python)
    if not m:
        return False
    own, flags = sys.version_info[1], getattr(sys, "abiflags", "")
    minor = int(m.group(2)) if m.group(2) else None
    if m.group(1) == "py":
        fits = abi == "none" and (minor is None or minor <= own)
    elif abi == "abi3":
        fits = (minor is None or minor <= own) and "t" not in flags
    else:
        fits = minor == own and abi in ("none", "cp3%d%s" % (own, flags))
    old = {"manylinux1": (2, 5), "manylinux2010": (2, 12),
           "manylinux2014": (2, 17), "linux": (0, 0)}
    m = re.match(r"(?:(manylinux)_(\d+)_(\d+)|(\w+?))_x86_64$", platform)
    if platform == "any" or not m:
        return fits and platform == "any"
    needs = (int(m.group(2)), int(m.group(3))) if m.group(1) \
        else old.get(m.group(4), (99, 0))
    return fits and needs <= libc_version()


def libc_version() -> tuple:
    """Of glibc, as in (2, 36)."""
    text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    return tuple(int(n) for n in re.findall(r"\d+", text)[:2])


def wheel_tags(path: str) -> list:
    """The tags of a wheel: those in its name, or else those in its WHEEL."""
    import zipfile

    parts = os.path.basename(path)[:-len(".whl")].split("-")
    if len(parts) in (5, 6):
        return ["-".join(parts[-3:])]
    try:
        with zipfile.ZipFile(path) as z:
            for name in z.namelist():
                if re.match(r"[^/]+\.dist-info/WHEEL$", name):
                    return re.findall(r"(?m)^Tag: *(\S+)\s*$",
                                      z.read(name).decode("utf-8", "replace"))
    except (OSError, zipfile.BadZipFile):
        pass                    # whoever unpacks it says what is wrong
    return []


def wheel(ask: dict) -> dict:
    """Nothing, or what is wrong when no tag of a wheel fits."""
    tags = wheel_tags(ask["path"])
    for tag in tags:
        sets = [part.split(".") for part in tag.split("-")]
        if len(sets) != 3 or any(tag_fits(p, a, f) for p in sets[0]
                                 for a in sets[1] for f in sets[2]):
            return {}
    own = "cp3%d" % sys.version_info[1]
    return {} if not tags else {"error": (
        "'%s' is for %s; %s, Python 3.%d, takes %s-%s%s, older cp3x-abi3 and "
        "py3-none, each for any, linux_x86_64 or manylinux_2_x_x86_64 up to "
        "%s" % (os.path.basename(ask["path"]), ", ".join(tags),
                sys.executable, sys.version_info[1], own, own,
                getattr(sys, "abiflags", ""),
                "_".join(map(str, libc_version()))))}


# Compiling

FIELDS = ("co_consts", "co_names", "co_varnames", "co_freevars",
          "co_cellvars", "co_filename", "co_name", "co_qualname")


def hold_names(value, kept: list) -> None:
    """Takes a second reference to every interned string of a code object.

    marshal marks objects that have more than one reference.  For interned
    strings that would depend on all that this process compiled before, and
    the same source would not always give the same bytes.  Nor must anything
    that waits for the garbage collector, such as a closure that calls itself,
    refer to a code object.
    """
    if isinstance(value, (tuple, frozenset)):
        for item in value:
            hold_names(item, kept)
    elif isinstance(value, types.CodeType):
        for field in FIELDS:
            hold_names(getattr(value, field, None), kept)
    elif isinstance(value, str):
        kept.append(value)


def compile_one(source: bytes, path: str) -> bytes:
    """The .pyc of a module that will lie at path; it is never re-checked."""
    import importlib._bootstrap_external as external
    import importlib.util
    from importlib.machinery import SourceFileLoader

    code = SourceFileLoader("<bake>", path).source_to_code(source, path)
    kept = []
    hold_names(code, kept)
    return external._code_to_hash_pyc(
        code, importlib.util.source_hash(source), False)


def read_job(spool: int, job: list) -> bytes:
    host, off, size = job[:3]
    if host is None:
        return os.pread(spool, size, off)
    with open(host, "rb") as f:
        return f.read()


def compile_some(spool: int, jobs: list) -> list:
    """A list of (.pyc, None) or (None, error line)."""
    result = []
    for job in jobs:
        try:
            result.append((compile_one(read_job(spool, job), job[3]), None))
        except SyntaxError as e:
            where = ":%d" % e.lineno if e.lineno else ""
            result.append((None, "%s%s: %s: %s" % (
                job[3], where, type(e).__name__, e.msg)))
        except (ValueError, RecursionError, MemoryError) as e:
            result.append((None, "%s: %s: %s" % (
                job[3], type(e).__name__, e)))
    return result


def compile_parallel(spool: int, jobs: list, workers: int) -> list:
    """compile_some() in forked processes, each with every n-th job."""
    import marshal

    pipes = []
    for i in range(workers):
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(r)
                with os.fdopen(w, "wb") as f:
                    f.write(marshal.dumps(
                        compile_some(spool, jobs[i::workers])))
                status = 0
            finally:
                os._exit(status)
        os.close(w)
        pipes.append((r, pid))
    result = [(None, "not compiled")] * len(jobs)
    for i, (r, pid) in enumerate(pipes):
        with os.fdopen(r, "rb") as f:
            result[i::workers] = marshal.loads(f.read())
        os.waitpid(pid, 0)
    return result


def compile_all(ask: dict) -> dict:
    """Compiles jobs [host file or null, offset, size, path in the guest].

    The .pyc files are appended to the spool (a descriptor) from `end` on.
    """
    spool, end, jobs = ask["spool"], ask["end"], ask["jobs"]
    workers = max(1, min(len(os.sched_getaffinity(0)), 8, len(jobs) // 16))
    done, errors = [], []
    for i, (data, error) in enumerate(
            compile_parallel(spool, jobs, workers)):
        if data is None:
            done.append(None)
            errors.append([i, error])
            continue
        done.append([end, len(data)])
        while data:
            n = os.pwrite(spool, data, end)
            data, end = data[n:], end + n
    return {"end": end, "done": done, "errors": errors}


if __name__ == "__main__":
    VERBS = {"probe": probe, "installed": installed, "wheel": wheel,
             "compile": compile_all}
    json.dump(VERBS[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
