"""One button: its debounced level, and what people do with it. Pure: driven by levels and times, seconds as float."""

from __future__ import annotations

from enum import StrEnum

from device.config import ButtonSettings, ControlSettings


class ButtonAction(StrEnum):
    """What happened to a button."""

    PRESS = "press"
    RELEASE = "release"
    HOLD = "hold"
    """It has been down for the hold time."""
    DOUBLE = "double"
    """This press came soon after the one before; told after its ``press``."""
    STUCK = "stuck"
    """It has been down for longer than the longest turn."""


class Gestures:
    """Turns the raw levels of one button into actions.

    The first edge counts at once, so that a press is felt at once; what follows within the debounce time is
    bounce, and at its end the level counts that the contact came to rest at. So no release is ever lost.
    """

    def __init__(self, button: ButtonSettings, settings: ControlSettings) -> None:
        self.name = button.name
        self.direction = button.direction
        self.down = False
        self.armed = False
        """Whether it may still begin a turn with this press."""
        self.pressed_at = 0.0
        self.stuck = False
        self._settings = settings
        self._level = False
        self._edge_at = 0.0
        self._settled_at = float("-inf")
        self._stuck_from = 0.0
        self._held = False
        self._double_from = float("-inf")

    def edge(self, level: bool, now: float) -> None:
        """Take a new raw level: True while the contact is pressed."""
        if level != self._level:
            self._level, self._edge_at = level, now

    def found_down(self, now: float) -> None:
        """Take it that the button was down when we first looked: that is no press, and it begins no turn."""
        self._level = self.down = self._held = True
        self.pressed_at = self._stuck_from = now

    def restart(self, now: float) -> None:
        """Count the time after which it is stuck from now: its turn begins only now."""
        self._stuck_from = now

    def due(self) -> tuple[float, ButtonAction] | None:
        """Tell what happens next if nobody touches the button, and when."""
        happenings = []
        if self._level != self.down:
            settles = max(self._edge_at, self._settled_at + self._settings.debounce)
            happenings.append((settles, ButtonAction.PRESS if self._level else ButtonAction.RELEASE))
        if self.down and not self._held:
            happenings.append((self.pressed_at + self._settings.hold_time, ButtonAction.HOLD))
        if self.down and not self.stuck:
            happenings.append((self._stuck_from + self._settings.longest_turn, ButtonAction.STUCK))
        return min(happenings, default=None)

    def perform(self, action: ButtonAction, now: float) -> list[ButtonAction]:
        """Let happen what was `due`; returns what people are told."""
        if action is ButtonAction.PRESS:
            self.down, self.armed, self._held, self._settled_at = True, True, False, now
            self.pressed_at = self._stuck_from = now
            if now - self._double_from <= self._settings.double_press:
                self._double_from = float("-inf")  # a third press is no second double
                return [action, ButtonAction.DOUBLE]
            self._double_from = now
        elif action is ButtonAction.RELEASE:
            self.down, self.armed, self._settled_at = False, False, now
        elif action is ButtonAction.HOLD:
            self._held = True
        else:
            self.stuck, self.armed = True, False
        return [action]
