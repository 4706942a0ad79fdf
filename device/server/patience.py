"""A time limit for waiting again and again, at the price of one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class Patience:
    """Waits for one thing after another, for each at most ``seconds``; used by one task at a time.

    It does what ``asyncio.timeout`` does, whose timers would be made and thrown away with every message.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait for ``awaitable``.

        Raises
        ------
        TimeoutError
            It took longer.
        """
        task = self._task = asyncio.current_task(self._loop)
        assert task is not None
        cancelled = task.cancelling()
        self._began = self._loop.time()
        self._expired = False
        if self._timer is None:
            self._timer = self._loop.call_at(self._began + self._seconds, self._look)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if self._expired and task.uncancel() <= cancelled:
                raise TimeoutError from None
            raise
        finally:
            self._task = None

    def stop(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """See whether what is waited for is late; the timer goes on only while something is."""
        self._timer = None
        if self._task is None:
            return
        end = self._began + self._seconds
        if self._loop.time() < end:
            self._timer = self._loop.call_at(end, self._look)
        else:
            self._expired = True
            self._task.cancel()
