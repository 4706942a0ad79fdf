"""The units, judged by systemd's own tools: clean, sandboxed, and with a user of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.sandbox import Unit, allowed_calls

UNITS = Path(__file__).parents[1] / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
SYSTEM = Path("/usr/lib/systemd/system")
MOST_EXPOSED = 1.6
EXPOSED = {"dragoman-finish-update.service": 2.6, "dragoman-kiosk.service": 2.0}
"""What changes the program and restarts its service must be root; Chromium needs namespaces for its own sandbox."""

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)


@pytest.fixture
def root(tmp_path):
    """A file system with systemd's own units, ours, and the programs they start."""
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for path in [*SYSTEM.glob("*.target"), *SYSTEM.glob("*.slice"), *UNITS.glob("*.service"), *UNITS.glob("*.timer")]:
        shutil.copy(path, units)
    for program in ("bin/sh", "usr/bin/dragoman", "usr/lib/dragoman/back-off", "opt/dragoman/good/code/bin/dragoman"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(UNITS / "back-off", tmp_path / program)
    (tmp_path / "etc").mkdir()
    return tmp_path


def test_there_is_nothing_for_systemd_to_complain_about(root):
    verified = run("systemd-analyze", "verify", f"--root={root}", *SERVICES, *TIMERS)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_a_mistake_would_be_noticed(root):
    unit = root / "usr/lib/systemd/system/dragoman.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=60s", "WatchdogSek=60s"))
    assert "WatchdogSek" in run("systemd-analyze", "verify", f"--root={root}", "dragoman.service").stderr


@pytest.mark.parametrize("service", SERVICES)
def test_exposure_is_low(service):
    judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / service)
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)[1])
    assert exposure <= EXPOSED.get(service, MOST_EXPOSED), judged.stdout


def test_the_user_and_its_groups_are_made(root):
    made = run("systemd-sysusers", f"--root={root}", UNITS / "sysusers.d" / "dragoman.conf")
    assert made.returncode == 0, made.stderr
    assert re.search(
        r"^dragoman:.*:/var/lib/dragoman:/usr/sbin/nologin$", (root / "etc/passwd").read_text(), re.MULTILINE
    )
    groups = {line.split(":")[0] for line in (root / "etc/group").read_text().splitlines()} | {"audio"}  # systemd's own
    assert groups >= set(Unit((UNITS / "dragoman.service").read_text()).words("SupplementaryGroups")) | {"dragoman"}


@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to another user")
def test_secrets_live_in_a_folder_that_the_daemon_reads_and_nobody_else(root):
    run("systemd-sysusers", f"--root={root}", UNITS / "sysusers.d" / "dragoman.conf")
    made = run("systemd-tmpfiles", "--create", f"--root={root}", UNITS / "tmpfiles.d" / "dragoman.conf")
    assert made.returncode == 0, made.stderr
    folder = (root / "etc/dragoman").stat()
    gid = int(re.search(r"^dragoman:[^:]*:(\d+):", (root / "etc/group").read_text(), re.MULTILINE)[1])
    assert (folder.st_mode & 0o777, folder.st_uid, folder.st_gid) == (0o750, 0, gid)


def test_sound_may_be_real_time_and_nothing_is_privileged():
    unit = Unit((UNITS / "dragoman.service").read_text())
    calls = allowed_calls(unit)
    assert {"sched_setscheduler", "sched_setaffinity", "ioctl", "mprotect"} <= calls
    assert not {"mount", "ptrace", "bpf", "reboot", "chown", "setuid", "init_module", "add_key"} & calls
    assert unit.all("LimitRTPRIO") == ["20"]
    assert "LG_WD=/run/dragoman" in unit.words("Environment")


class BackOff:
    """The script as the service manager calls it, with a ``sleep`` that writes down for how long."""

    def __init__(self, folder: Path) -> None:
        self.failures = folder / "failures"
        self._slept = folder / "slept"
        sleep = folder / "sleep"
        sleep.write_text(f'#!/bin/sh\necho "$1" >{self._slept}\n')
        sleep.chmod(0o755)
        self._environment = {"RUNTIME_DIRECTORY": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}

    def note(self, result: str) -> None:
        subprocess.run([UNITS / "back-off", "note"], env=self._environment | {"SERVICE_RESULT": result}, check=True)

    def wait(self) -> int:
        self._slept.unlink(missing_ok=True)
        subprocess.run([UNITS / "back-off", "wait"], env=self._environment, check=True, stdout=subprocess.DEVNULL)
        return int(self._slept.read_text()) if self._slept.exists() else 0


@pytest.fixture
def back_off(tmp_path):
    return BackOff(tmp_path)


def test_a_service_that_fails_again_and_again_is_tried_ever_more_slowly(back_off):
    waits = []
    for _ in range(10):
        waits.append(back_off.wait())
        back_off.note("watchdog")
    assert waits == [0, 2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_a_service_that_ended_well_starts_at_once(back_off):
    back_off.note("exit-code")
    back_off.note("success")
    assert back_off.wait() == 0


def test_failures_of_long_ago_are_forgotten(back_off):
    for _ in range(5):
        back_off.note("oom-kill")
    long_ago = back_off.failures.stat().st_mtime - 3600
    os.utime(back_off.failures, (long_ago, long_ago))
    back_off.note("oom-kill")
    assert back_off.wait() == 2
