"""usetl_test.py - usetl against a stand-in for /dev/usetl/fetch.

The stand-in is one end of a socket pair for each open; a thread at the other
end reads the request and its body as the libOS would, and answers from a
table.  Bodies are files in a temporary folder that vanish when the fetch is
closed, as /usetl/in/TICKET does.
"""

from __future__ import annotations

import array
import csv
import errno
import gc
import gzip
import inspect
import io
import json
import os
import pickle
import re
import select
import socket
import sys
import tempfile
import threading
import traceback
import unittest
from types import SimpleNamespace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "../../unikernel/python"))
sys.path.insert(0, HERE)

import tap      # noqa: E402
import usetl    # noqa: E402
from usetl import _body, _files, _gzip, _hooks, _response  # noqa: E402


CSV = b"name,amount\r\na,1.5\r\nb,2.5\r\n"
BIG = os.urandom(1 << 16) * 16
ZIP = gzip.compress(CSV, mtime=0)
CODED = {
    "csv": ZIP,
    "plain": CSV,
    "empty": gzip.compress(b""),
    "nothing": b"",
    "big": gzip.compress(BIG, 1),
    "edge": gzip.compress(bytes(_files.CHUNK)),
    "edge1": gzip.compress(bytes(_files.CHUNK + 1)),
    "members": b"".join(gzip.compress(CSV[i:i + 1]) for i in range(27)),
    "zeros": ZIP + bytes(100000) + ZIP + b"\0",
    "short": ZIP[:-1],
    "head": ZIP[:5],
    "second": ZIP + ZIP[:-8],
    "behind": ZIP + b"garbage",
    "before": b"\0" + ZIP,
    "sum": ZIP[:-8] + b"\0\0\0\0" + ZIP[-4:],
    "length": ZIP[:-4] + b"\1\0\0\0",
    "bigshort": gzip.compress(BIG, 1)[:-4],
    "twice": gzip.compress(ZIP),
    "twiceshort": gzip.compress(ZIP[:-1]),
    "bomb": gzip.compress(gzip.compress(bytes(1 << 24))),
}


class Device:
    """Stands in for /dev/usetl/fetch."""

    def __init__(self) -> None:
        self.dir = tempfile.mkdtemp(prefix="usetl-test-")
        self.requests: list[SimpleNamespace] = []
        self.served: set[socket.socket] = set()
        self.open_most = 0
        self.lock = threading.Lock()
        self.real_open = os.open
        os.open = self.open             # type: ignore[assignment]

    def close(self) -> None:
        os.open = self.real_open
        os.rmdir(self.dir)              # every body must be gone

    def open(self, path, flags, mode=0o777, *, dir_fd=None) -> int:
        if path != "/dev/usetl/fetch":
            return self.real_open(path, flags, mode, dir_fd=dir_fd)
        ours, theirs = socket.socketpair(socket.AF_UNIX,
                                         socket.SOCK_SEQPACKET)
        with self.lock:
            self.served.add(theirs)
        self.open_most = max(self.open_most, self.open_now)
        threading.Thread(target=self.serve, args=(theirs,),
                         daemon=True).start()
        return ours.detach()

    @property
    def open_now(self) -> int:
        """So many fetches are open, whether or not their threads have seen
        that others no longer are."""
        poll = select.poll()
        with self.lock:
            for sock in self.served:
                poll.register(sock, 0)  # but for POLLHUP, which always counts
            return len(self.served) - len(poll.poll(0))

    def serve(self, sock: socket.socket) -> None:
        body = os.path.join(self.dir, str(sock.fileno()))
        try:
            head = sock.recv(1 << 18)
            if head:
                sock.send(self.answer(self.parse(head.decode("latin-1")),
                                      body))
                sock.recv(1)            # until the last close
        finally:
            if os.path.exists(body):
                os.unlink(body)
            with self.lock:
                self.served.remove(sock)
                sock.close()

    def parse(self, head: str) -> SimpleNamespace:
        first, *lines = head.split("\n")
        assert lines.pop() == "", "the head ends in a line feed"
        method, url, ms, fd = first.split(" ")
        req = SimpleNamespace(
            method=method, url=url, ms=int(ms), body=None,
            headers=dict(line.split(": ", 1) for line in lines))
        # in every request; test_gzip_is_asked_for looks at it
        req.accepts = req.headers.pop("Accept-Encoding", None)
        if int(fd) >= 0:
            size = os.fstat(int(fd)).st_size
            req.body = os.pread(int(fd), size, 0)
        with self.lock:
            self.requests.append(req)
        return req

    def answer(self, req: SimpleNamespace, path: str) -> bytes:
        kind, _, arg = req.url.partition("://h/")[2].partition("?")
        status, body, lines = 200, b"", "Server: test\n"
        if kind == "error":
            code, reason = arg.split(",")
            return f"ERROR {code}\n{req.method} {req.url}: {reason}\n".encode()
        if kind == "status":
            status, body = int(arg), b"sorry"
        elif kind == "csv":
            body = b"name,amount\r\na,1.5\r\nb,2.5\r\n"
            lines += "Content-Type: text/csv; charset=utf-8\n"
        elif kind == "latin":
            body = "é".encode("latin-1")
            lines += 'content-type: text/plain; Charset="iso-8859-1"\n'
        elif kind == "json":
            body = b'\xef\xbb\xbf{"a": 1}'
        elif kind == "big":
            body = bytes(range(256)) * (int(arg) // 256)
        elif kind == "cookies":
            lines += "Set-Cookie: a=1\nset-cookie: b=2\nX-Empty:\n"
        elif kind == "coded":
            name, coding = arg.replace("%20", " ").split(",", 1)
            body = CODED[name]
            lines += (f"Content-Encoding: {coding}\nContent-Length: "
                      f"{len(body)}\nContent-Type: text/csv\n")
        elif kind == "echo":
            body = req.body or b""
        with open(path, "wb") as f:
            f.write(body)
        return (f"{status} {len(body)} {path} {req.url}#final\n"
                f"{lines}").encode("latin-1")


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.fds = len(os.listdir("/proc/self/fd"))
        self.dev = Device()

    def tearDown(self) -> None:
        _body.named.clear()             # as the runtime before each event
        gc.collect()
        self.wait_closed()
        self.dev.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.fds,
                         "a descriptor was left open")

    def wait_closed(self) -> None:
        self.assertEqual(self.dev.open_now, 0, "a fetch was left open")
        # the server threads unlink their bodies some time after the close
        for _ in range(6000):
            if not self.dev.served:
                break
            threading.Event().wait(0.01)
        self.assertFalse(self.dev.served, "a server thread did not end")

    def last(self) -> SimpleNamespace:
        return self.dev.requests[-1]

    def test_get(self) -> None:
        r = usetl.get("http://h/csv", headers={"X-A": "b"}, timeout=1.5)
        self.assertEqual((r.status, r.ok, r.url, len(r)),
                         (200, True, "http://h/csv#final", 27))
        self.assertEqual(r.headers["CONTENT-type"],
                         "text/csv; charset=utf-8")
        self.assertEqual(r.text, "name,amount\r\na,1.5\r\nb,2.5\r\n")
        self.assertEqual(self.last().ms, 1500)
        self.assertEqual(self.last().headers, {"X-A": "b"})
        self.assertIsNone(self.last().body)
        self.assertIs(r.raise_for_status(), r)

    def test_timeout_rounds_up(self) -> None:
        usetl.get("http://h/", timeout=0.0001)
        self.assertEqual(self.last().ms, 1)
        usetl.get("http://h/", timeout=float("inf"))
        self.assertEqual(self.last().ms, 1 << 31)
        usetl.get("http://h/")
        self.assertEqual(self.last().ms, 0)
        for bad in (0, -1, float("nan")):
            with self.assertRaises(ValueError):
                usetl.get("http://h/", timeout=bad)

    def test_params_and_encoding(self) -> None:
        usetl.get("http://h/?x=1#frag",
                  params={"q": "a b&é", "n": [1, 2]})
        self.assertEqual(self.last().url,
                         "http://h/?x=1&q=a%20b%26%C3%A9&n=1&n=2#frag")
        usetl.get("http://h/é/%20")
        self.assertEqual(self.last().url, "http://h/%C3%A9/%20")

    def test_bad_urls(self) -> None:
        for url in ("ftp://h/", "h/x", "http://h/a b", "http://h/\n",
                    "http://h/" + "x" * 9000, "file:///etc/passwd"):
            with self.assertRaises(usetl.Error) as c:
                usetl.get(url)
            self.assertEqual(c.exception.url, url)
        self.assertEqual(self.dev.requests, [])

    def test_header_injection(self) -> None:
        for headers in ({"A": "b\nC: d"}, {"A": "b\r"}, {"A: b\nC": "d"},
                        {"": "x"}, {"A": "x\0"}, {"A": "\u20ac"}):
            with self.assertRaises(ValueError):
                usetl.get("http://h/", headers=headers)
        self.assertEqual(self.dev.requests, [])

    def test_bodies(self) -> None:
        octets = "application/octet-stream"
        for data, body, kind in (
                (b"abc", b"abc", octets),
                (memoryview(array.array("I", [1])), b"\1\0\0\0", octets),
                ("é\n", b"\xc3\xa9\n", "text/plain; charset=utf-8"),
                ({"a": "1 2", "b": [3, 4]}, b"a=1%202&b=3&b=4",
                 "application/x-www-form-urlencoded"),
                (io.BytesIO(b"file"), b"file", octets),
                (io.StringIO("text"), b"text", octets),
                (iter([b"ab", "cd", b""]), b"abcd", octets),
                (b"", b"", octets)):
            r = usetl.post("http://h/echo", data=data)
            self.assertEqual(r.content, body)
            self.assertEqual(self.last().headers, {"Content-Type": kind})
        self.assertEqual(self.last().method, "POST")

    def test_json_body(self) -> None:
        r = usetl.put("http://h/echo", json={"a": [1, None]})
        self.assertEqual(r.json(), {"a": [1, None]})
        self.assertEqual(self.last().method, "PUT")
        self.assertEqual(self.last().headers,
                         {"Content-Type": "application/json"})
        with self.assertRaises(ValueError):
            usetl.post("http://h/echo", json=float("nan"))

    def test_own_content_type(self) -> None:
        usetl.post("http://h/echo", data="a,b", headers={
            "content-type": "text/csv"})
        self.assertEqual(self.last().headers, {"content-type": "text/csv"})

    def test_file_bodies(self) -> None:
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"0123456789")
            f.flush()
            r = usetl.post("http://h/echo", file=f.name)
            self.assertEqual(r.content, b"0123456789")
            with open(f.name, "rb") as g:
                self.assertEqual(_files.plain_file(g), g.fileno())
                self.assertEqual(usetl.post("http://h/echo", g).content,
                                 b"0123456789")
                g.read(4)       # from where it stands
                self.assertEqual(usetl.post("http://h/echo", g).content,
                                 b"456789")
        with tempfile.TemporaryFile() as f:
            f.write(b"unflushed")
            f.seek(0)
            self.assertEqual(usetl.post("http://h/echo", f).content,
                             b"unflushed")
        with tempfile.TemporaryFile() as f:
            with gzip.GzipFile(fileobj=f, mode="wb") as z:
                z.write(b"plain")
            f.seek(0)
            with gzip.GzipFile(fileobj=f) as z:
                self.assertEqual(usetl.post("http://h/echo", z).content,
                                 b"plain")
        with self.assertRaises(FileNotFoundError):
            usetl.post("http://h/echo", file="/nonexistent")
        with self.assertRaises(TypeError):
            usetl.post("http://h/echo", data=b"x", file="/dev/null")
        with self.assertRaises(TypeError):
            usetl.post("http://h/echo", data=7)

    def test_error_names_url_and_reason(self) -> None:
        url = "http://h/error?13,refused-by-policy"
        with self.assertRaises(usetl.Error) as c:
            usetl.get(url)
        self.assertEqual(str(c.exception), f"GET {url}: refused-by-policy")
        self.assertEqual(c.exception.url, url)
        self.assertIsInstance(c.exception, OSError)
        copy = pickle.loads(pickle.dumps(c.exception))
        self.assertEqual((type(copy), str(copy), copy.url),
                         (usetl.Error, str(c.exception), url))

    def test_timeout_error(self) -> None:
        with self.assertRaises(usetl.Timeout) as c:
            usetl.get("http://h/error?110,late")
        self.assertIsInstance(c.exception, TimeoutError)
        self.assertIsInstance(c.exception, usetl.Error)

    def test_status(self) -> None:
        r = usetl.get("http://h/status?404")
        self.assertFalse(r.ok)
        self.assertTrue(r)
        with self.assertRaises(usetl.HTTPError) as c:
            r.raise_for_status()
        self.assertEqual((c.exception.status, c.exception.response), (404, r))
        self.assertIn("404", str(c.exception))
        self.assertIn("http://h/status", str(c.exception))

    def test_charset(self) -> None:
        r = usetl.get("http://h/latin")
        self.assertEqual((r.charset, r.text), ("iso-8859-1", "é"))

    def test_json_with_bom(self) -> None:
        self.assertEqual(usetl.get("http://h/json").json(), {"a": 1})

    def test_headers(self) -> None:
        h = usetl.get("http://h/cookies").headers
        self.assertEqual(h.get_all("Set-Cookie"), ["a=1", "b=2"])
        self.assertEqual(h["set-cookie"], "a=1, b=2")
        self.assertEqual(h["x-empty"], "")
        self.assertIn("SERVER", h)
        self.assertNotIn("nope", h)
        self.assertEqual(h.get("nope", "d"), "d")
        self.assertEqual(h.get_all("nope"), [])
        self.assertEqual(list(h), ["Server", "Set-Cookie", "X-Empty"])

    def test_read_and_path(self) -> None:
        with usetl.get("http://h/big?1024") as r:
            self.assertEqual(r.read(3), b"\0\1\2")
            self.assertEqual(len(r.read()), 1021)
            self.assertEqual(r.read(), b"")
            self.assertEqual(len(r.content), 1024)
            with open(r.path, "rb") as f:
                self.assertEqual(f.read(), r.content)
        with self.assertRaises(ValueError):
            r.path
        self.assertEqual(len(r.content), 1024)

    def test_path_alone(self) -> None:
        # the path of a response that nothing else holds
        with open(usetl.get("http://h/big?1024").path, "rb") as f:
            self.assertEqual(len(f.read()), 1024)
        self.assertEqual(self.dev.open_now, 1)
        paths = [usetl.get("http://h/big?1024").path for _ in range(40)]
        self.assertTrue(os.path.exists(paths[-16]))
        self.assertLess(self.dev.open_now, 20)
        r = usetl.get("http://h/csv")
        self.assertEqual(r.path, r.path)
        held = len(_body.named)
        r.close()
        self.assertEqual(len(_body.named), held - 1)
        # however large it is, the last one stays
        _body.keep_named(_body.Ticket(), 1 << 30)
        self.assertEqual(len(_body.named), 1)

    def test_closed(self) -> None:
        r = usetl.get("http://h/big?1024")
        r.close()
        r.close()
        for use in (lambda: r.content, lambda: r.text, lambda: r.read(),
                    lambda: list(r), lambda: r.memory()):
            with self.assertRaises(ValueError):
                use()

    def coded(self, name: str, coding: str = "gzip") -> usetl.Response:
        coding = coding.replace(" ", "%20")
        return usetl.get(f"http://h/coded?{name},{coding}")

    def test_gzip_is_asked_for(self) -> None:
        usetl.get("http://h/csv")
        self.assertEqual(self.last().accepts, "gzip")
        for headers, accepts in (({"accept-encoding": "br"}, None),
                                 ({"RANGE": "bytes=0-1"}, None),
                                 ({"X": "y"}, "gzip")):
            usetl.get("http://h/csv", headers=headers)
            self.assertEqual(self.last().accepts, accepts)
        self.assertEqual(usetl.get("http://h/coded?csv,gzip", headers={
            "Range": "bytes=0-"}).content, ZIP)

    def test_gzip(self) -> None:
        for name in ("csv", "empty", "big", "edge", "edge1", "members",
                     "zeros"):
            want = gzip.decompress(CODED[name])
            r = self.coded(name)
            self.wait_closed()
            self.assertEqual(len(r), len(want))
            self.assertEqual(bytes(r.memory()), want)
            self.assertEqual(r.read(5), want[:5])
            with open(r.path, "rb") as f:
                self.assertEqual(f.read(), want)
            self.assertEqual(usetl.post("http://h/echo",
                                        file=r.path).content, want)
            with open(r.path, "rb") as f:
                self.assertEqual(usetl.post("http://h/echo", f).content, want)
            self.assertEqual(r.content, want)
            self.assertNotIn("content-encoding", r.headers)
            self.assertNotIn("content-length", r.headers)
            self.assertEqual(r.headers["content-type"], "text/csv")
            path = r.path
            view = r.memory()
            r.close()
            self.assertFalse(os.path.exists(path))
            self.assertEqual(bytes(view), want)
        self.assertEqual(self.coded("csv", "X-GZip").text, CSV.decode())
        rows = list(csv.DictReader(self.coded("csv")))
        self.assertEqual([row["amount"] for row in rows], ["1.5", "2.5"])
        r = usetl.head("http://h/coded?nothing,gzip")
        self.assertEqual((r.content, r.headers["content-encoding"]),
                         (b"", "gzip"))

    def test_gzip_path_alone(self) -> None:
        with open(self.coded("big").path, "rb") as f:
            self.assertEqual(f.read(), BIG)
        paths = [self.coded("csv").path for _ in range(40)]
        self.assertTrue(os.path.exists(paths[-16]))
        self.assertFalse(os.path.exists(paths[0]))
        _body.named.clear()
        self.assertFalse(any(os.path.exists(p) for p in paths))
        r = self.coded("csv")
        os.unlink(r.path)               # as a function may
        self.assertEqual(r.content, CSV)

    def test_gzip_closed(self) -> None:
        for name in ("csv", "big"):
            r = self.coded(name)
            r.close()
            for use in (lambda: r.content, lambda: r.text, lambda: r.read(),
                        lambda: list(r), lambda: r.memory(),
                        lambda: r.path):
                with self.assertRaises(ValueError):
                    use()

    def test_gzip_twice(self) -> None:
        self.assertEqual(self.coded("twice", "gzip, gzip").content, CSV)
        self.assertEqual(len(self.coded("bomb", "gzip, identity, gzip")),
                         1 << 24)
        with self.assertRaises(usetl.Error) as c:
            self.coded("twice", "gzip,gzip,gzip")
        self.assertIn("at most 2", str(c.exception))

    def test_other_codings_stay(self) -> None:
        for coding in ("br", "deflate", "identity", "gzip, br", "x"):
            r = self.coded("csv", coding)
            self.assertEqual(r.content, ZIP)
            self.assertEqual(r.headers["content-encoding"], coding)
            self.assertIn("content-length", r.headers)
        r = self.coded("csv", "br, gzip")
        self.assertEqual((r.content, r.headers["Content-Encoding"]),
                         (CSV, "br"))

    def test_bad_gzip(self) -> None:
        for name, coding, what, number in (
                ("plain", "gzip", "could not be undone", errno.EPROTO),
                ("short", "gzip", "truncated", errno.EIO),
                ("head", "gzip", "truncated", errno.EIO),
                ("second", "gzip", "truncated", errno.EIO),
                ("bigshort", "gzip", "truncated", errno.EIO),
                ("twiceshort", "gzip, gzip", "truncated", errno.EIO),
                ("behind", "gzip", "could not be undone", errno.EPROTO),
                ("before", "gzip", "could not be undone", errno.EPROTO),
                ("sum", "gzip", "could not be undone", errno.EPROTO),
                ("length", "gzip", "could not be undone", errno.EPROTO),
                ("csv", "gzip, gzip", "could not be undone", errno.EPROTO)):
            before = os.listdir("/tmp")
            with self.assertRaises(usetl.Error) as c:
                self.coded(name, coding)
            self.assertIn(what, str(c.exception))
            self.assertIn("http://h/coded", str(c.exception))
            self.assertEqual(c.exception.errno, number)
            self.assertEqual([n for n in os.listdir("/tmp") if
                              n.startswith(f".usetl-{os.getpid()}-") and
                              n not in before], [])
        got = usetl.gather("http://h/csv", "http://h/coded?short,gzip",
                           return_exceptions=True)
        self.assertIsInstance(got[1], usetl.Error)
        del got

    def test_gzip_without_room(self) -> None:
        real, left = os.write, [400000]

        def write(fd: int, data: object) -> int:
            if len(data) >= 30000:      # a piece of the body
                left[0] -= len(data)
                if left[0] < 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
            return real(fd, data)

        os.write = write                # type: ignore[assignment]
        try:
            with self.assertRaises(usetl.Error) as c:
                self.coded("big")
        finally:
            os.write = real
        self.assertEqual(c.exception.errno, errno.ENOSPC)
        self.assertIn("no room for more than", str(c.exception))

    def test_gzip_many(self) -> None:
        got = usetl.gather(*["http://h/coded?csv,gzip"] * 70)
        self.assertEqual({r.content for r in got}, {CSV})

    def test_no_zlib(self) -> None:
        module, _gzip.zlib = _gzip.zlib, None
        try:
            r = self.coded("csv")
            self.assertIsNone(self.last().accepts)
            self.assertEqual((r.content, r.headers["content-encoding"]),
                             (ZIP, "gzip"))
        finally:
            _gzip.zlib = module

    def test_lines(self) -> None:
        r = usetl.get("http://h/csv")
        rows = list(csv.DictReader(r))
        self.assertEqual([row["amount"] for row in rows], ["1.5", "2.5"])
        self.assertEqual(list(r), [])

    def test_empty(self) -> None:
        r = usetl.head("http://h/")
        self.assertEqual((r.content, r.text, r.read(), list(r),
                          bytes(r.memory())), (b"", "", b"", [], b""))
        self.assertEqual(self.last().method, "HEAD")

    def test_memory(self) -> None:
        view = usetl.get("http://h/big?1048576").memory()
        self.assertTrue(view.readonly)
        # the view alone keeps the transfer, and so the memory, alive
        self.assertEqual(self.dev.open_now, 1)
        self.assertEqual(view[255:258].tobytes(), b"\xff\0\1")
        r = usetl.get("http://h/big?4096")
        view2 = r.memory()
        r.close()
        self.assertEqual(self.dev.open_now, 2)
        self.assertEqual(bytes(view2[:2]), b"\0\1")
        del view, view2

    def test_big_text_in_place(self) -> None:
        r = usetl.post("http://h/echo", data="é" * 500000)
        self.assertEqual(r.text, "é" * 500000)
        self.assertIsNone(r._content)

    def test_gather(self) -> None:
        got = usetl.gather("http://h/csv",
                           usetl.Request("POST", "http://h/echo", data="x"),
                           usetl.Request("get", "http://h/status?500"))
        self.assertEqual([r.status for r in got], [200, 200, 500])
        self.assertEqual(got[1].text, "x")
        self.assertTrue(got[0].path)
        self.assertEqual(self.dev.open_most, 3)
        self.assertEqual(usetl.gather(), [])

    def test_gather_many(self) -> None:
        got = usetl.gather(*(usetl.Request("POST", "http://h/echo",
                                           data=str(i)) for i in range(100)))
        self.assertEqual([int(r.text) for r in got], list(range(100)))
        self.assertLess(self.dev.open_most, 64)

    def test_gather_errors(self) -> None:
        urls = ["http://h/csv", "http://h/error?111,no", "http://h/json"]
        with self.assertRaises(usetl.Error):
            usetl.gather(*urls)
        self.assertEqual(len(self.dev.requests), 3)
        got = usetl.gather(*urls, return_exceptions=True)
        self.assertIsInstance(got[1], usetl.Error)
        self.assertIsInstance(usetl.gather(
            "ftp://h/", return_exceptions=True)[0], usetl.Error)
        self.assertEqual(got[2].json(), {"a": 1})
        del got

    def test_bad_method(self) -> None:
        with self.assertRaises(ValueError):
            usetl.request("TRACE", "http://h/")
        self.assertEqual(usetl.request("patch", "http://h/").status, 200)
        self.assertEqual(self.last().method, "PATCH")
        usetl.delete("http://h/")
        self.assertEqual(self.last().method, "DELETE")
        usetl.patch("http://h/echo", b"p")
        self.assertEqual(self.last().body, b"p")

    def test_ticket_is_pollable(self) -> None:
        t = usetl.Request("GET", "http://h/csv")._submit()
        self.assertEqual(select.select([t.fd], [], [], 5)[0], [t.fd])
        r = _response.receive(usetl.Request("GET", "http://h/csv"), t)
        self.assertEqual(r.status, 200)

    def test_hooks(self) -> None:
        @usetl.on_ready
        def a() -> None:
            pass

        @usetl.on_clone
        def b() -> None:
            pass

        self.assertEqual(_hooks.at_ready.pop(), a)
        self.assertEqual(_hooks.at_clone.pop(), b)

    def manual(self) -> dict[str, list[str]]:
        """Public names in usetl-python(7), with their arguments if any."""
        with open(os.path.join(HERE, "../../man/usetl-python.7")) as f:
            text = f.read()
        text = text.partition(".Sh THE USETL MODULE\n")[2]
        text = text.partition("\n.Sh ENVIRONMENT\n")[0]
        names: dict[str, list[str]] = {}
        for name in re.findall(r"^\.(?:It )?Sy @?usetl\.(\w+)|"
                               r"^\.Vt ([A-Z]\w+)", text, re.M):
            names["".join(name)] = []
        for name, args in re.findall(r"^\.It Fn usetl\.(\w+) (.*)", text,
                                     re.M):
            names[name] = re.findall(r'"(.*?)"', args)
        return names

    def test_names(self) -> None:
        names = self.manual()
        self.assertEqual(sorted(names), sorted(usetl.__all__))
        self.assertEqual([n for n in dir(usetl) if not n.startswith("_")],
                         sorted(usetl.__all__))
        for name, args in names.items():
            if args:
                self.assertEqual(args, self.arguments(name, args), name)

    def arguments(self, name: str, like: list[str]) -> list[str]:
        """Of a public name, with no more of them and of their defaults than
        the manual has."""
        found = []
        star = True
        for p in inspect.signature(getattr(usetl, name)).parameters.values():
            if p.kind is p.VAR_POSITIONAL:
                found.append("*" + p.name)
                star = False
            elif p.kind is p.VAR_KEYWORD:
                found.append("**" + p.name)
            else:
                if p.kind is p.KEYWORD_ONLY and star:
                    if like[-1] == "**keywords":
                        return found + ["**keywords"]
                    found.append("*")
                    star = False
                has = p.default is not p.empty and p.name not in like
                found.append(f"{p.name}={p.default}" if has else p.name)
        return found

    def test_names_are_of_usetl(self) -> None:
        for name in usetl.__all__:
            self.assertEqual(getattr(usetl, name).__module__, "usetl", name)
        for e in (usetl.Error(5, "why", "http://h/"),
                  usetl.Timeout(110, "late", "http://h/")):
            line = traceback.format_exception_only(type(e), e)[-1]
            self.assertEqual(line, f"usetl.{type(e).__name__}: {e}\n")
            self.assertIn(b"cusetl\n" + type(e).__name__.encode() + b"\n",
                          pickle.dumps(e, 0))

    def test_no_device(self) -> None:
        os.open = self.dev.real_open
        try:
            if os.path.exists("/dev/usetl"):
                self.skipTest("there is a /dev/usetl here")
            with self.assertRaises(usetl.Error) as c:
                usetl.get("http://h/")
            self.assertEqual(c.exception.errno, errno.ENOENT)
        finally:
            os.open = self.dev.open

    def test_json_of_response(self) -> None:
        with self.assertRaises(json.JSONDecodeError):
            usetl.get("http://h/csv").json()


if __name__ == "__main__":
    tap.main(__name__)
