"""Volume, language and mute by hand, and a mute that other hardware can read."""

from __future__ import annotations

import queue

import pytest

from device.config import ControlSettings, PanelSettings
from device.controls.panel import Panel
from device.controls.pins import mock_factory, mock_press, mock_release
from device.errors import DragomanError

PANEL = PanelSettings(
    encoder_a=5, encoder_b=6, encoder_push=13, volume_up=16, volume_down=20, language=21, mute=12, volume_step=0.1
)
CONTROLS = ControlSettings(pins="mock", buttons=(), mute_pin=26, debounce=0)


class Wishes:
    def __init__(self):
        self.all = queue.Queue()

    def panel(self, settings=PANEL, controls=CONTROLS):
        return Panel(
            settings, controls,
            lambda change: self.all.put(("volume", round(change, 3))),
            lambda step: self.all.put(("language", step)),
            lambda: self.all.put(("mute",)),
        )  # fmt: skip

    def next(self):
        return self.all.get(timeout=60)


@pytest.fixture
def wishes():
    return Wishes()


def press(pin):
    mock_press(pin)
    mock_release(pin)


def turn(clockwise):
    """One detent: both contacts close and open again, the first leads (clockwise) or follows."""
    first, second = (5, 6) if clockwise else (6, 5)
    for act, pin in ((mock_press, first), (mock_press, second), (mock_release, first), (mock_release, second)):
        act(pin)


def test_buttons_change_volume_language_and_mute(wishes):
    with wishes.panel():
        for pin, wish in ((16, ("volume", 0.1)), (20, ("volume", -0.1)), (21, ("language", 1)), (12, ("mute",))):
            press(pin)
            assert wishes.next() == wish


def test_turning_is_volume_until_the_encoder_is_pushed_and_then_language(wishes):
    with wishes.panel():
        turn(True)
        assert wishes.next() == ("volume", 0.1)
        turn(False)
        assert wishes.next() == ("volume", -0.1)
        press(13)
        turn(True)
        assert wishes.next() == ("language", 1)
        turn(False)
        assert wishes.next() == ("language", -1)
        press(13)
        turn(True)
        assert wishes.next() == ("volume", 0.1)


def test_mute_can_be_read_by_hardware(wishes):
    pin = mock_factory().pin(26)
    with wishes.panel(PanelSettings()) as panel:
        assert (pin.function, pin.state) == ("output", 0)
        panel.show_muted(True)
        assert pin.state == 1
        panel.show_muted(False)
        assert pin.state == 0


def test_a_wish_that_cannot_be_fulfilled_is_told_and_the_next_one_is(wishes, caplog):
    def refuse(_step):
        raise DragomanError("no voice for 'xh' is installed")

    with Panel(PANEL, CONTROLS, wishes.all.put, refuse, lambda: None):
        press(21)
        press(16)
        wishes.next()
    assert "no voice for 'xh'" in caplog.text


def test_half_an_encoder_is_a_mistake(wishes):
    with pytest.raises(DragomanError, match="belong together"):
        wishes.panel(PanelSettings(encoder_a=5))


def test_a_pin_that_is_taken_is_one_clear_line_and_the_others_are_free_again(wishes):
    with pytest.raises(DragomanError, match="GPIO16"):
        wishes.panel(PanelSettings(volume_up=16, volume_down=16))
    with wishes.panel(PanelSettings(volume_up=16)):
        press(16)
        assert wishes.next()[0] == "volume"
