"""functions_test.py - t/functions natively, under the real boot.py: Linux is
the oracle of what t/tNNNN-*.sh expect of the same functions in a VM."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

import boot_test    # noqa: E402
import tap          # noqa: E402

FUNCTIONS = os.path.join(HERE, "../functions")


def guest(name: str) -> boot_test.Guest:
    folder = os.path.join(FUNCTIONS, name)
    with open(os.path.join(folder, "app.py")) as f:
        text = f.read()
    return boot_test.Guest(text)


def has(*modules: str) -> bool:
    return all(importlib.util.find_spec(m) for m in modules)


class Case(unittest.TestCase):
    def test_echo(self) -> None:
        with guest("echo") as g:
            self.assertEqual(g.call({"a": [1]}), {"a": [1]})

    def test_json(self) -> None:
        with open(os.path.join(FUNCTIONS, "json/event.json")) as f:
            event = json.load(f)
        with guest("json") as g:
            self.assertEqual(g.call(event), {
                "id": 7, "user": "ADA", "total": 77.75, "h": 471952060,
                "note": "ynam fo tsrif"})

    def test_log(self) -> None:
        with guest("log") as g:
            self.assertEqual(g.call({"lines": 2})["name"], "test")
            for text in ("imported\n", "printed\n", "to stderr\n",
                         "INFO:root:logged\n", "written to 2\n", "é ü €\n",
                         "line 1 \n", "without a line end"):
                self.assertIn(text, g.text())

    def test_stdlib(self) -> None:
        if not has("bz2", "lzma", "sqlite3", "ssl", "ctypes"):
            self.skipTest("this interpreter lacks a part of the library")
        with guest("stdlib") as g:
            got = g.call({})
            self.assertEqual(len(got), 15)
            self.assertEqual(got["subprocess"], 0)
            self.assertEqual(got["sqlite"][:2], [1000, 998001])

    def test_threads(self) -> None:
        with guest("threads") as g:
            self.assertEqual(g.call({}), {
                "woke": 5, "spun_between": True, "all_spun": True,
                "lock_timed_out": True, "left": 1})

    def test_files(self) -> None:
        with guest("files") as g:
            self.assertEqual(len(g.call({})), 10)

    def test_hooks(self) -> None:
        with guest("hooks") as g:
            a, b = g.call({}), g.call({})
            self.assertEqual((a["ready"], a["clone"], a["calls"]), (1, 1, 1))
            self.assertEqual((b["ready"], b["clone"], b["calls"]), (1, 2, 2))
            self.assertEqual(a["frozen"], b["frozen"])
            self.assertEqual(len({a["drawn"], b["drawn"], a["random"],
                                  b["random"], a["frozen"]}), 5)
            self.assertNotEqual(a["id"], b["id"])

    def test_leak_is_found(self) -> None:
        """Without rollback the roads do show what was left: the checks of
        t0400 can fail."""
        marks = ["%032x" % (i * 0x123456789abcdef) for i in (1, 2)]
        with guest("leak") as g:
            first = g.call({"mark": marks[0], "leave": True})
            second = g.call({"mark": marks[1]})
            self.assertEqual(first["seen"], [])
            self.assertEqual(first["tried"], 36)
            # five can only be seen in the guest, one wants AVX, and random
            # is reseeded
            missing = {"freed_blocks", "gs_base", "fresh_mapping",
                       "free_heap", "shared_pages", "vector_register"}
            self.assertGreaterEqual(len(second["seen"]), 35 - len(missing))

    def test_hostile_errors(self) -> None:
        with guest("hostile") as g:
            for do, kind in (("raise", "ValueError"),
                             ("chain", "RuntimeError"),
                             ("notjson", "Runtime.MarshalError"),
                             ("nan", "Runtime.MarshalError"),
                             ("recursion", "RecursionError")):
                self.assertEqual(g.fail({"do": do})["errorType"], kind)
            self.assertEqual(g.call({"do": "nothing"}), {"fine": True})

    def test_hostile_ends(self) -> None:
        for event, status in (({"do": "exit"}, 3), ({"do": "sysexit"}, 4),
                              ({"do": "segv"}, -11), ({"do": "abort"}, -6),
                              ({"do": "kill"}, -9),
                              ({"do": "code", "code": "f4"}, -11)):
            with guest("hostile") as g:
                self.assertEqual(g.end(event), status)

    def test_boot_failures(self) -> None:
        for name, handler, text in (
                ("nohandler", "app.handler", "no attribute 'handler'"),
                ("badmodule", "nosuch.handler", "no module named 'nosuch'"),
                ("syntaxerror", "app.handler", "SyntaxError"),
                ("importerror", "app.handler",
                 "No module named 'a_module_that_is_nowhere'")):
            with open(os.path.join(FUNCTIONS, name, "app.py")) as f:
                source = f.read()
            with boot_test.Guest(source, handler) as g:
                self.assertEqual(g.proc.wait(boot_test.WAIT), 1)
                self.assertIn(text, g.text())


if __name__ == "__main__":
    tap.main(__name__)
