"""Gives the turns a clock and a thread, and tells the daemon what came of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from device.closing import Closing
from device.config import ControlSettings, Trigger
from device.controls.gestures import ButtonAction
from device.controls.turns import Alert, ButtonUsed, Outcome, TurnBegan, TurnEnded, Turns

log = logging.getLogger(__name__)

BACKLOG = 256
"""When so many outcomes wait to be told, further presses are not taken: whoever is told is far too late."""


class TurnController(Closing):
    """Runs `Turns` in real time.

    Inputs may come from any thread and never block. The callbacks are called from the controller's own thread,
    one at a time and in order: begin and end of turns always alternate. A callback that fails is logged, and
    stops nothing.

    Parameters
    ----------
    settings
        Buttons, mode and times.
    on_turn_begin
        Called with the direction in which somebody now talks.
    on_turn_end
        Called when that turn is over.
    on_button
        Called with a button's name and ``press``, ``release``, ``hold`` or ``double``.
    on_alert
        Called with an alert's id and its text, or None when it is over.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        settings: ControlSettings,
        on_turn_begin: Callable[[int], None],
        on_turn_end: Callable[[], None],
        on_button: Callable[[str, ButtonAction], None] = lambda _name, _action: None,
        on_alert: Callable[[str, str | None], None] = lambda _id, _text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turns = Turns(settings)
        self._on_turn_begin = on_turn_begin
        self._on_turn_end = on_turn_end
        self._on_button = on_button
        self._on_alert = on_alert
        self._clock = clock
        self._outcomes: deque[Outcome] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="dragoman-controls", daemon=True)
        self._thread.start()

    @property
    def mode(self) -> Trigger:
        """What starts a turn now."""
        return self._turns.mode

    @property
    def direction(self) -> int | None:
        """Direction of the turn that runs, or None."""
        return self._turns.direction

    def edge(self, name: str, pressed: bool) -> None:
        """Take a new level of a button's contact."""
        with self._changed:
            if pressed and len(self._outcomes) >= BACKLOG:
                log.warning("the button %r is pressed faster than anything can follow", name)
                return
            self._turns.edge(name, pressed, self._clock())
            self._settle()

    def found_down(self, name: str) -> None:
        """Take it that a button was already down at the start: it must be released first."""
        with self._changed:
            self._turns.found_down(name, self._clock())
            self._settle()

    def begin(self, direction: int = 0) -> bool:
        """Begin a turn by command; returns whether a turn in this direction runs now (see `Turns.begin`)."""
        with self._changed:
            running = self._turns.begin(direction, self._clock())
            self._settle()
            return running

    def end(self) -> bool:
        """End the turn that runs by command; returns whether one did."""
        with self._changed:
            ended = self._turns.end(self._clock())
            self._settle()
            return ended

    def toggle(self, direction: int | None = None) -> None:
        """Do what a key does that has no release: begin a turn, hand it over to a direction, or end it.

        With no direction whatever turn runs is ended, or the first direction's begins.
        """
        with self._changed:
            running = self._turns.direction
            if running is not None and direction in (None, running):
                self.end()
            else:
                self.begin(direction or 0)

    def set_mode(self, mode: Trigger) -> None:
        """Change what starts a turn; one that runs ends."""
        with self._changed:
            self._turns.set_mode(mode, self._clock())
            self._settle()

    def close(self) -> None:
        """End the turn that runs, tell what is still to be told, and stop."""
        self.end()
        with self._changed:
            self._closing = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _settle(self) -> None:
        """Queue what came of an input; the lock is held."""
        self._outcomes.extend(self._turns.take())
        self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._turns.advance(self._clock())
                self._outcomes.extend(self._turns.take())
                if not self._outcomes:
                    if self._closing:
                        return
                    deadline = self._turns.deadline()
                    self._changed.wait(None if deadline is None else max(0.0, deadline - self._clock()))
                    continue
                outcome = self._outcomes.popleft()
            try:
                self._tell(outcome)
            except Exception:
                log.exception("a callback of the controls failed on %s", outcome)

    def _tell(self, outcome: Outcome) -> None:
        match outcome:
            case TurnBegan(direction=direction):
                self._on_turn_begin(direction)
            case TurnEnded(cut=cut):
                if cut:
                    log.info("a turn was cut at the longest turn")
                self._on_turn_end()
            case ButtonUsed(name=name, action=action):
                self._on_button(name, action)
            case Alert(id=alert, text=text):
                self._on_alert(alert, text)
