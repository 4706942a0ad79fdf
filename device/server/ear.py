"""One ear for all conversations: what their clients send is heard on one thread, several at once."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from device.events import Samples
from device.interpreter import Interpreter

log = logging.getLogger(__name__)

PACE = 0.02
"""Seconds between two turns of the ear, so that with many clients a turn hears several at once."""


@dataclass(slots=True)
class _Waiting:
    """What one conversation has sent and nobody has heard yet."""

    samples: list[Samples] = field(default_factory=list)
    heard: Future[None] = field(default_factory=Future)

    def joined(self) -> Samples:
        """Return all of it."""
        return self.samples[0] if len(self.samples) == 1 else np.concatenate(self.samples)


class Ear:
    """Feeds interpreters on a thread of its own: the less often, the more it has to do.

    A thread a conversation would cost more in changes of threads than the conversations do, and hear each alone.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[Interpreter, _Waiting] = {}
        self._idle = self._urgent = self._stopping = False
        self._thread = threading.Thread(target=self._work, name="ear", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; what has not been heard yet is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()
        for waiting in self._waiting.values():
            waiting.heard.cancel()

    def put(self, interpreter: Interpreter, samples: Samples, *, urgent: bool = False) -> Future[None]:
        """Let ``interpreter`` hear samples, in the order they come; never waits.

        The future is done when it has heard these and all before them, and has the exception where that failed.
        ``urgent`` is for those who send no more until then.
        """
        with self._changed:
            waiting = self._waiting.get(interpreter)
            if waiting is None:
                waiting = self._waiting[interpreter] = _Waiting()
            waiting.samples.append(samples)
            self._urgent |= urgent
            if self._idle or urgent:
                self._changed.notify()
            return waiting.heard

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle = True
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                self._idle = self._urgent = False
                if self._stopping:
                    return
                turn, self._waiting = self._waiting, {}
            rested = time.monotonic() + PACE
            self._hear(
                {each: waiting for each, waiting in turn.items() if waiting.heard.set_running_or_notify_cancel()}
            )
            with self._changed:
                self._changed.wait_for(lambda: self._urgent or self._stopping, max(0.0, rested - time.monotonic()))

    @staticmethod
    def _hear(turn: dict[Interpreter, _Waiting]) -> None:
        if not turn:
            return
        try:
            failed = Interpreter.feed_together({each: waiting.joined() for each, waiting in turn.items()})
        except Exception as error:
            log.exception("hearing failed")
            failed = dict.fromkeys(turn, error)
        for each, waiting in turn.items():
            if each in failed:
                waiting.heard.set_exception(failed[each])
            else:
                waiting.heard.set_result(None)
