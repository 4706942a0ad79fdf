"""What people see, hear and turn on a running device."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from device.audio.array.geometry import load_geometry
from device.audio.files import read_blocks
from device.controls.pins import mock_factory, mock_press, mock_release
from device.events import SAMPLE_RATE
from tests.audio.pulse import until
from tests.controls.test_pointer import frames, pixels
from tests.e2e.test_daemon import fox, state, wait_ready, words
from tools.simulate_room import Room, simulate

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(240)]


def press(pin):
    mock_press(pin)
    mock_release(pin)


@pytest.fixture
def furnished(configuration):
    """A device with an LED, a panel and a mute output on mock pins."""
    configuration["leds"] = {"kind": "plain", "pins": [22]}
    configuration["panel"] = {"volume_down": 20, "language": 21, "mute": 12, "volume_step": 0.1, "languages": ["pt"]}
    configuration["controls"] |= {"mute_pin": 26, "debounce": 0}
    return configuration


def test_mute_by_hand_is_published_lit_and_readable_by_hardware(start_here, furnished, listener):
    start_here()
    wait_ready(listener)
    pin = mock_factory().pin(26)
    press(12)
    state(listener, "muted")
    until(lambda: pin.state == 1)
    listener.publish("dragoman/bench/set/mute", "false")
    until(lambda: pin.state == 0)


def test_volume_and_language_change_by_hand(start_here, furnished, listener):
    daemon = start_here()
    wait_ready(listener)
    press(20)
    listener.wait(lambda ms: any(m.topic.endswith("/state") and m.json["volume"] == 0.9 for m in ms))
    before = daemon.interpreter
    press(21)
    until(lambda: daemon.interpreter is not before)
    assert daemon.settings.directions[0].targets == ("pt",)


def test_light_is_steady_while_somebody_is_listened_to(start_here, furnished, listener, virtual_mic, recordings):
    start_here()
    wait_ready(listener)
    led = mock_factory().pin(22)
    mock_press(17)
    state(listener, "listening")
    until(lambda: led.state == 1)
    changes = len(led.states)
    virtual_mic.play(fox(recordings)[0])
    assert len(led.states) == changes
    mock_release(17)
    state(listener, "idle")


def test_the_ring_of_lights_points_at_whoever_talks(start_here, configuration, listener, recordings, tmp_path):
    """Two people round a simulated ReSpeaker 4-Mic Array, one after the other: from sound to light."""
    path, said = fox(recordings)
    geometry, speech = load_geometry("respeaker-4mic"), np.concatenate(list(read_blocks(path)))
    pause = np.full((3 * SAMPLE_RATE, 4), 0.0, np.float32)
    heard = [simulate(geometry, speech, Room(0.2, talker_azimuth=azimuth)).mixture for azimuth in (120.0, 240.0)]
    soundfile.write(
        tmp_path / "room.wav", np.concatenate([pause[:SAMPLE_RATE], heard[0], pause, heard[1], pause]), SAMPLE_RATE
    )
    ring = tmp_path / "spidev"
    ring.touch()
    configuration["audio"] = {"input": f"file:{tmp_path / 'room.wav'}", "output": "null"}
    configuration["frontend"] = {"array": {"geometry": "respeaker-4mic"}}
    configuration["leds"] = {"kind": "apa102", "count": 12, "spi": str(ring)}
    configuration["directions"] = [{"source": "en", "targets": []}]
    configuration["controls"]["trigger"] = "open"
    start_here()
    first, second = (message.json for message in listener.wait_on("transcript/final", count=2))
    assert words(first["text"])[-5:] == words(second["text"])[-5:] == words(said)[-5:]
    assert first["azimuth"] == pytest.approx(120, abs=10)
    assert second["azimuth"] == pytest.approx(240, abs=10)
    pointed = []
    for frame in map(pixels, frames(ring.read_bytes(), 12)):
        level = [sum(colour) for colour in frame]
        if max(level) - sorted(level)[-2] > 300 and level.index(max(level)) not in pointed[-1:]:
            pointed.append(level.index(max(level)))
    # The first light of this board is at 30 degrees, and the next ones follow clockwise.
    assert {9, 5} <= set(pointed)
    assert pointed.index(9) < pointed.index(5)


def test_lights_and_display_that_are_missing_are_a_problem_and_the_device_works(
    start_here, configuration, listener, tmp_path, virtual_mic, recordings
):
    configuration["leds"] = {"kind": "apa102", "spi": str(tmp_path / "none")}
    path, said = fox(recordings)
    start_here()
    wait_ready(listener)
    assert "dtparam=spi=on" in listener.wait_on("alert/leds")[0].json["text"]
    mock_press(17)
    state(listener, "listening")
    virtual_mic.play(path)
    mock_release(17)
    assert words(listener.wait_on("transcript/final")[0].json["text"])[-5:] == words(said)[-5:]


def test_earcons_are_heard_and_do_not_make_the_device_deaf(
    start_here, configuration, listener, virtual_mic, recordings, tmp_path
):
    configuration["speech"] = {"earcons": True}
    configuration["directions"] = [{"source": "en", "targets": []}]
    path, said = fox(recordings)
    heard = tmp_path / "spoken.wav"
    daemon = start_here()
    wait_ready(listener)
    recorder = virtual_mic.record_speaker(heard)
    mock_press(17)
    state(listener, "listening")
    assert not daemon.voice.deafens
    virtual_mic.play(path)
    mock_release(17)
    final = listener.wait_on("transcript/final")[0].json
    until(lambda: not daemon.voice.player.playing)
    virtual_mic.finish(recorder)
    assert words(final["text"])[-8:] == words(said)[-8:]
    assert "speaking" not in [m.json["state"] for m in listener.messages if m.topic.endswith("/state")]
    spoken = np.concatenate(list(read_blocks(heard)))
    assert np.abs(spoken).max() > 0.05
