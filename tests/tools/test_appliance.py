"""The appliance's report says what was tried and what became of it."""

import re
from pathlib import Path

import pytest

from tools.appliance import FAULTS, TESTS, lost, outcomes, survived

ROOT = Path(__file__).parents[2]
REPORT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="a" name="test_whole"><properties><property name="lost" value="2"/></properties></testcase>
<testcase classname="a" name="test_half[one]"/>
<testcase classname="a" name="test_half[two]"><failure>no</failure></testcase>
<testcase classname="a" name="test_left_out"><skipped/></testcase>
</testsuite></testsuites>"""


def test_every_fault_is_done_by_tests_that_are_run():
    sources = [
        path for place in TESTS for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
    ]
    defined = {name for path in sources for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
    assert {test for tests in FAULTS.values() for test in tests} <= defined


@pytest.mark.parametrize(
    ("tests", "answer"),
    [
        (("test_whole",), "yes"),
        (("test_whole", "test_half"), "no"),
        (("test_whole", "test_left_out"), "not tried"),
        (("test_whole", "test_forgotten"), "not tried"),
    ],
)
def test_a_fault_is_survived_where_all_its_tests_passed(tests, answer, tmp_path, monkeypatch):
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    monkeypatch.setattr("tools.appliance.FAULTS", {"it": tests})
    found = outcomes(report)
    assert survived(found) == {"it": answer}
    assert lost(found) == 2


def test_what_nobody_counted_is_not_called_none(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text("<testsuites/>")
    assert lost(outcomes(report)) is None
