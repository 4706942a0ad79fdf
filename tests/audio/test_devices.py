"""Which device a configuration means, and the list that people see."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from device.audio.devices import AudioDevice, Direction, choose, held_devices, list_devices
from device.cli.common import Invocation
from device.cli.devices import devices
from device.errors import DragomanError


def device(index, name, inputs=0, outputs=0, **more):
    return AudioDevice(index=index, name=name, host="ALSA", inputs=inputs, outputs=outputs, rate=48_000, **more)


DEVICES = [
    device(0, "bcm2835 Headphones: - (hw:0,0)", outputs=8),
    device(1, "ReSpeaker 4 Mic Array: USB Audio (hw:1,0)", inputs=6, outputs=2),
    device(2, "pulse", inputs=32, outputs=32),
    device(3, "Mic", inputs=2),
    device(4, "default", inputs=128, outputs=128, default_input=True, default_output=True),
]


def write_card(folder, number, short, *, capture, playback):
    """Write what ALSA's /proc/asound has of a card with one device; the numbers are the subdevices that are free."""
    with (folder / "cards").open("a") as cards:
        cards.write(f" {number} [{short:15}]: USB-Audio - {short} Array\n{'':22}{short} at usb-1\n")
    for kind, stream, free in (("c", "CAPTURE", capture), ("p", "PLAYBACK", playback)):
        place = folder / f"card{number}" / f"pcm0{kind}"
        place.mkdir(parents=True)
        (place / "info").write_text(
            f"card: {number}\ndevice: 0\nsubdevice: 0\nstream: {stream}\nid: USB Audio\nname: USB Audio\n"
            f"subname: subdevice #0\nclass: 0\nsubclass: 0\nsubdevices_count: 1\nsubdevices_avail: {free}\n"
        )


def test_what_somebody_holds_is_named_as_portaudio_names_it(tmp_path):
    assert held_devices(Direction.INPUT, tmp_path) == []
    write_card(tmp_path, 0, "Kitchen", capture=1, playback=0)
    write_card(tmp_path, 1, "ReSpeaker", capture=0, playback=1)
    (held,) = held_devices(Direction.INPUT, tmp_path)
    assert (held.name, held.inputs, held.outputs) == ("ReSpeaker Array: USB Audio (hw:1,0)", 1, 0)
    assert [device.name for device in held_devices(Direction.OUTPUT, tmp_path)] == ["Kitchen Array: USB Audio (hw:0,0)"]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (None, 4), (1, 1), ("1", 1), ("respeaker", 1), ("USB", 1), ("hw:1,0", 1), ("pulse", 2),
        ("mic", 3),  # the whole name goes before a part of another
    ],
)  # fmt: skip
def test_microphone_by_index_name_or_part_of_it(wanted, index):
    assert choose(DEVICES, wanted, Direction.INPUT).index == index


def test_a_device_of_the_other_kind_is_not_meant():
    assert choose(DEVICES, "USB", Direction.OUTPUT).index == 1
    with pytest.raises(DragomanError, match="there is no microphone 'bcm2835'"):
        choose(DEVICES, "bcm2835", Direction.INPUT)
    with pytest.raises(DragomanError, match="there is no microphone 0"):
        choose(DEVICES, 0, Direction.INPUT)


def test_an_unknown_device_is_refused_with_those_there_are():
    with pytest.raises(DragomanError) as failure:
        choose(DEVICES, "umik", Direction.INPUT)
    assert "audio.input" in str(failure.value)
    assert "1 'ReSpeaker 4 Mic Array: USB Audio (hw:1,0)'" in str(failure.value)
    assert "bcm2835" not in str(failure.value)


def test_a_machine_without_sound():
    with pytest.raises(DragomanError, match="there is no speaker"):
        choose([], None, Direction.OUTPUT)


def test_a_card_is_captured_with_its_channels_and_a_sound_server_with_one():
    assert [entry.capture_channels for entry in DEVICES[1:]] == [6, 1, 2, 1]
    assert device(0, "UMA-16: USB (hw:2,0)", inputs=16).capture_channels == 8


def dragoman(*arguments, env=None):
    return subprocess.run(
        [sys.executable, "-m", "device", *arguments], capture_output=True, text=True, env={**os.environ, **(env or {})}
    )


@pytest.mark.e2e
def test_devices_lists_what_there_is(virtual_mic):
    assert {entry.name for entry in list_devices()} == {"virtual_mic", "virtual_speaker", "default"}
    done = dragoman("--set", "audio.input=virtual", "devices")
    assert (done.returncode, done.stderr) == (0, "")
    microphones, speakers = done.stdout.split("Speakers:")
    chosen = [line for line in microphones.splitlines() if line.startswith("*")]
    assert len(chosen) == 1
    assert "virtual_mic" in chosen[0]
    assert "the system's default" in speakers
    rows = [json.loads(line) for line in dragoman("devices", "--json").stdout.splitlines()]
    assert [row["name"] for row in rows if row["chosen_input"]] == ["default"]
    assert {row["index"] for row in rows} == {0, 1, 2}


@pytest.mark.e2e
def test_devices_says_when_the_configured_one_is_missing(virtual_mic):
    done = dragoman("--set", "audio.input=umik", "devices")
    assert done.returncode == 0
    assert "there is no microphone 'umik'" in done.stdout


def test_devices_without_a_sound_system_is_one_line_and_no_failure(monkeypatch):
    monkeypatch.setattr("device.audio.devices.list_devices", list)
    done = CliRunner().invoke(devices, [], obj=Invocation())
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "There is no sound system here: no microphone and no speaker was found.\n"
