#!/usr/bin/env python3
"""Counts the tests behind meson's testlog.json: `tally.py LOG...` prints what failed and, last, `N passed, N failed`.

Check's programs and our own runners hold many tests each and say how many; any other program is one test. A program that did not end well counts as at least one failure.
"""
import json
import re
import sys

CHECK = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.M)
RUNNER = re.compile(r"^(\d+) passed, (\d+) failed", re.M)


def count(said, well):
    """(passed, failed) of one program by what it printed and whether it ended well."""
    passed = failed = 0
    for checks, failures, errors in CHECK.findall(said):
        passed += int(checks) - int(failures) - int(errors)
        failed += int(failures) + int(errors)
    if not passed and not failed:
        runs = RUNNER.findall(said)
        if runs:
            passed, failed = map(int, runs[-1])
        elif well:
            passed = 1
    if not well and not failed:
        failed = 1
    return passed, failed


def main():
    passed = failed = 0
    for log in sys.argv[1:]:
        with open(log, encoding="utf-8") as f:
            rows = [json.loads(line) for line in f if line.strip()]
        for row in rows:
            well = row["result"] in ("OK", "EXPECTEDFAIL")
            said = row.get("stdout", "") or ""
            if row["result"] == "SKIP":
                print("%s: %s" % (row["name"], said.strip() or "skipped"))
                continue
            more = count(said, well)
            passed, failed = passed + more[0], failed + more[1]
            if not well or more[1]:
                print(f"--- {row['name']}: {row['result']}\n{said}{row.get('stderr', '') or ''}")
    print(f"{passed} passed, {failed} failed")


def self_test():
    for said, well, expected in (
        ("Running suite(s): a\n50%: Checks: 4, Failures: 1, Errors: 1\n", False, (2, 2)),
        ("100%: Checks: 3, Failures: 0, Errors: 0\n100%: Checks: 2, Failures: 0, Errors: 0\n", True, (5, 0)),
        ("100%: Checks: 3, Failures: 0, Errors: 0\n", False, (3, 1)),
        ("ok a\n7 passed, 2 failed\n", False, (7, 2)),
        ("anything", True, (1, 0)),
        ("", False, (0, 1)),
    ):
        if count(said, well) != expected:
            sys.exit(f"self-test: {said!r} counts as {count(said, well)}, not {expected}")


if sys.argv[1:] == ["--self-test"]:
    self_test()
else:
    main()
