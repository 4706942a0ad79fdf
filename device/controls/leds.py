"""The lights: one thread that shows the device's state on whatever lights there are."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from device.closing import Closing
from device.config import LedSettings, Pins
from device.controls.patterns import OFF, PATTERNS, Colour
from device.controls.pins import open_factory
from device.controls.pointer import Pointer
from device.controls.spi import APA102_SPEED, WS2812_SPEED, SpiPort, apa102, ws2812
from device.errors import DragomanError
from device.events import State

log = logging.getLogger(__name__)

FRAME = 0.05
"""Seconds between two looks; the shortest part of a rhythm lasts twice as long."""


class Lights(Protocol):
    """Something that shines."""

    count: int

    def show(self, colours: Sequence[Colour]) -> None:
        """Show one colour a light."""
        ...

    def close(self) -> None:
        """Go dark, and let the hardware go."""
        ...


class PinLights:
    """One LED on a pin, or three (red, green, blue) on three.

    Raises
    ------
    DragomanError
        A pin does not exist or is taken, or not as many are configured as are needed.
    """

    count = 1

    def __init__(self, settings: LedSettings, factory: Any) -> None:
        from gpiozero import DigitalOutputDevice, GPIOZeroError, PWMOutputDevice

        wanted = 1 if settings.kind == "plain" else 3
        if len(settings.pins) != wanted:
            raise DragomanError(f"leds.pins: {settings.kind} needs {wanted}, not {len(settings.pins)}")
        self._brightness = settings.brightness
        self._devices: list[Any] = []
        kind = DigitalOutputDevice if settings.kind == "plain" else PWMOutputDevice
        try:
            for pin in settings.pins:
                self._devices.append(kind(pin, active_high=settings.active_high, pin_factory=factory))
        except (GPIOZeroError, OSError, ValueError) as error:
            self.close()
            raise DragomanError(f"leds.pins: {pin} cannot be used: {' '.join(str(error).split())}") from None

    def show(self, colours: Sequence[Colour]) -> None:
        """Show the colour, or on a plain LED whether there is one."""
        (colour,) = colours
        if len(self._devices) == 1:
            self._devices[0].value = any(colour)
            return
        for device, value in zip(self._devices, colour, strict=True):
            device.value = value * self._brightness

    def close(self) -> None:
        """Go dark, and free the pins."""
        for device in self._devices:
            device.off()
            device.close()
        self._devices.clear()


class SpiLights:
    """A strip or ring of APA102 or WS2812 lights.

    Raises
    ------
    DragomanError
        The SPI port cannot be used.
    """

    def __init__(self, settings: LedSettings) -> None:
        self.count, self._brightness = settings.count, settings.brightness
        self._encode = apa102 if settings.kind == "apa102" else ws2812
        self._port = SpiPort(settings.spi, APA102_SPEED if settings.kind == "apa102" else WS2812_SPEED)

    def show(self, colours: Sequence[Colour]) -> None:
        """Send one frame."""
        self._port.write(self._encode(colours, self._brightness))

    def close(self) -> None:
        """Go dark, and let the port go."""
        try:
            self.show([OFF] * self.count)
        finally:
            self._port.close()


class Leds(Closing):
    """Shows a state on the configured lights until it is closed; does nothing where there are none.

    Parameters
    ----------
    settings, pins
        Which lights, and where pins come from.
    azimuths
        Of a ring: where each light is (see `device.controls.pointer.ring`); empty for any other lights.
    clock
        Seconds; decides the rhythm.
    """

    def __init__(
        self,
        settings: LedSettings,
        pins: Pins,
        azimuths: Sequence[float] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._pointer = Pointer(azimuths) if azimuths else None
        self._changed = threading.Condition()
        self._state = State.IDLE
        self._since = clock()
        self._closing = False
        self._hardware = ExitStack()
        self._lights = self._open(settings, pins)
        self._thread = threading.Thread(target=self._run, name="leds", daemon=True)
        if self._lights is not None:
            self._thread.start()

    def show(self, state: State) -> None:
        """Show another state from now on; returns at once."""
        with self._changed:
            if state is not self._state:
                self._state, self._since = state, self._clock()
                self._changed.notify()

    def point(self, azimuth: float | None, confidence: float) -> None:
        """Tell where somebody talks (degrees), or that it is not known; a ring shows it while it listens."""
        if self._pointer is None:
            return
        with self._changed:
            resting = self._pointer.resting
            self._pointer.point(azimuth, confidence, self._clock())
            if resting and not self._pointer.resting:
                self._changed.notify()

    def close(self) -> None:
        """Go dark and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._hardware.close()

    def _open(self, settings: LedSettings, pins: Pins) -> Lights | None:
        if settings.kind == "none":
            return None
        on_pins = settings.kind in ("plain", "rgb")
        factory = open_factory(pins) if on_pins or settings.power_pin is not None else None
        if on_pins and factory is None:
            return None
        with ExitStack() as stack:
            if settings.power_pin is not None and factory is not None:
                from gpiozero import DigitalOutputDevice

                power = DigitalOutputDevice(settings.power_pin, initial_value=True, pin_factory=factory)
                stack.callback(power.close)
            lights: Lights = PinLights(settings, factory) if on_pins else SpiLights(settings)
            stack.callback(lights.close)
            self._hardware = stack.pop_all()
        return lights

    def _run(self) -> None:
        assert self._lights is not None
        shown: list[Colour] | None = None
        while True:
            with self._changed:
                if self._closing:
                    return
                now = self._clock()
                pattern = PATTERNS[self._state]
                frame = pattern.frame(now - self._since, self._lights.count)
                pointing = self._pointer is not None and self._state is State.LISTENING and not self._pointer.resting
                if pointing and self._pointer is not None:
                    frame = self._pointer.over(frame, now)
            if frame != shown:
                try:
                    self._lights.show(frame)
                except DragomanError as error:
                    log.warning("the lights stay dark: %s", error)
                    return
                shown = frame
            with self._changed:
                if not self._closing and PATTERNS[self._state] is pattern:
                    self._changed.wait(None if len(pattern.rhythm) == 1 and not pointing else FRAME)
