"""A broken sound system is told in one line; it never ends the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = """
from device.audio.devices import list_devices
from device.errors import DragomanError

try:
    print(len(list_devices()) >= 0)
except DragomanError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        (None, "is missing, or has no device called default"),
        ("", "is missing, or has no device called default"),
        ("pcm.x { type hw card 0 }", "is missing, or has no device called default"),
        ("pcm.!default { type", "has an error in it"),
    ],
)
def test_a_broken_configuration_of_the_sound_system_is_told_and_survived(configuration, says, tmp_path):
    file = tmp_path / "asound.conf"
    if configuration is not None:
        file.write_text(configuration)
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=os.environ | {"ALSA_CONFIG_PATH": str(file)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert str(file) in done.stdout


def test_a_machine_without_sound_cards_has_devices_or_none_and_no_error():
    environment = {name: value for name, value in os.environ.items() if name != "ALSA_CONFIG_PATH"}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True", done.stderr
