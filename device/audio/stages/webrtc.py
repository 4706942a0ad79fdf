"""The binding to WebRTC's audio processing, imported only where a stage that needs it is switched on."""

from __future__ import annotations

import importlib
from typing import Any

from device.errors import DragomanError


def library() -> Any:
    """Return the module ``pywebrtc_audio``.

    Raises
    ------
    DragomanError
        It is not installed.
    """
    try:
        return importlib.import_module("pywebrtc_audio")
    except ImportError as error:
        raise DragomanError(
            "WebRTC's echo cancellation and noise suppression need the package pywebrtc-audio; "
            "install it, or set frontend.echo.method to kalman and frontend.noise.method to off"
        ) from error
