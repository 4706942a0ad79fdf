"""Settings of what is wired to the machine: microphone, buttons, lights, display, knob."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field

from device.config.section import Section
from device.config.values import Languages, NumberOrName, TopicLevel, UserPath


class AudioSettings(Section):
    """Microphone and speaker."""

    input: NumberOrName | None = None
    """Name (or part of it) or index of the capture device; by default the system's."""
    output: NumberOrName | None = None
    rate: int | None = Field(default=None, ge=8000, le=192_000)
    """Capture rate; by default the device's own."""
    channels: int | None = Field(default=None, ge=1, le=8)
    """Capture channels; by default as many as the device has, up to 8."""
    block: float = Field(default=0.032, ge=0.005, le=0.5)
    """Seconds of one capture block."""


class Trigger(StrEnum):
    """What starts a turn."""

    HOLD = "hold"
    TOGGLE = "toggle"
    OPEN = "open"


class Pins(StrEnum):
    """Where GPIO pins come from."""

    AUTO = "auto"
    LGPIO = "lgpio"
    MOCK = "mock"
    NONE = "none"


class ButtonSettings(Section):
    """One push-to-talk button."""

    name: TopicLevel = "talk"
    """Told on MQTT, and part of the id of its alert."""
    pin: NumberOrName = 17
    """BCM number, or any name gpiozero knows: ``GPIO17``, ``BOARD11``."""
    direction: int = Field(default=0, ge=0, le=1)
    active_low: bool = True
    """Pressed connects the pin to ground; the pull-up is switched on."""


class ControlSettings(Section):
    """Push to talk."""

    trigger: Trigger = Trigger.HOLD
    pins: Pins = Pins.AUTO
    buttons: tuple[ButtonSettings, ...] = (ButtonSettings(),)
    debounce: float = Field(default=0.03, ge=0, le=1)
    hold_time: float = Field(default=1.0, ge=0.1, le=10)
    """A press this long is reported as ``hold``."""
    double_press: float = Field(default=0.4, ge=0.1, le=2)
    longest_turn: float = Field(default=60.0, ge=1, le=600)
    """A button that stays down longer is stuck: the turn is cut and an alert raised."""

    mute_pin: NumberOrName | None = None
    """An output that is high while the device is muted, for a lamp or another machine to read."""


class LedSettings(Section):
    """The lights that show what the device does."""

    kind: Literal["none", "plain", "rgb", "apa102", "ws2812"] = "none"
    pins: tuple[NumberOrName, ...] = ()
    """The pin of a plain LED, or those for red, green and blue."""
    active_high: bool = True
    """False where the pins sink the current (common anode)."""
    spi: UserPath = Path("/dev/spidev0.0")
    """The SPI port of APA102 and WS2812 lights."""
    count: int = Field(default=3, ge=1, le=256)
    brightness: float = Field(default=0.3, ge=0.02, le=1)
    """Of everything but plain LEDs."""
    power_pin: NumberOrName | None = None
    """An output that is switched on first: GPIO 5 on the ReSpeaker 4-Mic Array."""
    first_azimuth: float | None = Field(default=None, ge=-360, le=360)
    """Of a ring round the array: where its first light is; by default as the array's geometry says."""
    clockwise: bool | None = None
    """Whether the next light of the ring follows clockwise, seen from above."""


class DisplaySettings(Section):
    """A small screen with the live text."""

    kind: Literal["none", "ssd1306", "sh1106", "st7789"] = "none"
    width: int = Field(default=128, ge=64, le=480)
    height: int = Field(default=64, ge=32, le=480)
    rotate: int = Field(default=0, ge=0, le=3)
    """Quarter turns."""
    i2c: int = Field(default=1, ge=0, le=32)
    """The I2C port of SSD1306 and SH1106."""
    address: int = Field(default=0x3C, ge=0x08, le=0x77)
    spi: UserPath = Path("/dev/spidev0.0")
    """The SPI port of ST7789."""
    data_pin: NumberOrName = 24
    """ST7789: tells data from commands (D/C)."""
    reset_pin: NumberOrName | None = 25
    font: UserPath | None = None
    """Tried first; other scripts take what fontconfig knows."""
    font_size: int = Field(default=14, ge=8, le=96)


class PanelSettings(Section):
    """A rotary encoder and buttons for volume, language and mute; all unset by default."""

    encoder_a: NumberOrName | None = None
    encoder_b: NumberOrName | None = None
    encoder_push: NumberOrName | None = None
    """Changes whether turning means volume or language."""
    volume_up: NumberOrName | None = None
    volume_down: NumberOrName | None = None
    language: NumberOrName | None = None
    """The next language."""
    mute: NumberOrName | None = None
    volume_step: float = Field(default=0.05, gt=0, le=0.5)
    languages: Languages = ()
    """Languages to choose among; by default all that the installed models translate into."""
