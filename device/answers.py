"""Answers in the order in which things were said, however long each takes to be found."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition

from device.emission import Emission
from device.events import Error, Event, Final, Translation, UtteranceEnded
from device.utterance import Utterance

MAX_WAITING = 16
"""Utterances that may wait for their finals before a listener is told that the machine is too slow."""


class Answers:
    """The complete utterances of one conversation that are still being answered. Safe to use from several threads.

    Parameters
    ----------
    changed
        Guards utterances, and is notified when one is answered.
    emission
        Where events go; whoever posts flushes it afterwards.
    now
        Tells the time for events.
    speaker
        Tells who says an utterance, when its final is about to go out.
    answered
        Called, under the lock, when an utterance is answered.
    """

    def __init__(
        self, changed: Condition, emission: Emission, now: Callable[[], float],
        speaker: Callable[[Utterance], int | None], answered: Callable[[], None],
    ) -> None:  # fmt: skip
        self._changed, self._emission, self._now = changed, emission, now
        self._speaker, self._answered = speaker, answered
        self._waiting: deque[Utterance] = deque()
        self._sequence = 0
        self._overloaded = False

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, utterance: Utterance) -> None:
        """Take an utterance that will be answered after all others; tell a listener once when they are too many."""
        with self._changed:
            self._waiting.append(utterance)
            overloaded = len(self._waiting) > MAX_WAITING
            if overloaded and not self._overloaded:
                text = "recognition falls behind the speakers"
                self._emission.emit(Error(emitted=self._now(), code="overloaded", text=text))
            self._overloaded = overloaded

    def expect_after(self, utterance: Utterance, parts: Sequence[Utterance]) -> None:
        """Take utterances that will be answered just after another one that waits."""
        with self._changed:
            place = self._waiting.index(utterance) + 1
            for part in reversed(parts):
                self._waiting.insert(place, part)

    def post(self, utterance: Utterance, event: Event) -> None:
        """Emit an event of an utterance in its turn."""
        with self._changed:
            utterance.posted.append(event)
            while self._waiting and (head := self._waiting[0]).posted:
                ready = dataclasses.replace(head.posted.popleft(), emitted=self._now())
                if isinstance(ready, Final):
                    self._sequence += 1
                    head.sequence, head.speaker = self._sequence, self._speaker(head)
                if isinstance(ready, Final | Translation):
                    ready = dataclasses.replace(ready, sequence=head.sequence, speaker=head.speaker)
                if isinstance(ready, Error):
                    ready = dataclasses.replace(ready, start=head.begins, end=head.ends)
                self._emission.emit(ready)
                if isinstance(ready, UtteranceEnded):
                    self._waiting.popleft()
                    self._changed.notify_all()
                    self._answered()

    def end(self, utterance: Utterance, *, has_text: bool) -> None:
        """Say that nothing more will be said about an utterance."""
        self.post(utterance, UtteranceEnded(emitted=0.0, utterance=utterance.id, has_text=has_text))

    def fail(self, utterance: Utterance, text: str) -> None:
        """Say why an utterance has no answer."""
        self.post(utterance, Error(emitted=0.0, utterance=utterance.id, code="recognition", text=text))
        self.end(utterance, has_text=False)
