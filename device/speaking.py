"""The voice of a conversation: clauses are synthesised once, ahead of time where that is likely to be wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from device.engines.protocols import Synthesizer
from device.engines.scheduler import Meter, Priority, Scheduler
from device.events import Error, Event, Samples, Speech
from device.utterance import Clause, Spoken, Utterance

log = logging.getLogger(__name__)


class Speaking:
    """Speaks the translations of utterances.

    Parameters
    ----------
    scheduler, meter
        The engines'.
    lock
        Guards the utterances.
    post
        Emits an event of an utterance in its turn; called under the lock.
    done
        Called, under the lock, when all of an utterance has been spoken.
    flush
        Hands out what was posted; called without the lock.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        meter: Meter,
        lock: threading.RLock,
        post: Callable[[Utterance, Event], None],
        done: Callable[[Utterance], None],
        flush: Callable[[], None],
    ) -> None:
        self._scheduler, self._meter, self._lock = scheduler, meter, lock
        self._post, self._done, self._flush = post, done, flush

    def ahead(self, utterance: Utterance, voice: Synthesizer, clauses: Sequence[str], *, settled: bool) -> None:
        """Begin to speak what will probably stay: the first of a settled text, else clauses that two guesses share."""
        with self._lock:
            before, utterance.guess.clauses = utterance.guess.clauses, tuple(clauses)
            if settled:
                likely, priority = list(clauses[:2]), Priority.AHEAD
            else:
                likely = [a for a, b in zip(clauses[:-1], before[:-1], strict=False) if a == b]
                priority = Priority.PARTIAL
            if not utterance.closed:
                for clause in likely:
                    self._clause(utterance, voice, clause, priority)

    def speak(self, utterance: Utterance, voice: Synthesizer, clauses: Sequence[str]) -> None:
        """Speak the final translation of an utterance; what was spoken ahead is used."""
        with self._lock:
            wanted = [self._clause(utterance, voice, clause, Priority.SPEECH) for clause in clauses]
            utterance.spoken = Spoken([clause for clause in wanted if clause is not None])
            utterance.outstanding += 1
        self._hand_out(utterance, voice)

    def _clause(self, utterance: Utterance, voice: Synthesizer, text: str, priority: Priority) -> Clause | None:
        """Return a clause, synthesised once; work that waits is moved up when it has become urgent."""
        clause = utterance.clauses.get(text)
        if clause is not None and not (priority < clause.priority and clause.job is not None and clause.job.cancel()):
            return clause
        clause = Clause(text, priority)
        clause.job = self._scheduler.submit(priority, self._synthesize, utterance, voice, clause)
        if clause.job is None:
            return None
        utterance.clauses[text] = clause
        clause.job.add_done_callback(partial(self._cancelled, utterance, voice, clause))
        return clause

    def _cancelled(self, utterance: Utterance, voice: Synthesizer, clause: Clause, job: Future[None]) -> None:
        """Go on without a clause that is not made any more: the engines close."""
        if job.cancelled():
            clause.done = True
            self._hand_out(utterance, voice)

    def _synthesize(self, utterance: Utterance, voice: Synthesizer, clause: Clause) -> None:
        try:
            pieces = voice.stream(clause.text)
            while True:
                with self._meter.stage("tts") as call:
                    piece = next(pieces, None)
                    call.audio = 0.0 if piece is None else len(piece) / voice.sample_rate
                if piece is None:
                    break
                with self._lock:
                    clause.pieces.append(piece)
                    if utterance.closed and utterance.spoken and clause not in utterance.spoken.clauses:
                        return  # guessed wrong: the final goes without it
                self._hand_out(utterance, voice)
        except Exception as error:
            log.exception("speech failed")
            clause.error = str(error)
        clause.done = True
        self._hand_out(utterance, voice)

    def _hand_out(self, utterance: Utterance, voice: Synthesizer) -> None:
        """Post the pieces of speech that are ready, in order."""
        with self._lock:
            spoken = utterance.spoken
            if spoken is None or spoken.clause > len(spoken.clauses):
                return
            while spoken.clause < len(spoken.clauses):
                clause = spoken.clauses[spoken.clause]
                for samples in clause.pieces[spoken.piece :]:
                    self._post_speech(utterance, voice, clause.text if spoken.piece == 0 else "", samples)
                    spoken.piece += 1
                if not clause.done:
                    break
                if clause.error is not None:
                    self._post(
                        utterance,
                        Error(
                            emitted=0.0, utterance=utterance.id, language=voice.language, code="speech",
                            text=f"speech in {voice.language} failed: {clause.error}",
                        ),
                    )  # fmt: skip
                spoken.clause, spoken.piece = spoken.clause + 1, 0
            if spoken.clause == len(spoken.clauses):
                spoken.clause += 1  # only once
                self._done(utterance)
        self._flush()

    def _post_speech(self, utterance: Utterance, voice: Synthesizer, text: str, samples: Samples) -> None:
        assert utterance.spoken is not None
        self._post(
            utterance,
            Speech(
                emitted=0.0, utterance=utterance.id, index=utterance.spoken.count, text=text, language=voice.language,
                voice=voice.voice, sample_rate=voice.sample_rate, duration=len(samples) / voice.sample_rate,
                samples=samples, start=utterance.begins, end=utterance.ends,
            ),
        )  # fmt: skip
        utterance.spoken.count += 1
