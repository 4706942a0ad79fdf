"""The shared engines as the conversations of clients see them, so that all get their finals in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from device.engines.registry import Engines
from device.engines.scheduler import Priority, Share

P = ParamSpec("P")
T = TypeVar("T")


LATE = 0.3
"""Seconds that a final may wait for a worker before partials are left out."""
REST = 3.0
"""Seconds for which they are."""


class Load:
    """Whether finals are late at the moment; shared by all conversations."""

    def __init__(self) -> None:
        self._late_until = 0.0

    @property
    def high(self) -> bool:
        """Whether work that can be left out had better be."""
        return time.monotonic() < self._late_until

    def watched(self, call: Callable[P, T]) -> Callable[P, T]:
        """Return ``call`` so that it notes how long it waits, from now until it is called.

        How long it then takes is no matter: on a slow machine even a lone speaker's final takes its time.
        """
        began = time.monotonic()

        def watched(*args: P.args, **kwargs: P.kwargs) -> T:
            now = time.monotonic()
            if now - began > LATE:
                self._late_until = now + REST
            return call(*args, **kwargs)

        return watched


class Shared:
    """The engines for one of many live conversations: while finals are late, they alone are worked on.

    Working ahead in a pause saves a listener half a second where the machine is idle, and costs another
    recognition where the pause was not the end: many conversations at once cannot afford that.
    """

    def __init__(self, engines: Engines, load: Load) -> None:
        self._engines, self._load, self.scheduler = engines, load, self

    def submit(
        self, priority: Priority, call: Callable[..., T], *args: Any, share: Share | None = None
    ) -> Future[T] | None:
        """Queue a call as `Scheduler.submit` does, or refuse it."""
        scheduler = self._engines.scheduler
        if (priority >= Priority.AHEAD and self._load.high) or (priority == Priority.AHEAD and scheduler.waiting):
            return None
        if priority == Priority.FINAL:
            call = self._load.watched(call)
        return scheduler.submit(priority, call, *args, share=share)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engines, name)


class Unhurried(Shared):
    """The engines for work that nobody waits for: its finals come after all that live conversations need."""

    def submit(
        self, priority: Priority, call: Callable[..., T], *args: Any, share: Share | None = None
    ) -> Future[T] | None:
        """Queue a call after urgent ones; nothing is worked ahead."""
        if priority == Priority.AHEAD:
            return None
        return self._engines.scheduler.submit(max(priority, Priority.AHEAD), call, *args, share=share)
