"""Whether connections to the broker last: how soon to come back after one, and whether another device cuts them."""

from __future__ import annotations

import time

from device.mqtt.pace import Pace

STABLE = 10.0
"""A connection that lived this many seconds, and twice as long as the last wait, was a good one: the next attempt is
made at once."""
SUSPICIOUS = 3
"""Good connects in a row that were cut before long: a second device of the same name does that, with brokers that do
not say why (mosquitto before 2.0.12)."""


class Steadiness:
    """Remembers how the last connections went; used on the publisher's thread alone."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._failures = 0
        self._cut = 0
        """How often in a row a connection was made and cut before long."""
        self._good_after = STABLE
        self._connected_at = 0.0

    @property
    def is_suspicious(self) -> bool:
        """Whether connections are cut so often that it looks as if another device had the same name."""
        return self._cut >= SUSPICIOUS

    def failed(self) -> None:
        """Note that no connection was made."""
        self._cut = 0

    def began(self) -> None:
        """Note that a connection was made."""
        self._connected_at = time.monotonic()

    def ended(self, *, farewell: bool, taken_over: bool) -> None:
        """Note that a connection ended, whether the broker said so, and that it was for another of the same name."""
        is_short = self._age() < self._good_after
        self._cut = self._cut + 1 if is_short and not farewell else int(taken_over)
        if not is_short:
            self._failures = 0

    def lasts(self) -> bool:
        """Whether the connection that there is has become a good one."""
        if self._age() <= self._good_after:
            return False
        self._cut = 0
        return True

    def wait(self, *, refused: bool) -> float:
        """Return the seconds until the next attempt; ``refused`` where only a person can mend what is wrong."""
        wait = self._pace.back_off(self._failures, refused=refused)
        self._good_after = max(STABLE, 2 * wait)
        self._failures += 1
        return wait

    def _age(self) -> float:
        return time.monotonic() - self._connected_at
