"""What those who steer the device ask of it: the contract between commands, pages and the daemon."""

from __future__ import annotations

from typing import Any, Protocol

from device.config import DirectionSettings, Settings, Trigger
from device.controls.controller import TurnController
from device.engines.registry import Engines
from device.events import State
from device.interpreter import Interpreter
from device.voice import Voice


class Commanded(Protocol):
    """A running device. Every member may be used from any thread."""

    settings: Settings
    engines: Engines
    interpreter: Interpreter
    """The conversation; another one after `redirect` and `converse`."""
    voice: Voice
    controller: TurnController

    @property
    def ready(self) -> bool:
        """Whether it has started, and does not stop yet; until then there are no parts to be used."""
        ...

    @property
    def state(self) -> State:
        """What it is doing."""
        ...

    @property
    def muted(self) -> bool:
        """Whether it does not listen at all."""
        ...

    @property
    def problems(self) -> frozenset[str]:
        """Ids of the alerts that are up."""
        ...

    def changed(self) -> None:
        """Tell everybody what the state is now."""
        ...

    def redirect(self, direction: int, **changes: Any) -> None:
        """Change one direction's settings; `DragomanError` where a model is missing, and all stays as it was."""
        ...

    def converse(self, directions: tuple[DirectionSettings, ...]) -> None:
        """Change all directions, as `redirect` changes one."""
        ...

    def set_mode(self, mode: Trigger) -> None:
        """Change what starts a turn."""
        ...

    def mute(self, muted: bool) -> None:
        """Stop or begin to listen at all."""
        ...
