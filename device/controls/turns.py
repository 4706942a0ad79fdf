"""Whose turn it is to talk: the state machine behind the buttons, the broker's commands and the keyboard.

Pure: it knows no clock, thread or pin. Every input comes with its time (seconds, as float), and what came of it
is collected with the time at which it happened.

While one person talks the others wait: a button that is pressed during a held turn begins its own turn when the
first is released, if it is still down. A latched turn (toggle mode, or begun by a command) is handed over at
once: it ends, and the other direction's begins. A button that is stuck, or whose turn was ended by a command or
a change of mode, must be released before it begins another; other triggers go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from device.config import ControlSettings, Trigger
from device.controls.gestures import ButtonAction, Gestures


class TurnState(Enum):
    """Who keeps the turn open."""

    IDLE = auto()
    """Nobody talks."""
    HELD = auto()
    """A button that is down; the turn ends with its release."""
    LATCHED = auto()
    """Nothing but time: the turn goes on until somebody ends it."""


class Cue(Enum):
    """What can make a turn begin or end."""

    HOLD = auto()
    """A button is pressed in hold mode, or was waiting."""
    TOGGLE = auto()
    """A button is pressed in toggle mode: no turn runs, or one in the button's own direction."""
    BEGIN = auto()
    """A command asks for a turn, and none runs, or one in that direction."""
    SWITCH = auto()
    """A toggle or a command asks for the other direction."""
    RELEASE = auto()
    """The button that holds the turn is released."""
    END = auto()
    """A command or a change of mode ends the turn."""
    CUT = auto()
    """The turn has lasted for the longest time."""


TRANSITIONS = {
    (TurnState.IDLE, Cue.HOLD): TurnState.HELD,
    (TurnState.IDLE, Cue.TOGGLE): TurnState.LATCHED,
    (TurnState.IDLE, Cue.BEGIN): TurnState.LATCHED,
    (TurnState.HELD, Cue.RELEASE): TurnState.IDLE,
    (TurnState.HELD, Cue.END): TurnState.IDLE,
    (TurnState.HELD, Cue.CUT): TurnState.IDLE,
    (TurnState.LATCHED, Cue.HOLD): TurnState.HELD,
    (TurnState.LATCHED, Cue.TOGGLE): TurnState.IDLE,
    (TurnState.LATCHED, Cue.SWITCH): TurnState.LATCHED,
    (TurnState.LATCHED, Cue.END): TurnState.IDLE,
    (TurnState.LATCHED, Cue.CUT): TurnState.IDLE,
}
"""Every transition ends the turn it comes from, if that was one, and begins the turn it goes to, if that is one.
A pair that is not listed changes nothing."""


@dataclass(frozen=True)
class TurnBegan:
    """Somebody may talk in a direction."""

    time: float
    direction: int


@dataclass(frozen=True)
class TurnEnded:
    """The turn that ran is over."""

    time: float
    cut: bool
    """It was cut at the longest turn."""


@dataclass(frozen=True)
class ButtonUsed:
    """A button was pressed, released, held or pressed twice."""

    time: float
    name: str
    action: ButtonAction


@dataclass(frozen=True)
class Alert:
    """Something needs a person; with no text it no longer does."""

    time: float
    id: str
    text: str | None


Outcome = TurnBegan | TurnEnded | ButtonUsed | Alert


class Turns:
    """The state machine. Inputs must come in the order of their times; an earlier time counts as the latest."""

    def __init__(self, settings: ControlSettings) -> None:
        self.state = TurnState.IDLE
        self.direction: int | None = None
        """Direction of the turn that runs."""
        self.mode = settings.trigger
        self._longest = settings.longest_turn
        self._buttons = {button.name: Gestures(button, settings) for button in settings.buttons}
        self._holder: Gestures | None = None
        self._began = 0.0
        self._now = float("-inf")
        self._outcomes: list[Outcome] = []

    def edge(self, name: str, pressed: bool, now: float) -> None:
        """Take the raw level of a button's contact."""
        now = self.advance(now)
        self._buttons[name].edge(pressed, now)
        self.advance(now)

    def found_down(self, name: str, now: float) -> None:
        """Take it that a button was down when it was first looked at."""
        self._buttons[name].found_down(self.advance(now))

    def begin(self, direction: int, now: float) -> bool:
        """Begin a latched turn; returns whether a turn in this direction runs now.

        It does not when the microphone is open, for then there are no turns, or while a button is held.
        """
        now = self.advance(now)
        if self.mode is not Trigger.OPEN:
            other = self.direction is not None and direction != self.direction
            self._cue(Cue.SWITCH if other else Cue.BEGIN, now, direction)
        return self.direction == direction

    def end(self, now: float) -> bool:
        """End the turn that runs; returns whether one did. Buttons that are down must be released first."""
        now = self.advance(now)
        for button in self._buttons.values():
            button.armed = False
        return self._cue(Cue.END, now)

    def set_mode(self, mode: Trigger, now: float) -> None:
        """Change what starts a turn; one that runs ends."""
        now = self.advance(now)
        if mode is not self.mode:
            self.end(now)
            self.mode = mode

    def deadline(self) -> float | None:
        """Tell when to call `advance` next, if no input comes before."""
        times = [due[0] for due in (button.due() for button in self._buttons.values()) if due]
        if self.state is not TurnState.IDLE:
            times.append(self._began + self._longest)
        return min(times, default=None)

    def advance(self, now: float) -> float:
        """Let everything happen that is due by now, in order; returns the time it is."""
        self._now = max(self._now, now)
        while (deadline := self.deadline()) is not None and deadline <= self._now:
            if self.state is not TurnState.IDLE and self._began + self._longest <= deadline:
                self._cue(Cue.CUT, deadline)
                continue
            for button in self._buttons.values():
                due = button.due()
                if due is not None and due[0] <= deadline:
                    self._happened(button, *due)
                    break
        return self._now

    def take(self) -> list[Outcome]:
        """Return what came of the inputs since the last call, in order."""
        taken, self._outcomes = self._outcomes, []
        return taken

    def _happened(self, button: Gestures, time: float, due: ButtonAction) -> None:
        if due is ButtonAction.STUCK:
            button.perform(due, time)
            text = f"the button {button.name!r} has been down for {self._longest:g} s; it counts again once released"
            self._outcomes.append(Alert(time, _alert_id(button), text))
            return
        for action in button.perform(due, time):
            self._outcomes.append(ButtonUsed(time, button.name, action))
        if due is ButtonAction.PRESS:
            self._pressed(button, time)
        elif due is ButtonAction.RELEASE:
            if button.stuck:
                button.stuck = False
                self._outcomes.append(Alert(time, _alert_id(button), None))
            if self._holder is button:
                self._cue(Cue.RELEASE, time)

    def _pressed(self, button: Gestures, time: float) -> None:
        if self.mode is Trigger.HOLD:
            self._cue(Cue.HOLD, time, button.direction, button)
        elif self.mode is Trigger.TOGGLE:
            button.armed = False
            other = self.direction is not None and button.direction != self.direction
            self._cue(Cue.SWITCH if other else Cue.TOGGLE, time, button.direction)

    def _cue(self, cue: Cue, time: float, direction: int = 0, holder: Gestures | None = None) -> bool:
        """Make the transition, if there is one; returns whether there was."""
        following = TRANSITIONS.get((self.state, cue))
        if following is None:
            return False
        if self.state is not TurnState.IDLE:
            self._outcomes.append(TurnEnded(time, cut=cue is Cue.CUT))
        self.state, self.direction, self._holder = following, None, None
        if following is not TurnState.IDLE:
            self.direction, self._holder, self._began = direction, holder, time
            if holder is not None:
                holder.armed = False
                holder.restart(time)
            self._outcomes.append(TurnBegan(time, direction))
        elif waiting := [button for button in self._buttons.values() if button.armed]:
            first = min(waiting, key=lambda button: button.pressed_at)
            self._cue(Cue.HOLD, time, first.direction, first)
        return True


def _alert_id(button: Gestures) -> str:
    return f"button-stuck-{button.name}"
