"""Push-to-talk buttons on GPIO pins, through gpiozero."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from device.closing import Closing
from device.config import ButtonSettings, ControlSettings
from device.controls.controller import TurnController
from device.controls.pins import open_factory
from device.errors import DragomanError


class Buttons(Closing):
    """Watches the configured buttons and gives the levels of their contacts to a controller.

    On a machine without GPIO there is one line in the log, and nothing to watch (`available` is false). Debouncing
    is the controller's, so that it is the same on every kind of pin.

    Raises
    ------
    DragomanError
        When a pin does not exist or is taken, or lgpio was asked for by name and cannot be used.
    """

    def __init__(self, settings: ControlSettings, controller: TurnController) -> None:
        self._controller = controller
        self._devices: list[Any] = []
        self._factory = open_factory(settings.pins)
        if self._factory is None:
            return
        try:
            for button in settings.buttons:
                self._open(button)
        except BaseException:
            self.close()
            raise

    @property
    def available(self) -> bool:
        """Whether there are pins to watch."""
        return self._factory is not None

    def _open(self, button: ButtonSettings) -> None:
        from gpiozero import DigitalInputDevice, GPIOZeroError

        try:
            device = DigitalInputDevice(button.pin, pull_up=button.active_low, pin_factory=self._factory)
        except (GPIOZeroError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DragomanError(f"the button {button.name!r} cannot use pin {button.pin}: {reason}") from None
        self._devices.append(device)
        if device.is_active:
            self._controller.found_down(button.name)
        device.when_activated = lambda: self._controller.edge(button.name, True)
        device.when_deactivated = lambda: self._controller.edge(button.name, False)

    def close(self) -> None:
        """Watch no longer, and free the pins."""
        for device in self._devices:
            with suppress(AttributeError):  # gpiozero's own close is not safe to call during an edge
                device.when_activated = device.when_deactivated = None
            device.close()
        self._devices.clear()
