"""Where GPIO pins come from: lgpio on a Raspberry Pi or a Jetson, or pins that programs press.

Mock pins are a way to run, not only to test: with ``controls.pins = "mock"`` everything behind the contact is
the real thing, and `mock_press` and `mock_release` are the finger::

    mock_press(17)
    mock_release(17)
"""

from __future__ import annotations

import atexit
import glob
import logging
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

from device.config import Pins
from device.controls.jetson import find_header, header_factory
from device.errors import DragomanError

log = logging.getLogger(__name__)

GPIO_CHIPS = "/dev/gpiochip*"
OTHER_TRIGGERS = 'talk by MQTT cmd/listen or the keyboard in `dragoman listen`, or set controls.pins = "mock"'

_lock = threading.Lock()
_mock: Any = None


def open_factory(pins: Pins) -> Any | None:
    """Return the gpiozero pin factory to make devices with, or None where there are no pins.

    gpiozero's process-wide default factory is neither used nor changed.

    Raises
    ------
    DragomanError
        When lgpio was asked for by name and cannot be used.
    """
    if pins is Pins.NONE:
        return None
    if pins is Pins.MOCK:
        return mock_factory()
    try:
        return _lgpio_factory()
    except Exception as error:  # noqa: BLE001 - lgpio, gpiozero and the kernel each raise types of their own
        reason = _reason(error)
        if pins is Pins.LGPIO:
            raise DragomanError(f"no GPIO: {reason}; {OTHER_TRIGGERS}") from None
        log.warning("no GPIO: %s; buttons are off; %s", reason, OTHER_TRIGGERS)
        return None


def _lgpio_factory() -> Any:
    if not glob.glob(GPIO_CHIPS):  # noqa: PTH207 - an absolute pattern
        raise FileNotFoundError(f"this machine has no {GPIO_CHIPS}")
    # lgpio makes a pipe in its working directory, $LG_WD, when it is imported, and leaves the process there. Under
    # systemd the directory it would choose is not writable, and elsewhere relative paths would go wrong.
    if "LG_WD" not in os.environ:
        os.environ["LG_WD"] = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or _scratch_folder()
    here = Path.cwd()
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    finally:
        os.chdir(here)
    header = find_header()
    return LGPIOFactory() if header is None else header_factory(header)


def _scratch_folder() -> str:
    folder = tempfile.mkdtemp(prefix="dragoman-lgpio-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _reason(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"lgpio cannot be imported ({error})"
    if type(error).__name__ == "PinUnknownPi":
        return "this is neither a Raspberry Pi nor a Jetson whose header is known"
    return " ".join(str(error).split()) or type(error).__name__


def mock_factory() -> Any:
    """Return this process's mock pins (a ``gpiozero.pins.mock.MockFactory``)."""
    global _mock  # noqa: PLW0603 - one set of pins a process, as on a real board
    from gpiozero.pins.mock import MockFactory, MockPWMPin

    with _lock:
        if _mock is None:
            _mock = MockFactory(pin_class=MockPWMPin)
        return _mock


def mock_press(pin: int | str = 17) -> None:
    """Press the button that is wired to a mock pin, and keep it down."""
    _drive(pin, pressed=True)


def mock_release(pin: int | str = 17) -> None:
    """Let go of the button that is wired to a mock pin."""
    _drive(pin, pressed=False)


def _drive(pin: int | str, *, pressed: bool) -> None:
    wired = mock_factory().pin(pin)
    # A pulled-up contact is wired to ground, and so reads low when it is pressed.
    if (wired.pull == "up") == pressed:
        wired.drive_low()
    else:
        wired.drive_high()
