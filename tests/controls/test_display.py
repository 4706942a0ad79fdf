"""The display shows the live text in any script that the installed fonts have."""

from __future__ import annotations

import os
import shutil
import threading

import numpy as np
import pytest

PIL = pytest.importorskip("PIL", reason="Pillow is not installed")
luma = pytest.importorskip("luma.core.device", reason="luma is not installed")

from device.config import DisplaySettings, Pins  # noqa: E402
from device.controls.display import SIGNS, Content, Display, layout  # noqa: E402
from device.controls.pins import mock_factory  # noqa: E402
from device.controls.typeface import Typeface, installed_fonts, is_right_to_left, picture_of  # noqa: E402
from device.errors import DragomanError  # noqa: E402
from device.events import State  # noqa: E402
from tests.mqtt.events import final, partial, translation  # noqa: E402

SCRIPTS = {
    "Latin": "Onde fica a estação?",
    "Greek": "Πού είναι ο σταθμός;",  # noqa: RUF001
    "Cyrillic": "Где находится вокзал?",
    "Hebrew": "איפה התחנה?",
    "Arabic": "أين المحطة؟",
    "Devanagari": "स्टेशन कहाँ है?",
    "Thai": "สถานีอยู่ที่ไหน",
    "Georgian": "სად არის სადგური?",
    "Tamil": "நிலையம் எங்கே?",
}


@pytest.fixture(scope="module")
def typeface():
    return Typeface(14)


def ink(image, *area):
    pixels = np.asarray(image.convert("L"))
    return int((pixels[tuple(slice(*a) for a in area)] > 128).sum())


@pytest.fixture
def emulator():
    """A screen that keeps what is shown on it, with the interface of every luma device."""
    device = luma.dummy(width=128, height=64, mode="1")
    device.cleanup = lambda: None
    return device


def test_live_text_and_its_translation_are_on_the_screen(emulator):
    with Display(DisplaySettings(), Pins.NONE, emulator) as display:
        display.show(State.LISTENING)
        display.sink(partial(1, 1, "Where is"))
        assert display.wait(60)
        before = ink(emulator.image)
        display.sink(final(1))
        display.sink(translation(1))
        assert display.wait(60)
        typeface = Typeface(14)
        content = Content(State.LISTENING, final(1).text, translation(1).text)
        wanted = picture_of(layout(content, typeface, (128, 64)), typeface, (128, 64), "1")
        assert emulator.image.tobytes() == wanted.tobytes()
        assert ink(emulator.image) > before > 0


def test_emulator_of_luma_shows_it_too(tmp_path):
    emulator = pytest.importorskip("luma.emulator.device")
    device = emulator.capture(
        width=160, height=80, mode="RGB", transform="none", file_template=str(tmp_path / "{0:03}.png")
    )
    with Display(DisplaySettings(), Pins.NONE, device) as display:
        display.sink(translation(1))
        assert display.wait(60)
    assert list(tmp_path.glob("*.png"))


@pytest.mark.skipif(shutil.which("fc-list") is None, reason="fontconfig is not installed")
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_text_of_a_script_is_shown_in_a_font_that_has_it(typeface, text):
    letter = max(text)
    if not installed_fonts(letter):
        pytest.skip("no installed font has it")
    image = picture_of(typeface.wrap(text, 240), typeface, (240, 40), "L")
    boxes = picture_of(["\U0010fffd" * len(text)], typeface, (240, 40), "L")
    assert ink(image) > 50
    assert image.tobytes() != boxes.tobytes()
    right_to_left = is_right_to_left(text)
    assert (ink(image, (0, 20), (200, 240)) > ink(image, (0, 20), (0, 40))) == right_to_left


def test_a_long_text_shows_its_end(typeface):
    lines = layout(Content(State.SPEAKING, "what was heard", "one two three four five " * 20), typeface, (128, 64))
    assert len(lines) == 64 // typeface.line_height
    assert lines[-1].endswith("five")
    lines = layout(Content(State.LISTENING, "one two three four five " * 20, ""), typeface, (128, 64))
    assert lines[0].startswith(SIGNS[State.LISTENING])
    assert lines[-1].endswith("five")


@pytest.mark.parametrize("text", ["", " ", "a", "word " * 30, "w" * 200, "駅はどこですか" * 9, "e\u0301" * 80])
def test_every_line_fits_and_nothing_is_lost(typeface, text):
    lines = typeface.wrap(text, 128)
    assert all(typeface.width(line) <= 128 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_an_st7789_is_driven_over_spi_with_its_own_pins(tmp_path):
    pytest.importorskip("luma.lcd.device")
    port = tmp_path / "spidev"
    os.mkfifo(port)
    sent = bytearray()
    reader = threading.Thread(target=lambda: sent.extend(port.read_bytes()))
    reader.start()
    settings = DisplaySettings(kind="st7789", width=240, height=240, spi=port, data_pin=24, reset_pin=25)
    with Display(settings, Pins.MOCK) as display:
        assert mock_factory().pin(25).state == 1
        display.sink(translation(1))
        assert display.wait(60)
    reader.join()
    assert len(sent) > 2 * 240 * 240 * 3
    assert mock_factory().pin(24).function == "input"


def test_a_display_that_is_not_there_is_one_clear_line():
    with pytest.raises(DragomanError, match=r"ssd1306 cannot be used|I2C device not found"):
        Display(DisplaySettings(kind="ssd1306", i2c=31), Pins.NONE)


def test_no_display_is_no_trouble():
    with Display(DisplaySettings(), Pins.NONE) as display:
        display.show(State.ERROR)
        display.sink(final(1))


def test_a_display_that_breaks_is_told_once_and_nothing_else_stops(emulator, caplog):
    def broken(_image):
        raise OSError("Remote I/O error")

    emulator.display = broken
    with Display(DisplaySettings(), Pins.NONE, emulator) as display:
        display.sink(final(1))
        display._thread.join(60)
        display.sink(final(2))
    assert caplog.text.count("the display stays dark: Remote I/O error") == 1
