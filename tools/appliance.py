"""Does to the device what a year does, and writes down what it survived: ``make test-appliance``.

Runs the tests of everything that an appliance promises (units, boards, pins, people, broker, faults), with those that
take minutes, and then measures what it costs to leave it switched on. ``build/appliance.json`` has the table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bench_process import Stage, idle_core, ready_seconds

BUILD = Path("build")
TESTS = (
    "tests/e2e/test_daemon.py",
    "tests/e2e/test_faults.py",
    "tests/e2e/test_home_assistant.py",
    "tests/e2e/test_people.py",
    "tests/e2e/test_sandbox.py",
    "tests/e2e/kiosk",
    "tests/controls",
    "tests/mqtt",
    "tests/update",
    "tests/cli/test_doctor.py",
    "tests/server/test_kiosk_screen.py",
    "tests/test_systemd.py",
    "tests/test_watchdog.py",
    "tests/test_diagnostics.py",
    "tests/tools/test_configure_board.py",
    "tests/tools/test_install.py",
    "tests/tools/test_kiosk_command.py",
    "tests/tools/test_image.py",
    "tests/tools/test_boot.py",
)
FAULTS = {
    "kill -9 in every state": ("test_killed_in_any_state_it_comes_back_and_no_final_is_lost",),
    "kill -9 of device and broker under load": (
        "test_no_final_is_lost_or_out_of_order_when_the_device_is_killed",
        "test_no_final_is_lost_or_out_of_order_when_the_broker_is_killed",
        "test_no_final_is_lost_when_device_and_broker_are_both_killed",
    ),
    "broker gone for an hour, 10,000 finals waiting": (
        "test_ten_thousand_finals_wait_an_hour_for_the_broker_and_come_in_order",
    ),
    "disk full": ("test_a_full_disk_is_told_and_what_is_said_still_arrives",),
    "state folder read-only": ("test_a_state_folder_that_cannot_be_written_is_told_and_the_device_works",),
    "corrupt outbox": ("test_a_damaged_outbox_is_set_aside_and_reported",),
    "microphone unplugged and back": ("test_a_microphone_that_vanishes_is_reported_and_found_again",),
    "clock set back": ("test_a_clock_set_back_by_a_day_loses_nothing_and_keeps_the_order",),
    "out-of-memory kill": ("test_out_of_memory_kills_the_daemon_and_its_finals_survive",),
    "200 button presses in a second": ("test_two_hundred_presses_in_a_second_leave_a_device_that_works",),
    "model file damaged while running": ("test_models_damaged_while_it_runs_harm_only_the_next_start",),
    "two daemons at once": ("test_a_second_daemon_is_refused_in_one_line",),
    "two devices of one name": ("test_two_devices_of_one_name_are_told_so_and_do_not_fight",),
    "SIGTERM in mid-sentence": ("test_a_sentence_in_progress_is_finished_when_the_daemon_is_told_to_stop",),
    "SIGTERM while starting": ("test_told_to_stop_while_it_starts_it_does_so_at_once",),
    "broken sound configuration": ("test_a_broken_sound_configuration_is_told_and_mended_without_a_restart",),
    "stuck button": ("test_a_stuck_button_is_cut_at_the_longest_turn_and_reported",),
    "power cut while finals wait": ("test_finals_that_wait_survive_a_power_cut_and_reach_the_broker",),
    "power cuts while an update is installed": (
        "test_power_cuts_while_an_update_is_installed_leave_a_version_that_works",
    ),
    "daemon under its unit's sandbox": ("test_the_daemon_hears_translates_speaks_and_is_fed_under_its_unit",),
}
"""What goes wrong in a year, and the tests that do it."""
IDLE_SECONDS = 60.0
REPEATS = 3
HOUR = 3600


@dataclass(frozen=True)
class Outcome:
    """What became of one test."""

    result: str
    """passed, failed or skipped."""
    properties: Mapping[str, str]


def outcomes(report: Path) -> dict[str, list[Outcome]]:
    """Read a JUnit report: the outcomes of each test function, whatever its parameters."""
    found: dict[str, list[Outcome]] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        name = str(case.get("name")).split("[")[0]
        failed = case.find("failure") is not None or case.find("error") is not None
        result = "failed" if failed else "skipped" if case.find("skipped") is not None else "passed"
        properties = {str(p.get("name")): str(p.get("value")) for p in case.iter("property")}
        found.setdefault(name, []).append(Outcome(result, properties))
    return found


def survived(found: Mapping[str, Sequence[Outcome]]) -> dict[str, str]:
    """Return, for every fault, whether the device survived it: yes, no, or not tried."""
    table = {}
    for fault, tests in FAULTS.items():
        results = {outcome.result for test in tests for outcome in found.get(test, [])}
        missing = any(test not in found for test in tests)
        table[fault] = "no" if "failed" in results else "not tried" if missing or "skipped" in results else "yes"
    return table


def lost(found: Mapping[str, Sequence[Outcome]]) -> int | None:
    """Return how many messages were lost in all tests that count them; None where none did."""
    counts = [int(o.properties["lost"]) for results in found.values() for o in results if "lost" in o.properties]
    return sum(counts) if counts else None


def exposure(unit: Path) -> float | None:
    """Return systemd's own judgement of a unit; None where there is no systemd."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    try:
        judged = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return None
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged)
    return float(level[1]) if level else None


def tests(arguments: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """Run the tests; return pytest's exit status, and what is told of them."""
    report = BUILD / "appliance.xml"
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *TESTS, f"--junitxml={report}", *arguments],
        env=os.environ | {"DRAGOMAN_TEST_APPLIANCE": "1"}, check=False,
    )  # fmt: skip
    found = outcomes(report)
    results = [outcome.result for listed in found.values() for outcome in listed]
    table = survived(found)
    return ended.returncode, {
        "tests": {result: results.count(result) for result in ("passed", "failed", "skipped")},
        "took_s": round(time.monotonic() - began),
        "faults": table,
        "survived": sum(answer == "yes" for answer in table.values()),
        "messages_lost": lost(found),
    }


def costs() -> dict[str, Any]:
    """Measure what it costs to leave the device on; a busy machine makes its start slow."""
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage:
        ready, idle = ready_seconds(stage, REPEATS), idle_core(stage, IDLE_SECONDS)
    return {
        "exposure": exposure(Path("systemd/dragoman.service")),
        "ready_s": round(ready, 2),
        "idle_processor_s_per_hour": round(idle * HOUR, 1),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> int:
    """Test, measure and report; returns 1 when something failed."""
    parser = argparse.ArgumentParser(prog="appliance", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="only measure again what it costs, on a quiet machine")
    parser.add_argument("pytest", nargs="*", help="further arguments for pytest, after --")
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    written = BUILD / "appliance.json"
    if options.measure:
        status, figures = 0, json.loads(written.read_text(encoding="utf-8"))
    else:
        status, figures = tests(options.pytest)
    figures |= costs()
    written.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for fault, answer in figures["faults"].items():
        print(f"{fault:48} {answer}")
    print(f"faults survived: {figures['survived']} of {len(FAULTS)}; messages lost: {figures['messages_lost']}")
    idling = f"idle {figures['idle_processor_s_per_hour']:.0f} processor seconds an hour"
    print(f"exposure {figures['exposure']}; start to ready {figures['ready_s']:.1f} s; {idling}")
    return status or int("no" in figures["faults"].values())


if __name__ == "__main__":
    sys.exit(main())
