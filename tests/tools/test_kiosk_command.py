"""``dragoman-kiosk on`` changes the settings that it must, and nothing else of them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import APPLIANCE

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools/package/kiosk"
CHANGING = ("apt-get", "dpkg-query", "systemctl", "systemd-sysusers")
"""What would change this machine; what they are asked for is written down instead."""


class Machine:
    """Where the command runs, with the real ``dragoman``."""

    def __init__(self, folder: Path) -> None:
        self.settings, self.asked = folder / "dragoman.toml", folder / "asked"
        programs = folder / "bin"
        programs.mkdir()
        for name in CHANGING:
            (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{self.asked}\n')
        (programs / "dragoman").write_text(f'#!/bin/sh\ncd {ROOT}\nexec {sys.executable} -m device "$@"\n')
        for program in programs.iterdir():
            program.chmod(0o755)
        self._environment = os.environ | {
            "PATH": f"{programs}:{os.environ['PATH']}", "DRAGOMAN_CONFIG": str(self.settings)
        }  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SCRIPT, *arguments], env=self._environment, capture_output=True, text=True)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


whole = pytest.mark.skipif(not APPLIANCE, reason="makes the suite longer: make test-appliance")
as_root = pytest.mark.skipif(
    os.geteuid() != 0 or Path("/etc/systemd/system/display-manager.service").exists(),
    reason="needs root, and no desktop",
)


@as_root
@pytest.mark.parametrize(
    "before",
    [
        (ROOT / "firmware_config/dragoman.toml").read_text(),
        pytest.param("", marks=whole),
        pytest.param("[mqtt]\nenabled = false\n", marks=whole),
        "[server]\nenabled = false\nport = 5001\n\n[speech]\nenabled = false\n",
        pytest.param("#[server]\n#port = 1\n\n[server]\nport = 5001\n[mqtt]\nenabled = false\n", marks=whole),
    ],
    ids=["as installed", "empty", "without the table", "switched off", "without the key"],
)
def test_on_serves_the_page_and_leaves_all_other_settings(machine, before):
    machine.settings.write_text(before)
    done = machine.run("on")
    assert (done.returncode, done.stderr) == (0, "")
    expected = tomllib.loads(before)
    expected["server"] = {**expected.get("server", {}), "enabled": True}
    assert tomllib.loads(machine.settings.read_text()) == expected
    assert machine.settings.with_name("dragoman.toml.before-kiosk").read_text() == before
    asked = machine.asked.read_text()
    assert "apt-get -y" in asked
    assert "systemctl --quiet enable seatd.service dragoman-kiosk.service" in asked

    once = machine.settings.read_text()
    assert machine.run("on").returncode == 0
    assert machine.settings.read_text() == once


@as_root
@whole
def test_settings_that_a_program_cannot_change_are_left_and_told(machine):
    before = "server = { port = 5001 }\n"
    machine.settings.write_text(before)
    done = machine.run("on")
    assert done.returncode == 1
    assert done.stderr.startswith("dragoman-kiosk: set server.enabled = true in ")
    assert machine.settings.read_text() == before
    assert "enable" not in machine.asked.read_text()


@pytest.mark.parametrize("arguments", [(), ("maybe",), ("on", "off")])
def test_wrong_use_shows_the_right_one(machine, arguments):
    done = machine.run(*arguments)
    assert done.returncode == 2
    assert "sudo dragoman-kiosk on" in done.stderr


def test_help_is_what_it_can_do(machine):
    assert machine.run("--help").stdout.count("dragoman-kiosk ") == 3
