"""Push to talk: buttons on GPIO pins, mock pins, and the keyboard; whose turn it is to talk."""

from device.controls.buttons import Buttons
from device.controls.controller import TurnController
from device.controls.gestures import ButtonAction
from device.controls.pins import mock_press, mock_release

__all__ = ["ButtonAction", "Buttons", "TurnController", "mock_press", "mock_release"]
