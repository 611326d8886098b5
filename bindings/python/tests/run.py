#!/usr/bin/env python3
"""Runs the binding's tests: run.py [pattern]. The last line is `N passed, N failed`; the exit code is 1 when anything failed, or nothing ran."""

import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class Report(unittest.TestResult):
    """One line a test."""

    def __init__(self):
        super().__init__()
        self.passed = self.failed = 0

    def startTest(self, test):
        super().startTest(test)
        self.begun, self.bad = time.monotonic(), False

    def line(self, word, test):
        print("%-4s %s (%.2f s)" % (word, test.id(), time.monotonic() - self.begun), flush=True)

    def addSuccess(self, test):
        if not self.bad:
            self.passed += 1
            self.line("ok", test)

    def addFailure(self, test, err):
        if not self.bad:
            self.failed += 1
            self.line("FAIL", test)
        self.bad = True
        print(self._exc_info_to_string(err, test).rstrip(), flush=True)

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            print("     case: %s" % subtest._subDescription())
            self.addFailure(test, err)

    def addSkip(self, test, reason):
        # Nothing here may be left out for lack of something: scripts/deps installs it.
        self.begun = getattr(self, "begun", time.monotonic())
        self.failed += 1
        self.line("FAIL", test)
        print("     left out: %s" % reason)


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    sys.path[:0] = [str(HERE)]
    loader = unittest.TestLoader()
    chosen = unittest.TestSuite(test for test in flatten(loader.discover(str(HERE), "test_*.py", str(HERE))) if pattern in test.id())
    report = Report()
    if loader.errors or not chosen.countTestCases():
        print("\n".join(loader.errors) or "no test matches %r" % pattern)
        report.failed = 1
    chosen.run(report)
    print("%d passed, %d failed" % (report.passed, report.failed))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
