"""The shared engines as work sees them that nobody waits for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from device.engines.registry import Engines
from device.engines.scheduler import Priority

P = ParamSpec("P")
T = TypeVar("T")


class Unhurried:
    """The engines for work that nobody waits for: its finals come after all that live conversations need."""

    def __init__(self, engines: Engines) -> None:
        self._engines, self.scheduler = engines, self

    def submit(self, priority: Priority, call: Callable[P, T], *args: P.args) -> Future[T] | None:  # type: ignore[valid-type]
        """Queue a call as `Scheduler.submit` does, after urgent ones."""
        return self._engines.scheduler.submit(max(priority, Priority.AHEAD), call, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engines, name)
