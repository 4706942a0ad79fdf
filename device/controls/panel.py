"""The panel: a rotary encoder and buttons for volume, language and mute, and the output that tells of mute."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from device.closing import Closing
from device.config import ControlSettings, PanelSettings
from device.controls.pins import open_factory
from device.errors import DragomanError

log = logging.getLogger(__name__)

MOST_WAITING = 64
"""Turns and presses that may wait; somebody who turns faster than they are followed loses some."""


class Panel(Closing):
    """Watches the panel's pins and tells what people want, on its own thread and in order.

    What a callback cannot do (a language without its models) is logged as a warning, and nothing else happens.

    Parameters
    ----------
    settings, controls
        The panel's pins; where pins come from, the debouncing time and the mute output.
    on_volume
        Called with the change of volume, such as -0.05.
    on_language
        Called with 1 for the next language, or -1 for the one before.
    on_mute
        Called when mute is to change.

    Raises
    ------
    DragomanError
        A pin does not exist or is taken, or half an encoder is configured.
    """

    def __init__(
        self,
        settings: PanelSettings,
        controls: ControlSettings,
        on_volume: Callable[[float], None],
        on_language: Callable[[int], None],
        on_mute: Callable[[], None],
    ) -> None:
        self._settings, self._debounce = settings, controls.debounce
        self._on_volume, self._on_language, self._on_mute = on_volume, on_language, on_mute
        self._turns_language = False
        self._wishes: queue.Queue[Callable[[], None] | None] = queue.Queue(MOST_WAITING)
        self._devices: list[Any] = []
        self._lamp: Any = None
        self._thread = threading.Thread(target=self._run, name="panel", daemon=True)
        if (settings.encoder_a is None) != (settings.encoder_b is None):
            raise DragomanError("panel.encoder_a and panel.encoder_b belong together: set both, or none")
        used = settings.model_dump(
            include={"encoder_a", "encoder_push", "volume_up", "volume_down", "language", "mute"}
        )
        if controls.mute_pin is None and not any(pin is not None for pin in used.values()):
            return
        factory = open_factory(controls.pins)
        if factory is None:
            return
        try:
            self._open(factory, controls)
        except BaseException:
            self.close()
            raise
        self._thread.start()

    def show_muted(self, muted: bool) -> None:
        """Make the mute output high, or low."""
        if self._lamp is not None:
            self._lamp.value = muted

    def close(self) -> None:
        """Watch no longer, and free the pins."""
        for device in self._devices:
            device.close()
        self._devices.clear()
        self._lamp = None
        if self._thread.is_alive():
            self._wishes.put(None)
            if self._thread is not threading.current_thread():
                self._thread.join()

    def _open(self, factory: Any, controls: ControlSettings) -> None:
        from gpiozero import DigitalOutputDevice, GPIOZeroError, RotaryEncoder

        settings, step = self._settings, self._settings.volume_step
        try:
            if controls.mute_pin is not None:
                self._lamp = DigitalOutputDevice(controls.mute_pin, initial_value=False, pin_factory=factory)
                self._devices.append(self._lamp)
            if settings.encoder_a is not None:
                encoder = RotaryEncoder(settings.encoder_a, settings.encoder_b, max_steps=0, pin_factory=factory)
                self._devices.append(encoder)
                encoder.when_rotated_clockwise = lambda: self._turned(1)
                encoder.when_rotated_counter_clockwise = lambda: self._turned(-1)
            self._button(factory, settings.encoder_push, self._pushed)
            self._button(factory, settings.volume_up, lambda: self._wish(lambda: self._on_volume(step)))
            self._button(factory, settings.volume_down, lambda: self._wish(lambda: self._on_volume(-step)))
            self._button(factory, settings.language, lambda: self._wish(lambda: self._on_language(1)))
            self._button(factory, settings.mute, lambda: self._wish(self._on_mute))
        except (GPIOZeroError, OSError, ValueError) as error:
            raise DragomanError(f"the panel's pins cannot be used: {' '.join(str(error).split())}") from None

    def _button(self, factory: Any, pin: int | str | None, pressed: Callable[[], None]) -> None:
        from gpiozero import DigitalInputDevice

        if pin is None:
            return
        device = DigitalInputDevice(pin, pull_up=True, bounce_time=self._debounce or None, pin_factory=factory)
        self._devices.append(device)
        device.when_activated = pressed

    def _pushed(self) -> None:
        self._turns_language = not self._turns_language

    def _turned(self, steps: int) -> None:
        if self._turns_language:
            self._wish(lambda: self._on_language(steps))
        else:
            self._wish(lambda: self._on_volume(steps * self._settings.volume_step))

    def _wish(self, wish: Callable[[], None]) -> None:
        with suppress(queue.Full):
            self._wishes.put_nowait(wish)

    def _run(self) -> None:
        while (wish := self._wishes.get()) is not None:
            try:
                wish()
            except DragomanError as error:
                log.warning("the panel: %s", error)
            except Exception:
                log.exception("a wish of the panel failed")
