"""The lights tell the states apart, also to an eye without colours; their bytes are what the hardware wants."""

from __future__ import annotations

import itertools
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import LedSettings, Pins
from device.controls.leds import Leds
from device.controls.patterns import OFF, PATTERNS
from device.controls.pins import mock_factory
from device.controls.spi import WS2812_RESET, apa102, ws2812
from device.errors import DragomanError
from device.events import State
from tests.audio.pulse import until

COLOURS = st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=40)


def test_every_state_has_a_light():
    assert PATTERNS.keys() == set(State)


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(State, 2)))
def test_states_differ_without_their_colours(one, other, count):
    times = [t / 20 for t in range(60)]
    lights = [[[c != OFF for c in PATTERNS[s].frame(t, count)] for t in times] for s in (one, other)]
    changes = [sum(a != b for a, b in itertools.pairwise(light)) for light in lights]
    share = [sum(map(sum, light)) / (count * len(times)) for light in lights]
    assert abs(changes[0] - changes[1]) >= 2 or abs(share[0] - share[1]) >= 0.15


def test_states_have_colours_of_different_lightness_or_hue():
    colours = [pattern.colour for pattern in PATTERNS.values()]
    assert len(set(colours)) == len(colours)


@given(COLOURS, st.floats(0.02, 1))
def test_apa102_frames_are_as_the_data_sheet_has_them(colours, brightness):
    data = apa102(colours, brightness)
    assert data[:4] == bytes(4)
    assert len(data) == 4 + 4 * len(colours) + 4 + (len(colours) + 15) // 16
    for index, (red, green, blue) in enumerate(colours):
        head, *rest = data[4 + 4 * index : 8 + 4 * index]
        assert head >> 5 == 0b111
        assert head & 31
        assert rest == [round(255 * value) for value in (blue, green, red)]


@given(COLOURS)
def test_ws2812_bits_are_read_back(colours):
    data = ws2812(colours, 1.0)
    assert data.endswith(WS2812_RESET)
    bits = "".join(f"{byte:08b}" for byte in data[: -len(WS2812_RESET)])
    codes = [bits[at : at + 3] for at in range(0, len(bits), 3)]
    assert set(codes) <= {"100", "110"}
    values = [int("".join("01"[code == "110"] for code in codes[at : at + 8]), 2) for at in range(0, len(codes), 8)]
    assert values == [round(255 * v) for red, green, blue in colours for v in (green, red, blue)]


def test_a_plain_led_follows_the_state_and_goes_dark_at_the_end():
    pin = mock_factory().pin(22)
    with Leds(LedSettings(kind="plain", pins=(22,)), Pins.MOCK) as leds:
        leds.show(State.LISTENING)
        until(lambda: pin.state == 1)
        seen = len(pin.states)
        leds.show(State.ERROR)
        until(lambda: len(pin.states) > seen + 4)
    assert pin.function == "input", "the pin is free again"


def test_an_rgb_led_has_the_colour_of_the_state():
    settings = LedSettings(kind="rgb", pins=(22, 23, 24), brightness=0.5)
    pins = [mock_factory().pin(number) for number in settings.pins]
    with Leds(settings, Pins.MOCK) as leds:
        leds.show(State.LISTENING)
        wanted = [0.5 * value for value in PATTERNS[State.LISTENING].colour]
        until(lambda: [pin.state for pin in pins] == pytest.approx(wanted))


def test_a_strip_is_sent_frames_over_spi_and_switched_on_and_off(tmp_path):
    port = tmp_path / "spidev"
    os.mkfifo(port)
    sent = bytearray()
    reader = threading.Thread(target=lambda: sent.extend(port.read_bytes()))
    reader.start()
    power = mock_factory().pin(5)
    with Leds(LedSettings(kind="apa102", spi=port, count=12, power_pin=5), Pins.MOCK) as leds:
        until(lambda: power.state == 1)
        leds.show(State.LISTENING)
        lit = apa102([PATTERNS[State.LISTENING].colour] * 12, 0.3)
        until(lambda: leds._state is State.LISTENING)
    reader.join()
    assert sent.endswith(apa102([OFF] * 12, 0.3))
    assert len(sent) % len(lit) == 0
    assert power.function == "input"


def test_lights_that_cannot_be_opened_are_one_clear_line(tmp_path):
    with pytest.raises(DragomanError, match=r"SPI port .*dtparam=spi=on"):
        Leds(LedSettings(kind="ws2812", spi=tmp_path / "none"), Pins.MOCK)
    with pytest.raises(DragomanError, match=r"leds\.pins: rgb needs 3, not 1"):
        Leds(LedSettings(kind="rgb", pins=(22,)), Pins.MOCK)


def test_no_lights_are_no_trouble():
    with Leds(LedSettings(), Pins.NONE) as leds:
        leds.show(State.ERROR)
