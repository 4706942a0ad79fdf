"""The pins of a Jetson: named as a Raspberry Pi's, on NVIDIA's lines. A module of this file plays its GPIO chip."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from gpiozero import DigitalInputDevice, PinInvalidPin

from device.config import ControlSettings, Pins
from device.controls import jetson, pins
from device.controls.buttons import Buttons
from device.controls.controller import TurnController
from tests.audio.pulse import until

ORIN_NANO = "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0"


class Chip(ModuleType):
    """The part of lgpio that gpiozero uses, with the levels of the lines in a table."""

    BOTH_EDGES, RISING_EDGE, FALLING_EDGE = 3, 1, 2
    SET_PULL_NONE, SET_PULL_UP, SET_PULL_DOWN = 0, 1, 2
    error = RuntimeError

    def __init__(self, labels):
        super().__init__("lgpio")
        self.labels = labels
        self.claimed, self.levels, self.callbacks = {}, {}, {}

    def gpiochip_open(self, number):
        return 100 + number

    def gpiochip_close(self, handle):
        return 0

    def gpio_get_chip_info(self, handle):
        return [0, 200, f"gpiochip{handle - 100}", self.labels[handle - 100]]

    def gpio_claim_input(self, handle, line, flags=0):
        self.claimed[line] = handle
        self.levels.setdefault(line, 1)

    def gpio_claim_output(self, handle, line, level=0, flags=0):
        return 0

    gpio_claim_alert = lambda self, handle, line, edges, flags=0: 0  # noqa: E731

    def gpio_free(self, handle, line):
        self.claimed.pop(line, None)

    def gpio_get_mode(self, handle, line):
        return 0

    def gpio_read(self, handle, line):
        return self.levels[line]

    def gpio_set_debounce_micros(self, handle, line, micros):
        return 0

    def callback(self, handle, line, edges, function):
        self.callbacks[line] = function
        return self

    def cancel(self):
        pass

    def turn(self, line, level):
        self.levels[line] = level
        self.callbacks[line](0, line, level, 1_000_000)


@pytest.fixture
def orin(monkeypatch, tmp_path):
    chip = Chip({0: "tegra234-gpio-aon", 1: "tegra234-gpio"})
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/compatible").write_text(ORIN_NANO)
    monkeypatch.setitem(sys.modules, "lgpio", chip)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    monkeypatch.setattr(Path, "glob", lambda self, _: iter([Path("/dev/gpiochip0"), Path("/dev/gpiochip1")]))
    monkeypatch.setattr(pins, "GPIO_CHIPS", str(tmp_path / "proc/device-tree/c*"))
    monkeypatch.setattr(pins, "find_header", lambda: jetson.find_header(tmp_path))
    yield chip
    sys.modules.pop("gpiozero.pins.lgpio", None)


def test_boards_are_told_apart_by_their_device_tree(tmp_path):
    folder = tmp_path / "proc/device-tree"
    folder.mkdir(parents=True)
    assert jetson.find_header(tmp_path) is None
    for names, line in (
        (ORIN_NANO, 112),
        ("nvidia,p3509-0000+p3767-0000\0nvidia,tegra234\0", 112),
        ("nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0", 112),
        ("nvidia,p3450-0000\0nvidia,jetson-nano\0nvidia,tegra210\0", 50),
        ("nvidia,p2972-0000\0nvidia,tegra194\0", None),
        ("raspberrypi,5-model-b\0brcm,bcm2712\0", None),
    ):
        (folder / "compatible").write_text(names)
        header = jetson.find_header(tmp_path)
        assert (header.lines[17] if header else None) == line


@pytest.mark.parametrize("name", [17, "GPIO17", "BOARD11", "J8:11"])
def test_the_names_of_a_raspberry_pi_lead_to_the_same_place(orin, name):
    factory = pins.open_factory(Pins.LGPIO)
    with DigitalInputDevice(name, pull_up=True, pin_factory=factory) as device:
        assert orin.claimed == {112: 101}, "line 112 of the chip with the right label, which is not the first"
        assert not device.is_active
        orin.levels[112] = 0
        assert device.is_active
    for wrong in ("BOARD1", 2, 99):
        with pytest.raises(PinInvalidPin):
            DigitalInputDevice(wrong, pin_factory=factory)
    factory.close()


def test_a_button_on_it_begins_and_ends_a_turn(orin):
    told = []
    settings = ControlSettings(pins=Pins.LGPIO, debounce=0)
    with (
        TurnController(settings, told.append, lambda: told.append("end")) as controller,
        Buttons(settings, controller) as buttons,
    ):
        assert buttons.available
        orin.turn(112, 0)
        until(lambda: told == [0])
        orin.turn(112, 1)
        until(lambda: told == [0, "end"])
