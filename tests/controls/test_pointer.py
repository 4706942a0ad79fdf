"""A ring of lights points at the talker, goes round rather than jumping, and shows nothing that is not known."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.audio.array.geometry import Ring, linear, load_geometry
from device.audio.files import read_blocks
from device.audio.frontend import Frontend
from device.config import LedSettings, Pins
from device.config.frontend import FrontendSettings
from device.controls.leds import FRAME, Leds
from device.controls.patterns import OFF, PATTERNS
from device.controls.pointer import HOLD, Pointer, ring
from device.events import State
from tests.audio.pulse import until

LISTENING = [PATTERNS[State.LISTENING].colour] * 12
AZIMUTHS = tuple(30.0 * index for index in range(12))


def brightest(frame):
    """Return the light that shines most, and by how much more than the next."""
    level = [sum(colour) for colour in frame]
    first, second = np.argsort(level)[::-1][:2]
    return int(first), level[first] - level[second]


def settle(pointer, azimuth, start, confidence=0.8, seconds=2.0):
    """Let somebody talk from a direction; return the frames, and when it was over."""
    frames = []
    for number in range(round(seconds / FRAME)):
        time = start + number * FRAME
        pointer.point(azimuth + 0.01 * (number % 2), confidence, time)
        frames.append(pointer.over(LISTENING, time))
    return frames, start + seconds


@given(st.floats(0, 359.9))
def test_the_light_nearest_to_the_talker_shines_alone(azimuth):
    frames, _ = settle(Pointer(AZIMUTHS), azimuth, 100.0)
    light, lead = brightest(frames[-1])
    assert abs((AZIMUTHS[light] - azimuth + 180) % 360 - 180) <= 15.1
    assert lead > 1.5
    assert len({colour for index, colour in enumerate(frames[-1]) if index != light}) == 1


@given(st.floats(0, 359), st.floats(0, 359))
def test_it_goes_round_by_the_shorter_way_and_never_jumps(one, other):
    pointer = Pointer(AZIMUTHS)
    _, time = settle(pointer, one, 0.0)
    frames, _ = settle(pointer, other, time)
    lights = [brightest(frame)[0] for frame in frames]
    steps = [(b - a + 6) % 12 - 6 for a, b in itertools.pairwise(lights)]
    assert set(steps) <= {-1, 0, 1}
    assert abs(sum(steps)) == sum(map(abs, steps)) <= 6
    before = frames[0]
    for frame in frames[1:]:
        assert all(
            abs(a - b) < 0.9 for old, new in zip(before, frame, strict=True) for a, b in zip(old, new, strict=True)
        )
        before = frame


def test_a_talker_between_two_lights_does_not_make_them_flicker():
    pointer, lights = Pointer(AZIMUTHS), set()
    for number in range(200):
        time = number * FRAME
        pointer.point(45 + 4 * np.sin(number), 0.8, time)
        light, lead = brightest(pointer.over(LISTENING, time))
        if lead > 0:
            lights.add(light)
    assert len(lights) == 1


def test_nothing_points_where_the_direction_is_not_sure_or_nobody_talks():
    pointer = Pointer(AZIMUTHS)
    pointer.point(90, 0.05, 0.0)
    pointer.point(None, 0.0, 0.1)
    assert pointer.resting
    _, time = settle(pointer, 90, 1.0)
    pointer.point(91, 0.05, time)  # no longer sure
    fading = [brightest(pointer.over(LISTENING, time + n * FRAME))[1] for n in range(10)]
    assert fading == sorted(fading, reverse=True)
    assert pointer.resting
    _, time = settle(pointer, 90, time + 1)
    for number in range(round((HOLD + 0.5) / FRAME)):  # the same figures over again: silence
        pointer.point(90.01, 0.8, time + number * FRAME)
        frame = pointer.over(LISTENING, time + number * FRAME)
    assert pointer.resting
    assert frame == LISTENING


def test_where_the_lights_are_comes_from_the_array_or_from_the_settings():
    leds = LedSettings(kind="apa102", count=12)
    four, six = load_geometry("respeaker-4mic"), load_geometry("respeaker-6mic")
    assert ring(leds, four)[:3] == (30, 0, 330)
    assert ring(leds, six)[:3] == (180, 210, 240)
    assert ring(leds.model_copy(update={"first_azimuth": 90.0, "clockwise": False}), four)[:3] == (90, 120, 150)
    assert ring(leds.model_copy(update={"first_azimuth": 0.0}), load_geometry("uma-8"))[1] == 30
    for nothing in (ring(leds, None), ring(leds, load_geometry("respeaker-2mic")),
                    ring(LedSettings(kind="rgb", pins=(1, 2, 3)), four)):  # fmt: skip
        assert nothing == ()


def frames(data, count):
    """Take apart what was sent to APA102 lights."""
    size = 8 + 4 * count + (count + 15) // 16
    return [data[at + 4 : at + 4 + 4 * count] for at in range(0, len(data) - size + 1, size)]


def pixels(frame):
    return [tuple(frame[at + 1 : at + 4]) for at in range(0, len(frame), 4)]


def test_what_is_sent_to_a_ring_points_while_it_listens_only(tmp_path):
    port = tmp_path / "spidev"
    port.touch()
    muted = [tuple(round(255 * value) for value in reversed(PATTERNS[State.MUTED].colour))] * 12

    def sent():
        return [pixels(frame) for frame in frames(port.read_bytes(), 12)]

    settings = LedSettings(kind="apa102", spi=port, count=12)
    now = [0.0]
    with Leds(settings, Pins.NONE, AZIMUTHS, clock=lambda: now[0]) as leds:
        leds.point(90, 0.9)
        leds.show(State.LISTENING)
        pointer = leds._pointer
        for number in range(12):
            now[0] += 0.1
            leds.point(90 + 0.01 * number, 0.9)
            until(lambda: pointer._time == now[0])
        leds.show(State.MUTED)
        until(lambda: muted in sent())
    shown = sent()
    pointing = [frame for frame in shown if len(set(frame)) > 1]
    assert pointing
    assert {max(range(12), key=lambda i: sum(frame[i])) for frame in pointing} == {3}
    assert pointing[-1][3] == (255, 255, 255)
    assert len(set(pointing[-1])) == 2
    assert shown[-1] == [tuple(round(255 * value) for value in OFF)] * 12


def test_lights_that_are_no_ring_do_not_care(tmp_path):
    port = tmp_path / "spidev"
    port.touch()
    lit = [tuple(round(255 * value) for value in reversed(PATTERNS[State.LISTENING].colour))] * 12

    def sent():
        return [pixels(frame) for frame in frames(port.read_bytes(), 12)]

    with Leds(LedSettings(kind="apa102", spi=port, count=12), Pins.NONE) as leds:
        leds.point(90, 0.9)
        leds.show(State.LISTENING)
        until(lambda: lit in sent())
        leds.point(91, 0.9)
    assert all(len(set(frame)) == 1 for frame in sent())


@pytest.mark.models
def test_the_array_gives_the_ring_what_it_needs(model_dir, recordings):
    """A talker walks from one side to the other; the light follows, through the real front end."""
    from tools.simulate_room import Room, simulate

    geometry = load_geometry("respeaker-4mic")
    speech = np.concatenate(list(read_blocks(recordings.clips("en")[0][0])))[: 6 * 16_000]
    frontend = Frontend(FrontendSettings(), geometry, channels=4)
    lights = ring(LedSettings(kind="apa102", count=12), geometry)
    pointer = Pointer(lights)
    time, light = 0.0, -1
    for azimuth in (100.0, 250.0):
        scene = simulate(geometry, speech, Room(0.2, talker_azimuth=azimuth)).mixture
        for at in range(0, len(scene) - 512, 512):
            output = frontend.process(scene[at : at + 512])
            frontend.speech(bool(np.abs(speech[at : at + 512]).max() > 0.02))
            time += 0.032
            pointer.point(output.azimuth, output.confidence, time)
            frame = pointer.over(LISTENING, time)
            found, lead = brightest(frame)
            light = found if lead > 0.5 else light
        wanted = min(range(12), key=lambda i: abs((lights[i] - azimuth + 180) % 360 - 180))
        assert light == wanted


def test_a_board_tells_where_its_ring_is_and_a_part_of_it_still_knows():
    geometry = replace(linear("pair", 0.05, 3), ring=Ring(15.0, True))
    assert geometry.subset([0, 1]).ring == Ring(15.0, True)
