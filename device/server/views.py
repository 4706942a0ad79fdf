"""The shared engines as the conversations of clients see them, so that all get their finals in time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from device.engines.registry import Engines
from device.engines.scheduler import Priority

P = ParamSpec("P")
T = TypeVar("T")


class Shared:
    """The engines for one of many live conversations: nothing is worked ahead while others wait for their finals.

    Working ahead in a pause saves a listener half a second where the machine is idle, and costs another
    recognition where the pause was not the end: many conversations at once cannot afford that.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines, self.scheduler = engines, self

    def submit(self, priority: Priority, call: Callable[P, T], *args: P.args) -> Future[T] | None:  # type: ignore[valid-type]
        """Queue a call as `Scheduler.submit` does, or refuse it."""
        scheduler = self._engines.scheduler
        if priority == Priority.AHEAD and scheduler.waiting:
            return None
        return scheduler.submit(priority, call, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engines, name)


class Unhurried(Shared):
    """The engines for work that nobody waits for: its finals come after all that live conversations need."""

    def submit(self, priority: Priority, call: Callable[P, T], *args: P.args) -> Future[T] | None:  # type: ignore[valid-type]
        """Queue a call after urgent ones; nothing is worked ahead."""
        if priority == Priority.AHEAD:
            return None
        return self._engines.scheduler.submit(max(priority, Priority.AHEAD), call, *args)
