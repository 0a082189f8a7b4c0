"""tap.py - unittest, reported as TAP."""

from __future__ import annotations

import sys
import unittest


class Result(unittest.TestResult):
    """Prints one TAP line for each test as it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def line(self, ok: bool, test: unittest.TestCase, more: str = "") -> None:
        self.count += 1
        name = test.id().partition(".")[2]
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}{more}",
              flush=True)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.line(True, test)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self.line(True, test, f" # SKIP {reason}")

    def failed(self, test: unittest.TestCase, kind: list) -> None:
        self.line(False, test)
        for text in kind[-1][1].splitlines():
            print("# " + text)

    def addFailure(self, test, err) -> None:        # type: ignore[override]
        super().addFailure(test, err)
        self.failed(test, self.failures)

    def addError(self, test, err) -> None:          # type: ignore[override]
        super().addError(test, err)
        self.failed(test, self.errors)


def main(name: str) -> None:
    """Run a module's tests; the exit status says whether all passed."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[name])
    print(f"1..{suite.countTestCases()}", flush=True)
    result = Result()
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
