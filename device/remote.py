"""The device as a page sees and steers it: its conversation as it goes on, and its button under a finger."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from device.commanded import Commanded
from device.config import DirectionSettings, Trigger
from device.errors import DragomanError
from device.events import Event, State
from device.mqtt import commands
from device.orders import Orders, Reply

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """What the device is doing, and how it is set."""

    state: State
    mode: Trigger
    direction: int | None
    """Of the turn that runs."""
    sides: tuple[str, str]
    """The language that is spoken in the first direction, and the one that is spoken back."""
    muted: bool
    volume: float
    problems: tuple[str, ...]
    """Ids of the alerts that are up."""


Watcher = Callable[["Event | Status"], None]
"""Receives what happens, in order; returns quickly."""


class Remote:
    """Lets pages watch one daemon and tell it what to do. Every method may be called from any thread.

    What pages ask for goes the way of the broker's commands (:mod:`device.orders`); all of them raise
    `DragomanError` where it cannot be done.
    """

    def __init__(self, daemon: Commanded, orders: Orders) -> None:
        self._daemon, self._orders = daemon, orders
        self._lock = threading.Lock()
        self._watchers: tuple[Watcher, ...] = ()

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell ``watcher`` of every event and change from now on; returns what ends that."""
        with self._lock:
            self._watchers += (watcher,)

        def leave() -> None:
            with self._lock:
                self._watchers = tuple(other for other in self._watchers if other is not watcher)

        return leave

    def tell(self, event: Event) -> None:
        """Pass on what happened."""
        self._tell(event)

    def changed(self) -> None:
        """Pass on that the device's state is another one."""
        if self._watchers and (status := self.status()) is not None:
            self._tell(status)

    def _tell(self, news: Event | Status) -> None:
        for watcher in self._watchers:
            try:
                watcher(news)
            except Exception:
                log.exception("a page could not be told")  # and the device goes on

    def status(self) -> Status | None:
        """Return how the device is; None while it starts or stops."""
        daemon = self._daemon
        if not daemon.ready:
            return None
        directions = daemon.settings.directions
        back = next(iter(directions[0].targets), directions[-1].source)
        return Status(
            state=daemon.state,
            mode=daemon.controller.mode,
            direction=daemon.controller.direction,
            sides=(directions[0].source, back),
            muted=daemon.muted,
            volume=daemon.voice.player.volume,
            problems=tuple(sorted(daemon.problems)),
        )

    def languages(self) -> tuple[str, ...]:
        """Return the languages that the conversation is spoken in or translated into now, each once."""
        directions = self._daemon.settings.directions
        return tuple(dict.fromkeys(language for way in directions for language in (way.source, *way.targets)))

    def press(self, direction: int) -> None:
        """Do what a press of the direction's button does.

        A device that is set to one direction learns the way back first.
        """
        daemon = self._ready()
        if direction and len(daemon.settings.directions) < 2:
            there = daemon.settings.directions[0]
            self.converse(there.source, next(iter(there.targets), there.source))
        self._orders.obey(commands.Listen(direction=direction))

    def release(self) -> None:
        """End the turn; what was said is answered."""
        if self._daemon.ready:
            self._daemon.controller.end()

    def converse(self, first: str, second: str) -> None:
        """Interpret between two languages; the way back is left out where no installed model knows it."""
        daemon = self._ready()
        there = DirectionSettings(source=first, targets=(second,))
        back = DirectionSettings(source=second, targets=(first,))
        try:
            daemon.converse((there, back))
        except DragomanError:
            daemon.converse((there,))
        daemon.changed()

    def obey(self, command: commands.Command) -> Reply | Future[Reply] | None:
        """Carry out a command as if it came from the broker."""
        self._ready()
        return self._orders.obey(command)

    def _ready(self) -> Commanded:
        if not self._daemon.ready:
            raise DragomanError("the device is starting or stopping; try again in a moment")
        return self._daemon
