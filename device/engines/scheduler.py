"""Shares the engines fairly: a few worker threads, finals before everything, partial work never in the way."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Priority(IntEnum):
    """What is done first; equal priorities are served in the order they came."""

    FINAL = 0
    """Somebody waits: a final transcript or its translation."""
    SPEECH = 1
    """A clause that will be heard next."""
    AHEAD = 2
    """Work that becomes the final if the speaker has really stopped."""
    PARTIAL = 3
    """Disposable: partial transcripts and clauses synthesised on a guess."""


TOGETHER = 4
"""Calls whose shared work is done together: with more of them each gains little and waits longer."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a call that takes less time for several calls together; each call can do without."""

    key: object
    """Calls with the same object share."""
    work: Callable[[Sequence[Any]], None]
    """Does it for the items of several calls."""
    item: Any


def sensible_threads(cores: int | None = None) -> tuple[int, int]:
    """Return (workers, threads of one engine call) for a machine with ``cores`` cores.

    Two threads in one call pay only while the other core is idle, and cost up to twice the time when it is not;
    calls side by side always pay. So cores go to workers first, and from four on each call gets two threads.
    """
    cores = cores or len(os.sched_getaffinity(0))
    return (2, 1) if cores < 4 else (3, 2)


class Scheduler:
    """A bounded priority pool for engine calls.

    One worker is kept free of ``PARTIAL`` work, so that a final never waits for a partial to end. Waiting
    ``PARTIAL`` work is bounded by ``limit``; what does not fit is refused at once (the caller will have a newer
    guess soon). Finals are never refused: their number is bounded by the conversations that make them.
    """

    def __init__(self, workers: int = 2, limit: int = 32) -> None:
        self._limit = limit
        self._partial_slots = max(1, workers - 1)
        self._ready = threading.Condition()
        self._urgent: list[tuple[int, int, _Job]] = []
        self._partial: list[tuple[int, int, _Job]] = []
        self._partial_running = 0
        self._order = itertools.count()
        self._stopping = False
        self._running: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._work, name=f"engine-{i}", daemon=True) for i in range(max(1, workers))
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, priority: Priority, call: Callable[..., T], *args: Any, share: Share | None = None
    ) -> Future[T] | None:
        """Queue ``call(*args)``; ``None`` when it is partial work and there is no room, or after `close`.

        Of urgent calls that wait with a ``share`` of the same key, up to `TOGETHER` are taken at once, and what they
        share is done before the first of them.
        """
        job = _Job(call, args, share)
        with self._ready:
            if self._stopping:
                return None
            queue = self._partial if priority == Priority.PARTIAL else self._urgent
            if queue is self._partial and len(queue) >= self._limit:
                return None
            heappush(queue, (priority, next(self._order), job))
            self._ready.notify()
        return job.future

    @property
    def waiting(self) -> int:
        """Urgent calls for which no worker is free."""
        return len(self._urgent)

    def stuck_for(self) -> float:
        """Return for how many seconds the call that has run longest has been running; infinity if a worker died."""
        with self._ready:
            if not all(thread.is_alive() for thread in self._threads):
                return float("inf")
            return time.monotonic() - min(self._running.values()) if self._running else 0.0

    def close(self) -> None:
        """Finish what runs, cancel what waits, and end the threads."""
        with self._ready:
            self._stopping = True
            waiting = [job for _, _, job in self._urgent + self._partial]
            self._urgent.clear()
            self._partial.clear()
            self._ready.notify_all()
        for job in waiting:  # whoever is told of it may hold a lock under which others submit
            job.future.cancel()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _work(self) -> None:
        while True:
            with self._ready:
                while not (self._stopping or self._urgent or self._partial_due()):
                    self._ready.wait()
                if self._stopping:
                    return
                partial = not self._urgent
                _, _, job = heappop(self._partial if partial else self._urgent)
                jobs = [job, *self._companions(job)]
                self._partial_running += partial
                self._running[threading.get_ident()] = time.monotonic()
            try:
                if len(jobs) > 1:
                    _do_shared([each.share for each in jobs if each.share is not None])
                for each in jobs:
                    self._running[threading.get_ident()] = time.monotonic()
                    each.run()
            finally:
                with self._ready:
                    del self._running[threading.get_ident()]
                    if partial:
                        self._partial_running -= 1
                        self._ready.notify()

    def _companions(self, job: _Job) -> list[_Job]:
        """Take from the queue what shares work with ``job``, the first that came first."""
        if job.share is None:
            return []
        found = sorted(entry for entry in self._urgent if entry[2].share and entry[2].share.key is job.share.key)
        found = found[: TOGETHER - 1]
        if found:
            self._urgent = [entry for entry in self._urgent if entry not in found]
            heapify(self._urgent)
        return [companion for _, _, companion in found]

    def _partial_due(self) -> bool:
        return bool(self._partial) and self._partial_running < self._partial_slots


def _do_shared(shares: Sequence[Share]) -> None:
    try:
        shares[0].work([share.item for share in shares])
    except Exception:
        log.exception("shared work failed; each call does its own")


class _Job:
    __slots__ = ("args", "call", "future", "share")

    def __init__(self, call: Callable[..., Any], args: tuple[Any, ...], share: Share | None) -> None:
        self.call, self.args, self.share = call, args, share
        self.future: Future[Any] = Future()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.call(*self.args)
        except BaseException as error:  # noqa: BLE001 - the future carries it to whoever asked
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Meter:
    """Adds up processor and wall time spent inside engines, by stage; cheap enough to be always on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.cpu: defaultdict[str, float] = defaultdict(float)
        self.wall: defaultdict[str, float] = defaultdict(float)
        self.audio: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def stage(self, name: str) -> Iterator[Call]:
        """Account the block to ``name``; the block may say how many seconds of audio it worked on or made."""
        call = Call()
        cpu, wall = time.thread_time(), time.perf_counter()
        try:
            yield call
        finally:
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            with self._lock:
                self.cpu[name] += cpu
                self.wall[name] += wall
                self.audio[name] += call.audio
                self.calls[name] += 1


@dataclass(slots=True)
class Call:
    """One metered engine call."""

    audio: float = 0.0
    """Seconds of audio it worked on or made."""
