"""Hands events out in order, one at a time, without holding up whoever makes them."""

from __future__ import annotations

import logging
import threading
from collections import deque

from device.events import Event, Sink

log = logging.getLogger(__name__)


class Emission:
    """A queue of events before a listener.

    ``emit`` is called under the lock that gives events their order; ``flush`` outside it, so that a slow listener
    holds up nobody who listens to a microphone. A listener that fails is logged, and stops nothing.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._outgoing: deque[Event] = deque()
        self._emitting = threading.Lock()

    def emit(self, event: Event) -> None:
        """Queue an event."""
        self._outgoing.append(event)

    def flush(self, *, wait: bool = False) -> None:
        """Hand out what is queued.

        One thread at a time hands out. Another one leaves its events to it, or waits for it with ``wait``.
        """
        while (self._outgoing or wait) and self._emitting.acquire(blocking=wait):
            wait = False
            try:
                while self._outgoing:
                    event = self._outgoing.popleft()
                    try:
                        self._sink(event)
                    except Exception:
                        log.exception("a listener failed on %s", event.type)
            finally:
                self._emitting.release()
