"""suite - runs modules of CPython's own test suite (package test).

The event's "names" are modules; the answer says for each test that ran "ok",
"skip", or the last line of what went wrong.  What wants another process is
skipped wherever this runs, so that answers compare.
"""
import faulthandler
import os
import sys
import unittest


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.rows = {}

    def startTest(self, test):
        super().startTest(test)
        # a test that hangs ends the invocation, and is named
        print("+", test.id(), file=sys.stderr, flush=True)

    def put(self, test, row):
        self.rows[test.id()] = row

    def wrong(self, test, err):
        text = self._exc_info_to_string(err, test).strip()
        self.put(test, text.splitlines()[-1])

    def addSuccess(self, test):
        self.rows.setdefault(test.id(), "ok")

    def addSkip(self, test, reason):
        self.put(test, "skip")

    def addExpectedFailure(self, test, err):
        self.put(test, "ok")

    def addFailure(self, test, err):
        self.wrong(test, err)

    def addError(self, test, err):
        self.wrong(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.wrong(test, err)


def no_process(*args, **kwargs):
    raise unittest.SkipTest("wants another process")


def handler(event, context=None):
    import _posixsubprocess
    import subprocess

    from test import support

    for module, names in ((os, ("fork", "posix_spawn", "posix_spawnp")),
                          (_posixsubprocess, ("fork_exec",)),
                          (subprocess, ("_fork_exec",))):
        for name in names:
            if hasattr(module, name):
                setattr(module, name, no_process)
    support.use_resources = []
    support.verbose = 0
    faulthandler.dump_traceback_later(50, exit=True)
    result = Result()
    for name in event["names"]:
        suite = unittest.defaultTestLoader.loadTestsFromName("test." + name)
        suite.run(result)
    faulthandler.cancel_dump_traceback_later()
    return result.rows
