"""A small display: the live text of the conversation, and what the device does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from device.closing import Closing
from device.config import DisplaySettings, Pins
from device.controls.pins import open_factory
from device.controls.spi import SpiPort
from device.errors import DragomanError
from device.events import Event, Final, Partial, PartialTranslation, State, Translation

if TYPE_CHECKING:
    from device.controls.typeface import Typeface

log = logging.getLogger(__name__)

MODULES = {"ssd1306": "luma.oled.device", "sh1106": "luma.oled.device", "st7789": "luma.lcd.device"}
ST7789_SPEED = 40_000_000
RESET = 0.15
"""Seconds that an ST7789 takes to come up (its data sheet, 9.13)."""
SIGNS = {
    State.IDLE: "○",
    State.LISTENING: "●",
    State.TRANSLATING: "…",
    State.SPEAKING: "♪",
    State.MUTED: "x",
    State.ERROR: "!",
}
"""How the first line begins."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be seen."""

    state: State = State.IDLE
    heard: str = ""
    translated: str = ""


class Display(Closing):
    """Shows the newest text until it is closed; takes events as a sink, and never waits for the screen.

    The translation is what the person opposite reads, so it has the screen; what was heard stands above it where
    there is room. Of a long text the end is shown.

    Parameters
    ----------
    settings, pins
        Which display, and where the pins of an ST7789 come from.
    device
        A luma device in place of the configured one, for example an emulator.
    """

    def __init__(self, settings: DisplaySettings, pins: Pins, device: Any = None) -> None:
        self._changed = threading.Condition()
        self._content = Content()
        self._shown: Content | None = None
        self._closing = False
        self._device = device
        if device is None and settings.kind != "none":
            self._device = _open(settings, pins)
        self._typeface: Typeface | None = None
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        if self._device is not None:
            self._typeface = _typeface(settings)
            self._thread.start()

    def sink(self, event: Event) -> None:
        """Take one event of the conversation."""
        match event:
            case Partial() | Final():
                self._show(lambda now: replace(now, heard=event.text, translated=""))
            case PartialTranslation() | Translation():
                self._show(lambda now: replace(now, translated=event.text))

    def show(self, state: State) -> None:
        """Show what the device does."""
        self._show(lambda now: replace(now, state=state))

    def wait(self, timeout: float) -> bool:
        """Wait until the newest content is on the screen; false when that took longer than ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._shown == self._content, timeout)

    def close(self) -> None:
        """Clear the screen and let it go."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _show(self, change: Callable[[Content], Content]) -> None:
        with self._changed:
            self._content = change(self._content)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while (content := self._next()) is not None:
                self._draw(content)
                with self._changed:
                    self._shown = content
                    self._changed.notify_all()
            self._device.cleanup()
        except Exception as error:  # noqa: BLE001 - luma, smbus and the kernel each raise types of their own
            log.warning("the display stays dark: %s", " ".join(str(error).split()) or type(error).__name__)

    def _next(self) -> Content | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._shown != self._content)
            return None if self._closing else self._content

    def _draw(self, content: Content) -> None:
        from device.controls.typeface import picture_of

        assert self._typeface is not None
        lines = layout(content, self._typeface, self._device.size)
        self._device.display(picture_of(lines, self._typeface, self._device.size, self._device.mode))


def layout(content: Content, typeface: Typeface, size: tuple[int, int]) -> list[str]:
    """Return the lines that fit on a screen of a size in pixels."""
    width, height = size
    room = max(1, height // typeface.line_height)
    said = typeface.wrap(content.translated, width)[-room:]
    if len(said) == room:
        return said
    heard = typeface.wrap(f"{SIGNS[content.state]} {content.heard}", width)
    above = room - len(said)
    if len(heard) > above:  # keep the sign, and the end of what was heard
        heard = [heard[0][:1] + "…" + heard[-above][:-1], *heard[len(heard) - above + 1 :]] if above > 1 else heard[-1:]
    return [*heard, *said]


def _typeface(settings: DisplaySettings) -> Typeface:
    from device.controls.typeface import Typeface

    try:
        return Typeface(settings.font_size, settings.font)
    except OSError as error:
        raise DragomanError(f"display.font: {settings.font} cannot be used: {error}") from None


def _open(settings: DisplaySettings, pins: Pins) -> Any:
    try:
        driver = getattr(import_module(MODULES[settings.kind]), settings.kind)
        serial = import_module("luma.core.interface.serial")
    except ImportError as error:
        raise DragomanError(f"the display needs luma: pip install luma.oled luma.lcd ({error})") from None
    try:
        if settings.kind == "st7789":
            port: Any = _SpiDisplay(settings, pins)
            more: dict[str, Any] = {
                "backlight": lambda _on: None
            }  # luma would ask RPi.GPIO, which a Raspberry Pi 5 has not
        else:
            port, more = serial.i2c(port=settings.i2c, address=settings.address), {}
        return driver(port, width=settings.width, height=settings.height, rotate=settings.rotate, **more)
    except DragomanError:
        raise
    except Exception as error:  # noqa: BLE001 - luma and smbus raise many types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DragomanError(f"the display {settings.kind} cannot be used: {reason}; see [display]") from None


class _SpiDisplay:
    """The wires of an SPI display, as luma asks for them: commands and data, told apart by a pin."""

    def __init__(self, settings: DisplaySettings, pins: Pins) -> None:
        from gpiozero import DigitalOutputDevice

        factory = open_factory(pins)
        if factory is None:
            raise DragomanError("an ST7789 display needs GPIO for its pin D/C, and this machine has none")
        self._port = SpiPort(settings.spi, ST7789_SPEED)
        self._data = DigitalOutputDevice(settings.data_pin, pin_factory=factory)
        self._reset = None
        if settings.reset_pin is not None:
            self._reset = DigitalOutputDevice(settings.reset_pin, pin_factory=factory)
            time.sleep(0.001)
            self._reset.on()
            time.sleep(RESET)

    def command(self, *command: int) -> None:
        self._data.off()
        self._port.write(bytes(command))

    def data(self, data: Any) -> None:
        self._data.on()
        self._port.write(bytes(data))

    def cleanup(self) -> None:
        self._port.close()
        for pin in (self._data, self._reset):
            if pin is not None:
                pin.close()
