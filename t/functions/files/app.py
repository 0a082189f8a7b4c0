"""files - the file system as libraries use it: etlfs, from Python.

Event: {"do": NAME}, or {} for everything but "fill".  Each check raises when
something is not as on Linux; the result names the checks that passed.
"""

import errno
import fcntl
import mmap
import os
import shutil
import stat
import tempfile

FILL_CHUNK = 1 << 20


def check_rename(d):
    a, b = d + "/a", d + "/b"
    for path, text in ((a, "one"), (b, "two")):
        with open(path, "w") as f:
            f.write(text)
    with open(b) as old:
        os.replace(a, b)
        assert old.read() == "two"      # an open file outlives its name
    assert open(b).read() == "one"
    assert not os.path.exists(a)
    os.mkdir(d + "/dir")
    os.rename(b, d + "/dir/c")
    assert os.listdir(d) == ["dir"]
    try:
        os.rename(d + "/dir", d + "/dir/inside")
    except OSError as e:
        assert e.errno == errno.EINVAL, e
    else:
        raise AssertionError("a directory was moved into itself")


def check_unlink(d):
    path = d + "/gone"
    with open(path, "w+") as f:
        f.write("still here")
        f.flush()
        os.unlink(path)
        assert os.fstat(f.fileno()).st_nlink == 0
        f.seek(0)
        assert f.read() == "still here"
    assert not os.path.exists(path)
    try:
        os.rmdir("/tmp")
    except OSError as e:
        assert e.errno in (errno.ENOTEMPTY, errno.EBUSY), e


def check_sparse(d):
    with open(d + "/sparse", "wb+") as f:
        f.seek(10_000_000)
        f.write(b"end")
        f.flush()
        st = os.fstat(f.fileno())
        assert st.st_size == 10_000_003
        assert st.st_blocks * 512 < 1_000_000
        f.seek(5_000_000)
        assert f.read(10) == bytes(10)
        f.truncate(4)
        f.truncate(10_000_003)
        f.seek(10_000_000)
        assert f.read() == bytes(3)     # what was cut off is not back


def check_append(d):
    path = d + "/log"
    with open(path, "ab") as f, open(path, "ab") as g:
        for i in range(10):
            f.write(b"f")
            f.flush()
            g.write(b"g")
            g.flush()
    assert open(path, "rb").read() == b"fg" * 10


def check_mmap(d):
    path = d + "/map"
    with open(path, "wb+") as f:
        f.truncate(3 * 4096 + 10)
        with mmap.mmap(f.fileno(), 0) as m:
            m[4095:4097] = b"xy"
            m[-1:] = b"z"
            m.flush()
            f.seek(4095)
            assert f.read(2) == b"xy"   # a shared mapping is the file
            os.pwrite(f.fileno(), b"Q", 8192)
            assert m[8192:8193] == b"Q"
        with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY) as m:
            m[0:1] = b"!"
            assert os.pread(f.fileno(), 1, 0) == b"\0"
        with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
            os.unlink(path)
            assert m[4095:4097] == b"xy"


def check_copy_on_write(d):
    """A file of the image: changed, it is the function's own."""
    before = os.stat(__file__)
    with open(__file__, "rb") as f:
        text = f.read()
    with open(__file__, "rb+") as f, open(__file__, "rb") as other:
        f.seek(3)
        f.write(b"CHANGED")
        f.flush()
        assert other.read()[:10] == text[:3] + b"CHANGED"
    with open(__file__, "rb") as f:
        assert f.read() == text[:3] + b"CHANGED" + text[10:]
    assert os.stat(__file__).st_ino == before.st_ino
    with open(__file__, "wb") as f:
        f.write(text)


def check_links(d):
    os.symlink("target", d + "/link")
    assert os.readlink(d + "/link") == "target"
    assert not os.path.exists(d + "/link")
    with open(d + "/link", "w") as f:   # makes what the link names
        f.write("through")
    assert open(d + "/target").read() == "through"
    os.link(d + "/target", d + "/hard")
    assert os.stat(d + "/hard").st_nlink == 2
    os.symlink("loop", d + "/loop")
    try:
        os.stat(d + "/loop")
    except OSError as e:
        assert e.errno == errno.ELOOP, e
    else:
        raise AssertionError("a loop of links was followed")


def check_names(d):
    long = "n" * 255
    open(f"{d}/{long}", "w").close()
    assert os.listdir(d) == [long]
    for name, code in (("n" * 256, errno.ENAMETOOLONG), ("a/b", errno.ENOENT),
                       ("", errno.ENOENT)):
        try:
            os.open(name and f"{d}/{name}", os.O_CREAT | os.O_WRONLY)
        except OSError as e:
            assert e.errno == code, (name[:5], e)
        else:
            raise AssertionError(f"made {name[:5]}")
    try:
        os.open(f"{d}/{long}", os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        pass
    os.chdir(d)
    assert os.getcwd() == os.path.realpath(d)
    os.chdir("/")


def check_many(d):
    for i in range(2000):
        open(f"{d}/{i}", "w").close()
    seen = set()
    for entry in os.scandir(d):
        seen.add(entry.name)
        if int(entry.name) % 2:
            os.unlink(entry.path)       # while it is being listed
    assert len(seen) == 2000
    assert len(os.listdir(d)) == 1000
    shutil.rmtree(d)
    os.mkdir(d)


def check_meta(d):
    path = d + "/meta"
    with open(path, "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
    os.chmod(path, 0o640)
    os.utime(path, ns=(10 ** 18 + 7, 10 ** 18 + 9))
    st = os.stat(path)
    assert stat.S_IMODE(st.st_mode) == 0o640
    assert st.st_mtime_ns == 10 ** 18 + 9
    assert stat.S_ISDIR(os.stat("/tmp").st_mode)
    usage = shutil.disk_usage("/tmp")
    assert 0 < usage.free <= usage.total


def fill(d):
    """Write until there is no room: ENOSPC, and the rest goes on."""
    n, path = 0, d + "/full"
    try:
        with open(path, "wb", buffering=0) as f:
            while True:
                wrote = f.write(b"x" * FILL_CHUNK)
                n += wrote
    except OSError as e:
        code = errno.errorcode[e.errno]
    assert os.path.getsize(path) == n
    os.unlink(path)
    with open(path, "wb") as f:         # the room is there again
        f.write(b"x" * FILL_CHUNK)
    return {"errno": code, "megabytes": n >> 20}


def handler(event, context):
    do = event.get("do")
    if do == "fill":
        with tempfile.TemporaryDirectory() as d:
            return fill(d)
    passed = []
    for name, check in sorted(globals().items()):
        if name.startswith("check_") and do in (None, name[6:]):
            with tempfile.TemporaryDirectory() as d:
                check(d)
            passed.append(name[6:])
    return passed
