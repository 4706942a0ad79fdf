from __future__ import annotations

import numpy as np
import pytest

from device.audio.array.geometry import available, linear, load_geometry, parse_geometry
from device.errors import DragomanError

NAMES = list(available())


def test_the_promised_arrays_are_there():
    assert {"respeaker-2mic", "respeaker-4mic", "respeaker-usb-4mic", "respeaker-6mic", "uma-8"} <= set(NAMES)
    assert sum(name.startswith("i2s-2mic") for name in NAMES) >= 1
    assert sum(name.startswith("i2s-4mic") for name in NAMES) >= 1


@pytest.mark.parametrize("name", NAMES)
def test_every_array_states_places_channels_and_source(name):
    geometry = load_geometry(name)
    assert geometry.source not in {"", "unknown"}
    assert geometry.size >= 2
    assert geometry.positions.shape == (geometry.size, 3)
    assert 0.03 < geometry.distances.max() < 0.2
    assert len({*geometry.channels, *geometry.loopback}) == geometry.size + len(geometry.loopback)
    assert max(*geometry.channels, *geometry.loopback) < geometry.input_channels


def test_the_usb_array_takes_its_raw_channels_and_its_loopback():
    geometry = load_geometry("respeaker-usb-4mic")
    assert geometry.channels == (1, 2, 3, 4)
    assert geometry.loopback == (5,)
    assert geometry.input_channels == 6


def test_sound_from_the_front_reaches_the_front_microphone_first():
    geometry = linear("pair", 0.1, 2)
    delays = geometry.delays(np.array([0.0, 90.0, 180.0]))
    assert delays[0, 1] > 0 > delays[0, 0]
    assert delays[1] == pytest.approx([0, 0], abs=1e-12)
    assert delays[2] == pytest.approx(-delays[0])


def test_only_a_row_of_microphones_has_an_axis():
    assert linear("row", 0.03, 4).axis == pytest.approx(0)
    assert load_geometry("respeaker-4mic").axis is None


def test_a_file_of_ones_own_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "channels = 2\n[[microphones]]\nchannel = 0\nposition = [0.0, 0, 0]\n"
        "[[microphones]]\nchannel = 1\nposition = [0.05, 0, 0]\n"
    )
    assert load_geometry(path).size == 2
    assert load_geometry(str(path)).name == "mine"


MICROPHONE = {"channel": 0, "position": [0.0, 0.0, 0.0]}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "at least one"),
        ({"microphones": [{"channel": 0}]}, "channel and a position"),
        ({"microphones": [{"channel": -1, "position": [0, 0, 0]}]}, "number from 0"),
        ({"microphones": [{"channel": 0, "position": [0, 0]}]}, "three numbers"),
        ({"microphones": [{"channel": 0, "position": [32.0, 0, 0]}]}, "not in metres"),
        ({"microphones": [MICROPHONE, MICROPHONE]}, "used twice"),
        ({"microphones": [MICROPHONE], "loopback": [0]}, "used twice"),
        ({"microphones": [MICROPHONE], "channels": 0}, "above the highest"),
        ({"microphones": [MICROPHONE], "colour": "red"}, "'colour'"),
    ],
)
def test_a_wrong_geometry_is_refused_with_what_is_wrong(table, says):
    with pytest.raises(DragomanError, match=says):
        parse_geometry(table, "mine", "mine.toml")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(DragomanError, match="uma-8"):
        load_geometry("umma-8")
