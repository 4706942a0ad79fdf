"""What becomes of an entry that the broker did not take: what is held back, for how long, and what is told of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from device.mqtt.entry import Entry
from device.mqtt.pace import Pace

_LOG = logging.getLogger(__name__)

NO_MATCHING_SUBSCRIBERS = 0x10
NOT_AUTHORIZED = 0x87
TOPIC_NAME_INVALID = 0x90
PACKET_TOO_LARGE = 0x95
PAYLOAD_FORMAT_INVALID = 0x99
"""Reason codes of a PUBACK (MQTT 5.0, 3.4.2.1)."""
FIRST_FAILURE = 0x80
"""Reason codes from here on say that a message was not taken."""

REFUSED_ALERT = "mqtt-refused"

_REASONS = {
    NOT_AUTHORIZED: "not authorised",
    TOPIC_NAME_INVALID: "topic name invalid",
    PACKET_TOO_LARGE: "packet too large",
    0x97: "quota exceeded",
    PAYLOAD_FORMAT_INVALID: "payload format invalid",
}


@dataclass(slots=True)
class _Hold:
    """Why and until when something is not sent."""

    until: float
    wait: float
    refused: bool = True
    """The broker said no; false where only nobody listens yet."""


class Refusals:
    """Decides which entries wait: one, all of a topic, or all; used on the publisher's thread alone.

    Parameters
    ----------
    pace
        How long.
    on_alert
        Called with the alert's id and text when the broker refuses something, None when that is over.
    """

    def __init__(self, pace: Pace, on_alert: Callable[[str, str | None], None]) -> None:
        self.parked: set[int] = set()
        """Ids of entries that this connection cannot take at all; they stay in the outbox."""
        self._pace = pace
        self._on_alert = on_alert
        self._topics: dict[str, _Hold] = {}
        self._queue: _Hold | None = None
        self._told: str | None = None
        self._connected_at = 0.0

    def connected(self) -> None:
        """Begin again: another connection may take what the last one did not."""
        self.parked.clear()
        self._topics.clear()
        self._queue = None
        self._connected_at = time.monotonic()

    def held_topics(self) -> list[str] | None:
        """Return the topics that nothing may be sent on now; None where nothing may be sent at all."""
        now = time.monotonic()
        if self._queue is not None and now < self._queue.until:
            return None
        return [topic for topic, hold in self._topics.items() if now < hold.until]

    def patience(self, longest: float) -> float:
        """Return the seconds, ``longest`` at most, until something that is held may be tried again."""
        holds = [*self._topics.values(), *([self._queue] if self._queue else [])]
        now = time.monotonic()
        return min([longest, *(max(0.01, hold.until - now) for hold in holds if hold.until > now)])

    def judge(self, entry: Entry, reason: int) -> bool:
        """Take a PUBACK's reason code for ``entry``; True when the broker has it now."""
        now = time.monotonic()
        pace, last = self._pace, self._topics.get(entry.topic)
        if reason == NO_MATCHING_SUBSCRIBERS and now - self._connected_at < pace.subscriber_grace:
            wait = min(last.wait * 2, pace.unheard_longest) if last else pace.unheard_first
            self._topics[entry.topic] = _Hold(now + wait, wait, refused=False)
            return False
        if reason < FIRST_FAILURE:
            self._taken(entry)
            return True
        if reason in (PAYLOAD_FORMAT_INVALID, PACKET_TOO_LARGE):
            self.parked.add(entry.id)  # it stays in the outbox, and the next has its turn
        elif reason in (NOT_AUTHORIZED, TOPIC_NAME_INVALID):
            wait = min(last.wait * 2, pace.hold_longest) if last else 0.0
            wait = max(wait, pace.hold_first)
            self._topics[entry.topic] = _Hold(now + wait, wait)
        else:
            wait = min(self._queue.wait * 2, pace.retry_longest) if self._queue else pace.quota_first
            self._queue = _Hold(now + wait, wait)
        self._tell(entry, reason)
        return False

    def _taken(self, entry: Entry) -> None:
        self._queue = None
        self._topics.pop(entry.topic, None)
        refused = any(hold.refused for hold in self._topics.values())
        if self._told is not None and not refused and not self.parked:
            self._told = None
            self._on_alert(REFUSED_ALERT, None)

    def _tell(self, entry: Entry, reason: int) -> None:
        text = (
            f"the broker refuses {entry.topic} ({reason_text(reason)}): mend its permissions or limits;"
            " the messages are kept and tried again"
        )
        if text != self._told:
            self._told = text
            _LOG.error("%s", text)
            self._on_alert(REFUSED_ALERT, text)


def reason_text(code: int) -> str:
    """Return what a PUBACK's reason code means."""
    return _REASONS.get(code, f"reason 0x{code:02X}")
