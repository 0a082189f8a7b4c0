"""boot_test.py - boot.py in a real interpreter, over stand-ins for its
devices: each is one end of a socket pair that keeps messages apart."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
RUNTIME = os.path.join(HERE, "../../unikernel/python")
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

import tap      # noqa: E402

WAIT = 120      # seconds, for what comes in a moment


class Guest:
    """One boot of a function, whose app.py is given as text."""

    def __init__(self, app: str, handler: str = "app.handler",
                 more: dict[str, str] | None = None, path: str = "") -> None:
        self.dir = tempfile.mkdtemp(prefix="usetl-test-")
        for name, text in {"app.py": app, **(more or {})}.items():
            full = os.path.join(self.dir, name)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w") as f:
                f.write(text)
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                 for _ in range(3)]
        self.event, self.result, self.error = (p[0] for p in pairs)
        fds = [p[1].fileno() for p in pairs]
        for s in (self.event, self.result, self.error):
            s.settimeout(WAIT)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        env = {
            "USETL_HANDLER": handler, "USETL_NAME": "test",
            "USETL_PATH": self.dir + path.replace("@", self.dir),
            "LC_ALL": "C.UTF-8", "BOOTENV_LIB": RUNTIME, "TMPDIR": self.dir,
            "BOOTENV_FDS": ",".join(map(str, fds)),
            "BOOTENV_INFO": json.dumps({"name": "test", "timeout": 7.5,
                                        "memory": 128 << 20}),
        }
        self.log = tempfile.TemporaryFile()
        self.proc = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B",
             os.path.join(HERE, "bootenv.py"),
             os.path.join(RUNTIME, "boot.py")],
            env=env, pass_fds=fds, stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log)
        for p in pairs:
            p[1].close()

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *exc: object) -> None:
        self.proc.kill()
        self.proc.wait()
        for s in (self.event, self.result, self.error, self.log):
            s.close()
        shutil.rmtree(self.dir)

    def raw(self, event: bytes) -> tuple[str, bytes]:
        """Send an event; ("result" or "error", its bytes)."""
        import select
        self.event.send(event)
        ready = select.select([self.result, self.error], [], [], WAIT)[0]
        assert ready, "no answer; log: " + self.text()
        return ("result" if ready[0] is self.result else "error",
                ready[0].recv(1 << 22))

    def call(self, event: object = None) -> object:
        kind, data = self.raw(json.dumps(event).encode())
        assert kind == "result", data
        return json.loads(data)

    def fail(self, event: object = None) -> dict:
        kind, data = self.raw(json.dumps(event).encode())
        assert kind == "error", data
        return json.loads(data)

    def end(self, event: object = None) -> int:
        """Send an event that ends the guest; its exit status."""
        try:
            self.event.send(json.dumps(event).encode())
        except OSError:
            pass
        return self.proc.wait(WAIT)

    def text(self) -> str:
        self.log.seek(0)
        return self.log.read().decode()


class Case(unittest.TestCase):
    def boot_fails(self, *args, **kwargs) -> str:
        with Guest(*args, **kwargs) as g:
            self.assertEqual(g.proc.wait(WAIT), 1)
            return g.text()

    # loading

    def test_echo(self) -> None:
        with Guest("def handler(event, context): return event\n") as g:
            for e in (None, {}, [1, 2.5, "é\ud800"], "x" * 100000, 10 ** 30):
                self.assertEqual(g.call(e), e)
            self.assertEqual(g.text(), "")

    def test_no_module(self) -> None:
        text = self.boot_fails("", "nosuch.handler")
        self.assertIn("usetl: handler 'nosuch.handler': no module named "
                      "'nosuch'; looked in ", text)
        self.assertNotIn("Traceback", text)

    def test_no_submodule(self) -> None:
        text = self.boot_fails("", "pkg.sub.handler",
                               {"pkg/__init__.py": ""})
        self.assertIn("no module named 'pkg.sub'", text)

    def test_submodule(self) -> None:
        with Guest("", "pkg.sub.f", {
                "pkg/__init__.py": "",
                "pkg/sub.py": "def f(e, c): return __name__"}) as g:
            self.assertEqual(g.call(), "pkg.sub")

    def test_no_handler(self) -> None:
        text = self.boot_fails("x = 1\n")
        self.assertIn("app.py' has no attribute 'handler'", text)
        self.assertNotIn("Traceback", text)

    def test_not_callable(self) -> None:
        text = self.boot_fails("handler = 1\n")
        self.assertIn("'app.handler' is not callable: it is of type 'int'",
                      text)

    def test_nothing_runs(self) -> None:
        for text in ("async def handler(e, c): return 1\n",
                     "def handler(e, c): yield 1\n",
                     "async def handler(e, c): yield 1\n"):
            self.assertIn("'app.handler' is async or a generator",
                          self.boot_fails(text))

    def test_bad_form(self) -> None:
        for spec in ("handler", ".handler", "app.", ""):
            self.assertIn("not of the form", self.boot_fails("", spec))

    def test_syntax_error(self) -> None:
        text = self.boot_fails("def handler(:\n")
        self.assertIn("SyntaxError", text)
        self.assertIn("app.py\", line 1", text)
        self.assertNotIn("boot.py", text)
        self.assertNotIn("_usetl", text)
        self.assertNotIn("importlib", text)

    def test_import_error(self) -> None:
        text = self.boot_fails("import inner\n", more={
            "inner.py": "import no_such_thing\n"})
        self.assertIn("ModuleNotFoundError: No module named 'no_such_thing'",
                      text)
        self.assertIn("inner.py\", line 1", text)
        self.assertIn("app.py\", line 1", text)
        self.assertNotIn("boot.py", text)
        self.assertNotIn("_usetl", text)
        self.assertNotIn("importlib", text)

    def test_exit_while_importing(self) -> None:
        text = self.boot_fails("import sys; sys.exit(0)\n")
        self.assertIn("SystemExit", text)
        self.assertIn("importing the module of handler 'app.handler' raised "
                      "SystemExit", text)

    def test_path_order(self) -> None:
        with Guest("import sys, wave, extra\n"
                   "def handler(e, c): return [sys.path, wave.__file__,"
                   " extra.__name__, sys.argv, __file__]\n",
                   more={"lib/wave.py": "", "lib/extra.py": ""},
                   path=":@/lib:") as g:
            path, wave, extra, argv, app = g.call()
            self.assertEqual(path[0], g.dir)
            self.assertEqual(path[-2:], [g.dir + "/lib", "/usetl/lib"])
            # the standard library's, not the package folder's
            self.assertNotIn(g.dir, wave)
            self.assertEqual((extra, argv), ("extra", [""]))
            self.assertEqual(app, g.dir + "/app.py")

    def test_hooks(self) -> None:
        app = ("import usetl\n"
               "seen = []\n"
               "@usetl.on_ready\n"
               "def one(): seen.append('ready')\n"
               "@usetl.on_clone\n"
               "def two(): seen.append('clone')\n"
               "def handler(e, c): return seen\n")
        with Guest(app) as g:
            self.assertEqual(g.call(), ["ready", "clone"])
            self.assertEqual(g.call(), ["ready", "clone", "clone"])

    def test_ready_hook_fails(self) -> None:
        text = self.boot_fails("import usetl\n"
                               "@usetl.on_ready\n"
                               "def one(): 1 / 0\n"
                               "def handler(e, c): pass\n")
        self.assertIn("ZeroDivisionError", text)
        self.assertIn("usetl: a usetl.on_ready hook raised", text)

    # answers

    def test_context(self) -> None:
        app = ("def handler(e, c):\n"
               "    return [c.function_name, c.memory_limit_in_mb,\n"
               "        c.get_remaining_time_in_millis(), c.request_id,\n"
               "        c.aws_request_id, c.request_id, c.deadline]\n")
        with Guest(app) as g:
            name, mb, left, a, b, c, deadline = g.call()
            self.assertEqual((name, mb), ("test", 128))
            self.assertTrue(0 < left <= 7500, left)
            self.assertGreater(deadline, 0)
            self.assertTrue(a == b == c)
            import uuid
            self.assertEqual(uuid.UUID(a).version, 4)
            self.assertEqual(str(uuid.UUID(a)), a)
            self.assertNotEqual(g.call()[3], a)

    def test_context_repr(self) -> None:
        with Guest("def handler(e, c): return repr(c)\n") as g:
            self.assertTrue(g.call().startswith("<__main__.Context object"),
                            g.call())

    def test_raises(self) -> None:
        app = ("def inner(n):\n"
               "    raise KeyError('no ' + n)   # here\n"
               "def handler(e, c):\n"
               "    inner('way')\n")
        with Guest(app) as g:
            err = g.fail()
            self.assertEqual(err["errorType"], "KeyError")
            self.assertEqual(err["errorMessage"], "'no way'")
            self.assertEqual(err["stackTrace"], [
                f'  File "{g.dir}/app.py", line 4, in handler',
                "    inner('way')",
                f'  File "{g.dir}/app.py", line 2, in inner',
                "    raise KeyError('no ' + n)   # here"])
            self.assertEqual(g.fail(), err)

    def test_chain(self) -> None:
        app = ("def handler(e, c):\n"
               "    try: 1 / 0\n"
               "    except ZeroDivisionError as z:\n"
               "        if e: raise ValueError('b') from z\n"
               "        raise ValueError('b')\n")
        with Guest(app) as g:
            for event, why in ((1, "direct cause"), (0, "being handled")):
                err = g.fail(event)
                self.assertEqual(err["errorType"], "ValueError")
                text = "\n".join(err["stackTrace"])
                self.assertIn("ZeroDivisionError: division by zero", text)
                self.assertIn(why, text)
                self.assertEqual(text.count("in handler"), 2)

    def test_hostile_exceptions(self) -> None:
        app = ("class A(Exception):\n"
               "    def __str__(self): raise RuntimeError\n"
               "class B(Exception):\n"
               "    def __str__(self): return 'x' * 100000\n"
               "def handler(e, c):\n"
               "    if e == 2:\n"
               "        a, b = A(), B()\n"
               "        a.__context__, b.__context__ = b, a\n"
               "        raise a\n"
               "    raise (A, B)[e]()\n")
        with Guest(app) as g:
            self.assertEqual(
                g.fail(0)["errorMessage"],
                "<str() of the exception raised RuntimeError>")
            self.assertLess(len(g.fail(1)["errorMessage"]), 9000)
            self.assertEqual(g.fail(2)["errorType"], "A")

    def test_groups_and_notes(self) -> None:
        if sys.version_info < (3, 11):
            self.skipTest("exception groups are new in Python 3.11")
        app = ("def handler(e, c):\n"
               "    x = ExceptionGroup('two', [KeyError('k'), OSError(2,"
               " 'gone')])\n"
               "    x.add_note('a note')\n"
               "    raise x\n")
        with Guest(app) as g:
            err = g.fail()
            text = "\n".join(err["stackTrace"])
            self.assertIn("a note", text)
            self.assertIn("in the group: KeyError: 'k'", text)

    def test_recursion(self) -> None:
        app = "def handler(e, c): return handler(e, c)\n"
        with Guest(app) as g:
            err = g.fail()
            self.assertEqual(err["errorType"], "RecursionError")
            self.assertLess(len(err["stackTrace"]), 200)
            self.assertTrue(any("frames left out" in line
                                for line in err["stackTrace"]))

    def test_base_exceptions(self) -> None:
        app = ("import asyncio\n"
               "def handler(e, c):\n"
               "    raise {0: KeyboardInterrupt, 1: MemoryError,\n"
               "           2: GeneratorExit, 3: asyncio.CancelledError}[e]\n")
        with Guest(app) as g:
            self.assertEqual(
                [g.fail(i)["errorType"] for i in range(4)],
                ["KeyboardInterrupt", "MemoryError", "GeneratorExit",
                 "CancelledError"])

    def test_memory_is_let_go(self) -> None:
        app = ("import gc, weakref\n"
               "class Big: pass\n"
               "ref = None\n"
               "def handler(e, c):\n"
               "    global ref\n"
               "    if e: return ref() is None\n"
               "    big = Big(); ref = weakref.ref(big)\n"
               "    raise MemoryError\n")
        with Guest(app) as g:
            self.assertEqual(g.fail(0)["errorType"], "MemoryError")
            self.assertIs(g.call(1), True)

    def test_not_json(self) -> None:
        app = ("def handler(e, c):\n"
               "    if e == 0: return {1, 2}\n"
               "    if e == 1: return float('nan')\n"
               "    if e == 2: return [float('inf')]\n"
               "    if e == 3: return {(1,): 2}\n"
               "    a = []; a.append(a)\n"
               "    if e == 4: return a\n"
               "    a = 1\n"
               "    for i in range(100000): a = [a]\n"
               "    return a\n")
        with Guest(app) as g:
            for i in range(6):
                err = g.fail(i)
                self.assertEqual(err["errorType"], "Runtime.MarshalError")
                self.assertIn("'app.handler'", err["errorMessage"])
            self.assertIn("set", g.fail(0)["errorMessage"])

    def test_bad_events(self) -> None:
        with Guest("def handler(event, context): return event\n") as g:
            for event in (b"{", b"\xff\xfe", b"{} x", b" ", b"[" * 200000):
                kind, data = g.raw(event)
                self.assertEqual(kind, "error")
                self.assertEqual(json.loads(data)["errorType"],
                                 "Runtime.UnmarshalError")
            self.assertEqual(g.raw(b' \r\n\t{"a": 1}\n'),
                             ("result", b'{"a": 1}'))

    def test_exit(self) -> None:
        for text, status in (("sys.exit()", 0), ("sys.exit(3)", 3),
                             ("sys.exit('bye')", 1), ("os._exit(4)", 4),
                             ("sys.exit(256 + 5)", 5)):
            with Guest("import os, sys\n"
                       "def handler(e, c):\n"
                       f"    print('said'); {text}\n") as g:
                self.assertEqual(g.end(), status)
                self.assertIn("said", g.text())
                self.assertEqual("bye" in g.text(), "bye" in text)

    # the log

    def test_log_by_line(self) -> None:
        app = ("import sys, time\n"
               "def handler(e, c):\n"
               "    print('one é \\ud800'); sys.stdout.write('two')\n"
               "    if e: time.sleep(600)\n")
        with Guest(app) as g:
            g.call(0)
            self.assertEqual(g.text(), "one é \\ud800\ntwo")
            g.event.send(b"1")
            for _ in range(12000):
                if g.text().count("one") == 2:
                    break
                time.sleep(0.01)
            # a function that is ended while it runs has said its lines
            self.assertTrue(g.text().endswith("twoone é \\ud800\n"))

    def test_broken_streams(self) -> None:
        app = ("import sys\n"
               "def handler(e, c):\n"
               "    if e: sys.stdout = None; sys.stderr = 7\n"
               "    else: sys.stdout.close()\n"
               "    return 1\n")
        with Guest(app) as g:
            self.assertEqual([g.call(1), g.call(1)], [1, 1])
        with Guest(app) as g:
            self.assertEqual(g.call(0), 1)

    def test_segv_has_traceback(self) -> None:
        app = ("import ctypes\n"
               "def handler(e, c): ctypes.string_at(8)\n")
        with Guest(app) as g:
            self.assertEqual(g.end(), -signal.SIGSEGV)
            self.assertIn("Fatal Python error: Segmentation fault", g.text())
            self.assertIn("app.py\", line 2", g.text())

    def test_last_signal_has_tracebacks(self) -> None:
        app = ("import threading, time; there = threading.Event()\n"
               "def wait(): there.set(); time.sleep(600)\n"
               "threading.Thread(target=wait, daemon=True).start()\n"
               "def handler(e, c):\n"
               "    import os; there.wait()\n"
               "    os.kill(os.getpid(), 64)\n"
               "    return 1\n")
        with Guest(app) as g:
            self.assertEqual(g.call(), 1)
            self.assertIn("app.py\", line 2 in wait", g.text())
            self.assertIn("app.py\", line 6 in handler", g.text())

    # after the freeze

    def test_reseeded(self) -> None:
        app = ("import random, tempfile, ssl\n"
               "names = tempfile._get_candidate_names()\n"
               "twin = random.Random()\n"
               "twin.setstate(names.rng.getstate())\n"
               "then = ''.join(twin.choices(names.characters, k=8))\n"
               "def handler(e, c):\n"
               "    random.seed(1) if e else None\n"
               "    return [random.random(), ssl.RAND_bytes(8).hex(),\n"
               "            next(names) == then]\n")
        with Guest(app) as g:
            a, b, c = g.call(1), g.call(1), g.call(0)
            self.assertEqual(a[0], b[0])        # its own seed holds,
            self.assertNotEqual(b[0], c[0])     # for one invocation
            self.assertNotEqual(a[1], b[1])
            self.assertFalse(a[2])

    def test_seed_raises(self) -> None:
        app = ("import random\n"
               "class Once(random.Random):\n"
               "    def seed(self, *args):\n"
               "        if hasattr(self, 'made'): raise ValueError('a\\nb')\n"
               "        super().seed(*args)\n"
               "        self.made = True\n"
               "once, other = Once(), random.Random()\n"
               "then = random.Random()\n"
               "then.setstate(other.getstate())\n"
               "then = then.random()\n"
               "def handler(e, c): return other.random() == then\n")
        with Guest(app) as g:
            self.assertEqual(g.call(), False)
            self.assertEqual(g.text(), "usetl: a generator made in warm-up "
                             "cannot be seeded anew: ValueError: a b\n")

    def test_reset_before_the_fork(self) -> None:
        app = ("import uuid\n"
               "bits = open('/dev/urandom', 'rb')\n"
               "ahead, node = bits.peek(64)[:64], uuid.uuid1().node\n"
               "def handler(e, c):\n"
               "    return [bits.read(64) == ahead,\n"
               "            uuid.uuid1().node == node,\n"
               "            uuid.uuid1() == uuid.uuid1()]\n")
        with Guest(app) as g:
            self.assertEqual(g.call(), [False, False, False])

    def test_numpy_reseeded(self) -> None:
        try:
            import numpy
        except ImportError:
            self.skipTest("numpy is not installed for this interpreter")
        folder = os.path.dirname(os.path.dirname(numpy.__file__))
        app = ("import numpy.random as r\n"
               "def handler(e, c):\n"
               "    if e: r.seed(1)\n"
               "    return r.randint(1 << 30)\n"
               .replace("return r.randint(1 << 30)",
                        "return int(r.randint(1 << 30))"))
        with Guest(app, path=":" + folder) as g:
            a, b, c, d = g.call(1), g.call(1), g.call(0), g.call(0)
            self.assertEqual(a, b)
            self.assertEqual(len({b, c, d}), 3)

    def test_nothing_imported_late(self) -> None:
        app = ("import sys\n"
               "before = None\n"
               "def handler(e, c):\n"
               "    global before\n"
               "    now = set(sys.modules); c.request_id\n"
               "    if before is None: before = now\n"
               "    late = sorted(now - before)\n"
               "    if e: raise KeyError\n"
               "    return late\n")
        with Guest(app) as g:
            g.call(0)
            g.fail(1)
            self.assertEqual(g.call(0), [])

    def test_frozen(self) -> None:
        with Guest("import gc\n"
                   "def handler(e, c): return gc.get_freeze_count()\n") as g:
            self.assertGreater(g.call(), 1000)

    def test_closed_descriptors(self) -> None:
        app = ("import os\n"
               "def handler(e, c):\n"
               "    os.closerange(3, 100)\n")
        with Guest(app) as g:
            self.assertEqual(g.end(), 1)
            self.assertIn("OSError", g.text())

    def test_large_event(self) -> None:
        # not the largest there is: the stand-in's socket would not take it
        with Guest("def handler(event, context): return len(event)\n") as g:
            self.assertEqual(g.call("x" * 150000), 150000)


if __name__ == "__main__":
    tap.main(__name__)
