"""What waits to be sent to one client: in order, with newer partials in the place of older ones, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

LIMIT = 1 << 20
"""Bytes that may wait before nothing more is heard from the client."""
STALLED = 30.0
"""Seconds that one message may take to leave."""

Send = Callable[[str | bytes], Awaitable[None]]


class StalledError(Exception):
    """The client does not read what it is sent."""


class Outbox:
    """Sends messages one after another; used on one event loop.

    A message with a ``key`` replaces an unsent one with the same key. Whoever makes messages out of what the client
    sends waits for `room` first, so that a client that does not read is not heard either.
    """

    def __init__(self, send: Send, limit: int = LIMIT) -> None:
        self._send, self._limit = send, limit
        self._waiting: dict[object, str | bytes] = {}
        self._bytes = 0
        self._changed = asyncio.Condition()
        self._wake = asyncio.Event()

    def put(self, message: str | bytes, key: object = None) -> None:
        """Add a message."""
        key = object() if key is None else key
        self._bytes += len(message) - len(self._waiting.get(key, b""))
        self._waiting[key] = message
        self._wake.set()

    def drop(self, key: object) -> None:
        """Forget an unsent message."""
        self._bytes -= len(self._waiting.pop(key, b""))

    @property
    def bytes(self) -> int:
        """How much waits."""
        return self._bytes

    async def room(self) -> None:
        """Wait until less than the limit waits."""
        if self._bytes < self._limit:
            return
        async with self._changed:
            await self._changed.wait_for(lambda: self._bytes < self._limit)

    async def sent(self) -> None:
        """Wait until everything has left."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._bytes)  # of which some may be on its way

    async def run(self) -> None:
        """Send until cancelled.

        Raises
        ------
        StalledError
            The client has not read for `STALLED` seconds.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                key = next(iter(self._waiting))
                message = self._waiting.pop(key)
                try:
                    async with asyncio.timeout(STALLED):
                        await self._send(message)
                except TimeoutError:
                    raise StalledError from None
                async with self._changed:
                    self._bytes -= len(message)
                    self._changed.notify_all()
