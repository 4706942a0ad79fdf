"""What is published without the outbox: the newest value of each retained topic, and messages for now or not at all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from device.mqtt.topics import Message

MOST_VOLATILE = 256
"""Volatile messages that may wait to be sent."""

Volatile = tuple[float, Message]
"""A message and when (monotonic) it is too old to be sent."""


@dataclass(slots=True)
class _Newest:
    """The newest value of a retained topic."""

    message: Message
    version: int = 0
    sent: int = -1
    """Version that was sent on this connection."""


class Retained:
    """The newest value of every retained topic; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._topics: dict[str, _Newest] = {}

    def set(self, message: Message) -> None:
        """Take a topic's new value."""
        with self._lock:
            if (held := self._topics.get(message.topic)) is None:
                self._topics[message.topic] = _Newest(message)
            else:
                held.message = message
                held.version += 1

    def unsent(self) -> list[tuple[int, Message]]:
        """Return the values, each with its version, that were not sent on this connection."""
        with self._lock:
            return [(held.version, held.message) for held in self._topics.values() if held.sent != held.version]

    def sent(self, topic: str, version: int) -> None:
        """Note that a version was sent."""
        with self._lock:
            self._topics[topic].sent = version

    def connected(self) -> None:
        """Begin again: another connection is told everything."""
        with self._lock:
            for held in self._topics.values():
                held.sent = -1


class VolatileQueue:
    """Messages that wait to be sent while they are fresh; every method may be called from any thread."""

    def __init__(self) -> None:
        self.dropped = 0
        """Messages that could not be sent while they were fresh."""
        self._lock = threading.Lock()
        self._connected = False
        self._waiting: deque[Volatile] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def connected(self) -> None:
        """Note that there is a connection."""
        with self._lock:
            self._connected = True

    def append(self, message: Message) -> None:
        """Take a message, without a connection only one to be acknowledged; of too many the oldest goes."""
        with self._lock:
            if message.qos == 0 and not self._connected:
                self.dropped += 1
                return
            if len(self._waiting) >= MOST_VOLATILE:
                self._waiting.popleft()
                self.dropped += 1
            expires = float("inf") if message.expiry is None else time.monotonic() + message.expiry
            self._waiting.append((expires, message))

    def next(self, *, acknowledged: bool) -> Volatile | None:
        """Take out the oldest message that is fresh; None when there is none.

        Nor is there one while the oldest is to be acknowledged and ``acknowledged`` says that none such may be sent.
        """
        with self._lock:
            while self._waiting and (acknowledged or self._waiting[0][1].qos == 0):
                expires, message = self._waiting.popleft()
                if time.monotonic() <= expires:
                    return expires, message
                self.dropped += 1
        return None

    def drop(self) -> None:
        """Note that a message which was taken out is lost."""
        with self._lock:
            self.dropped += 1

    def put_back(self, item: Volatile) -> None:
        """Let a message wait again that the connection did not take."""
        with self._lock:
            self._waiting.appendleft(item)

    def lost(self, unacknowledged: Iterable[Volatile]) -> None:
        """Keep, of a connection that is gone, what was not acknowledged, and only that: the rest was for now."""
        with self._lock:
            self._connected = False
            unsent = [item for item in self._waiting if item[1].qos > 0]
            self.dropped += len(self._waiting) - len(unsent)
            self._waiting = deque([*unacknowledged, *unsent])
