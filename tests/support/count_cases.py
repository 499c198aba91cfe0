"""Counts the test cases of one CTest run: count_cases.py REPORTS, a folder with CTest's ctest.xml and the JSON report of
each program that has cases of its own (GoogleTest's, or the harness's of tests/integration/real). Prints "PASSED FAILED"
and then the names of what failed, one a line. A program that failed without saying which case counts as one.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree


def cases_of(report):
    """(passed, names of failed) of one program's report."""
    failed, skipped = [], 0
    for suite in report.get("testsuites", []):
        for case in suite.get("testsuite", []):
            skipped += case.get("result") in ("SKIPPED", "SUPPRESSED")
            if case.get("failures"):
                failed.append(f'{suite["name"]}.{case["name"]}')
    failed += report.get("failed_cases", [])
    return report["tests"] - skipped - len(failed), failed


def count(reports):
    passed, failed = 0, []
    for test in xml.etree.ElementTree.parse(reports / "ctest.xml").getroot().iter("testcase"):
        name, ran_well = test.get("name"), test.get("status") == "run"
        file = reports / f"{name}.json"
        try:
            good, bad = cases_of(json.loads(file.read_text()))
        except (OSError, ValueError):  # a test without cases, or one that died before it could say
            good, bad = (1, []) if ran_well else (0, [])
        if not ran_well and not bad:
            bad = ["as a whole"]
        passed += good
        failed += [f"{name}: {case}" for case in bad]
    return passed, failed


def main():
    passed, failed = count(pathlib.Path(sys.argv[1]))
    if not passed and not failed:
        sys.exit("no test ran")
    print(f"{passed} {len(failed)}", *failed, sep="\n")


if __name__ == "__main__":
    main()
