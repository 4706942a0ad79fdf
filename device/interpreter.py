"""The heart: samples in, events out, for one conversation. Microphone, file and socket all use this class.

While somebody talks, the utterance so far is recognised and translated again and again, and clauses that no
longer change are synthesised. All results are remembered, so that at the end of speech only what is new is left
to do. In a short pause the utterance is treated as if it were over: when the pause turns out to be the end, the
final, its translation and the first clause of its voice are already there.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial

from device.answers import Answers
from device.config import Settings
from device.directions import Direction, load_directions
from device.emission import Emission
from device.engines.protocols import Recognition, Synthesizer
from device.engines.registry import Engines
from device.engines.scheduler import Priority
from device.errors import DragomanError
from device.events import (
    SAMPLE_RATE,
    Error,
    Event,
    Final,
    Partial,
    PartialTranslation,
    Samples,
    Sink,
    SpeechStarted,
    SpokenWord,
    Translation,
)
from device.hearing import Hearing, speech_in
from device.recognizing import Recognizing
from device.speakers import Speakers
from device.speaking import Speaking
from device.text.clauses import split_clauses
from device.text.room import TextRoom
from device.text.steady import SteadyText
from device.translation import TextTranslator
from device.utterance import Settled, Utterance

log = logging.getLogger(__name__)

FIRST_PARTIAL = 0.65
"""Seconds of speech before the first partial."""
UNHURRIED = 3
"""Utterances whose finals may be worked on while who feeds faster than real time goes on."""


class Interpreter:
    """Interprets one conversation.

    Parameters
    ----------
    engines
        Loaded models and the scheduler that runs them, shared with other conversations.
    settings
        ``directions``, ``identify``, ``endpoint``, ``partials``, ``speech`` and ``text`` are used.
    sink
        Receives every event in order, one at a time, on whichever thread made it.
    speakers
        Of a conversation that this one goes on with, where people are told apart: they keep their numbers.

    Raises
    ------
    DragomanError
        When a direction needs a model that is not installed.
    """

    def __init__(self, engines: Engines, settings: Settings, sink: Sink, speakers: Speakers | None = None) -> None:
        self._scheduler, self._settings = engines.scheduler, settings
        self._meter = engines.meter
        self._text = TextRoom(settings.text, engines.punctuator)
        self._directions = load_directions(engines, settings)
        self._id = uuid.uuid4().hex[:8]
        self._lock = threading.RLock()
        self._recognizing = Recognizing(engines, settings, self._directions, self._lock, speakers)
        self._changed = threading.Condition(self._lock)
        self._emission = Emission(sink)
        self._answers = Answers(self._changed, self._emission, self.now, self._recognizing.speaker, engines.tidy)
        self._hearing = Hearing(engines.vad(settings.endpoint), settings.endpoint, engines.meter, self)
        self._speaking = Speaking(
            engines.scheduler, engines.meter, self._lock, self._answers.post, self._part_done, self._emission.flush
        )
        self._began: float | None = None
        self._turn: int | None = None
        self._passes = self._count = 0

    # What comes in

    def begin_turn(self, direction: int = 0, *, hands_free: bool = False) -> None:
        """Listen from now on (and a moment before, in case the button was late).

        ``hands_free`` ends utterances after ``endpoint.silence``; a held button waits for ``turn_silence``.
        A turn that goes on is ended first.
        """
        if not 0 <= direction < len(self._directions):
            raise DragomanError(f"there is no direction {direction}: {len(self._directions)} configured")
        with self._lock:
            self._hearing.end()
            self._turn = direction
            self._hearing.begin(hands_free=hands_free)
        self._emission.flush()

    def end_turn(self, after: float = 0.0) -> None:
        """Stop listening: what was said so far is final.

        While somebody is talking, listen on for up to ``after`` seconds of audio, until he pauses.
        """
        with self._lock:
            self._hearing.end(after)
        self._emission.flush()

    def end_utterance(self) -> None:
        """Treat what was said so far as complete, and go on listening."""
        with self._lock:
            self._hearing.end_utterance()
        self._emission.flush()

    def feed(self, samples: Samples, azimuth: float | None = None) -> None:
        """Hear ``samples``: 16 kHz mono float32, any number of them. Returns quickly.

        ``azimuth`` is where they come from, in degrees, where an array knows.
        """
        with self._lock:
            self._start_clock(samples)
            self._hearing.azimuth = azimuth
            self._hearing.feed(samples)
        self._emission.flush()

    @staticmethod
    def feed_together(fed: Mapping[Interpreter, Samples]) -> dict[Interpreter, Exception]:
        """Feed several conversations that share their engines; takes less time than one after the other.

        Nobody else feeds them, or ends their turns, meanwhile. Returns those that failed, and why: the others go on.
        """
        frames = []
        for interpreter, samples in fed.items():
            with interpreter._lock:
                interpreter._start_clock(samples)
                frames.append(interpreter._hearing.cut(samples))
        heard = speech_in([each._hearing for each in fed], frames, next(iter(fed))._meter)
        failed: dict[Interpreter, Exception] = {}
        for interpreter, cut, likely in zip(fed, frames, heard, strict=True):
            try:
                with interpreter._lock:
                    for frame, speech in zip(cut, likely, strict=True):
                        interpreter._hearing.hear(frame, speech)
            except Exception as error:
                log.exception("hearing failed")
                failed[interpreter] = error
            interpreter._emission.flush()
        return failed

    def _start_clock(self, samples: Samples) -> None:
        if self._began is None:
            self._began = time.monotonic() - len(samples) / SAMPLE_RATE

    def steer(self, direction: int) -> None:
        """Take it that whoever talks next in this turn talks in ``direction``; what is being said stays as it is."""
        with self._lock:
            if self._turn is not None:
                self._turn = direction

    def now(self) -> float:
        """Return the seconds since the start of the audio."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def speakers(self) -> Speakers | None:
        """The people who are told apart, where they are."""
        return self._recognizing.speakers

    @property
    def listening(self) -> bool:
        """Whether a turn is going on."""
        return self._turn is not None and not self._hearing.ending

    @property
    def busy(self) -> bool:
        """Whether finals are still being worked out."""
        return bool(self._answers)

    @property
    def behind(self) -> bool:
        """Whether who can feed faster than real time had better wait for the work."""
        return bool(self._passes) or len(self._answers) >= UNHURRIED

    def keep_up(self) -> None:
        """Wait until the work keeps up with the audio: for callers that can feed faster than real time."""
        with self._changed:
            self._changed.wait_for(lambda: not self.behind)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was fed has been answered; false when ``timeout`` seconds were not enough."""
        with self._changed:
            done = self._changed.wait_for(lambda: not (self._passes or self._answers), timeout)
        self._emission.flush(wait=True)
        return done

    def close(self, timeout: float | None = None) -> bool:
        """End the turn and wait for its finals."""
        self.end_turn()
        return self.wait(timeout)

    # What is heard: all of this runs under the lock, on the thread that feeds

    def began(self, start: int, speech_start: int) -> Utterance:
        """Make an utterance: somebody begins to talk."""
        self._count += 1
        assert self._turn is not None
        direction = self._directions[self._turn]
        utterance = Utterance(
            id=f"{self._id}-{self._count:05d}",
            direction=self._turn,
            session=direction.session(),
            start=start,
            speech_start=speech_start,
            capacity=round(self._settings.endpoint.max_utterance * SAMPLE_RATE),
        )
        self._began_at(utterance)
        return utterance

    def _began_at(self, utterance: Utterance) -> None:
        self._emission.emit(
            SpeechStarted(
                emitted=self.now(), utterance=utterance.id, start=utterance.begins, direction=utterance.direction
            )
        )

    def grew(self, utterance: Utterance) -> None:
        """Show a partial when one is due."""
        settings = self._settings.partials
        if not settings.enabled or utterance.pass_running:
            return
        if utterance.last_pass == 0:
            due = utterance.speech_start - utterance.start + FIRST_PARTIAL * SAMPLE_RATE
        else:
            cheap = self._directions[utterance.direction].recognizer.suits_partials
            wait = max(settings.interval, utterance.pass_cost * (1.25 if cheap else 3.0))
            due = utterance.last_pass + wait * SAMPLE_RATE
        if utterance.length < due:
            return
        utterance.pass_running = True  # before it runs, for it may be over before this goes on
        if self._submit_pass(Priority.PARTIAL, self._partial_pass, utterance, utterance.length) is None:
            utterance.pass_running = False
        else:
            utterance.last_pass = utterance.length

    def paused(self, utterance: Utterance) -> None:
        """Work out the end ahead of time."""
        recognition: Future[Recognition] = Future()
        length = utterance.length
        job = self._submit_pass(Priority.AHEAD, self._settled_pass, utterance, length, recognition)
        if job is not None:
            utterance.settled = Settled(length, job, recognition)
            utterance.last_pass = length

    def _submit_pass(self, priority: Priority, call: Callable[..., None], *args: object) -> Future[None] | None:
        job = self._scheduler.submit(priority, call, *args)
        if job is not None:
            self._passes += 1
            job.add_done_callback(self._pass_done)
        return job

    def _pass_done(self, job: Future[None]) -> None:
        with self._changed:
            self._passes -= 1
            self._changed.notify_all()
        if not job.cancelled() and (error := job.exception()):
            log.error("partial work failed: %s", error, exc_info=error)

    def stopped(self) -> None:
        """Take note that the turn is over."""
        self._turn = None

    def ended(self, utterance: Utterance) -> None:
        """Begin to answer a complete utterance."""
        self._answers.expect(utterance)
        self._answer(utterance)

    def _answer(self, utterance: Utterance) -> None:
        share = self._recognizing.share(utterance)
        job = self._scheduler.submit(Priority.FINAL, self._final, utterance, share=share)
        if job is None:
            self._answers.fail(utterance, "the device is shutting down")
        else:
            job.add_done_callback(partial(self._final_done, utterance))

    def _final_done(self, utterance: Utterance, job: Future[None]) -> None:
        if job.cancelled():
            self._answers.fail(utterance, "the device is shutting down")
            self._emission.flush()

    # Working: all of this runs on the scheduler's threads

    def _partial_pass(self, utterance: Utterance, length: int) -> None:
        began = time.monotonic()
        try:
            if not utterance.closed and self._recognizing.identify(utterance, length, final=False):
                self._guess(
                    utterance, length, self._recognizing.recognize(utterance, length, final=False), settled=False
                )
        finally:
            utterance.pass_cost = time.monotonic() - began
            utterance.pass_running = False

    def _settled_pass(self, utterance: Utterance, length: int, future: Future[Recognition]) -> None:
        try:
            self._recognizing.identify(utterance, length, final=True)
            # A streaming session can be finished only once, and its answer so far costs next to nothing.
            final = not self._directions[utterance.direction].recognizer.incremental
            recognition = self._recognizing.recognize(utterance, length, final=final)
        except BaseException as error:
            future.set_exception(error)
            raise
        future.set_result(recognition)
        self._guess(utterance, length, recognition, settled=True)
        self._recognizing.tell_apart(utterance, length)

    def _guess(self, utterance: Utterance, length: int, recognition: Recognition, *, settled: bool) -> None:
        """Show what is known so far, and work ahead on it."""
        if not recognition.text:
            return
        direction = self._directions[utterance.direction]
        heard = self._text.partial(recognition.text, direction.settings.source)
        # What is worked ahead in a pause is the final's own text, so that the final finds it done.
        meant = self._text.final(recognition.text, direction.settings.source).meant if settled else heard.meant
        if not meant:
            return
        end = (utterance.start + length) / SAMPLE_RATE
        with self._lock:
            if length < utterance.guess.length:
                return
            utterance.guess.length = length
            utterance.guess.revision += 1
            revision = utterance.guess.revision
        self._show(
            utterance, revision,
            partial(
                Partial, utterance=utterance.id, revision=revision, text=heard.shown,
                language=direction.settings.source, start=utterance.begins, end=end,
            ),
        )  # fmt: skip
        if not (self._settings.partials.translate or settled):
            return
        for number, translator in enumerate(direction.translators):
            try:
                translated = translator.translate(meant)
            except Exception as error:  # noqa: BLE001 - the other targets go on; the final tells why this one does not
                log.warning("partial translation into %s failed: %s", translator.target, error)
                continue
            shown = self._text.shown_so_far(translated.text, translator.target)
            if self._settings.partials.steady:
                steady = utterance.guess.steady.setdefault(translator.target, SteadyText(translator.target))
                shown = steady.update(shown) or shown  # a first guess, that may change, rather than nothing
            if shown:
                self._show(
                    utterance, revision,
                    partial(
                        PartialTranslation, utterance=utterance.id, revision=revision, text=shown,
                        language=translator.target, source_language=direction.settings.source,
                        start=utterance.begins, end=end,
                    ),
                )  # fmt: skip
            if number == 0 and direction.synthesizer is not None:
                clauses = self._clauses(translated.text, direction.synthesizer)
                self._speaking.ahead(utterance, direction.synthesizer, clauses, settled=settled)

    def _show(self, utterance: Utterance, revision: int, event: Callable[..., Event]) -> None:
        """Emit a partial event, unless the final or a newer guess has overtaken it."""
        with self._lock:
            overtaken = utterance.closed or revision < utterance.guess.revision
            if not overtaken and self._settings.partials.enabled:
                self._emission.emit(event(emitted=self.now()))
        self._emission.flush()

    def _clauses(self, text: str, voice: Synthesizer) -> list[str]:
        return split_clauses(self._text.spoken(text, voice.language), voice.language)

    def _final(self, utterance: Utterance) -> None:
        try:
            self._divide(utterance)
            final, meant = self._transcribe(utterance)
        except Exception as error:
            log.exception("recognition failed")
            self._answers.fail(utterance, f"recognition failed: {error}")
            self._emission.flush()
            return
        if final is None:
            self._answers.end(utterance, has_text=False)
            self._emission.flush()
            return
        self._answers.post(utterance, final)
        self._emission.flush()
        utterance.outstanding = 1
        direction = self._directions[utterance.direction]
        for number, translator in enumerate(direction.translators):
            translated = self._final_translation(utterance, translator, meant, direction)
            if translated and number == 0 and direction.synthesizer is not None:
                self._speak(utterance, direction.synthesizer, translated)
        self._part_done(utterance)
        self._emission.flush()

    def _divide(self, utterance: Utterance) -> None:
        """Answer what other people went on to say as utterances of their own, which follow this one."""
        try:
            parts = self._recognizing.divide(utterance)
        except Exception:
            log.exception("telling speakers apart failed")  # what was said counts for more than who said it
            return
        with self._lock:
            self._answers.expect_after(utterance, parts)
            for part in parts:
                self._began_at(part)
        for part in parts:
            self._answer(part)

    def _transcribe(self, utterance: Utterance) -> tuple[Final | None, str]:
        """Return the transcript, if there is one, and the text that is to be translated."""
        began = time.monotonic()
        recognition = self._recognizing.final(utterance)
        cost = time.monotonic() - began
        language = self._directions[utterance.direction].settings.source
        heard = self._text.final(recognition.text, language)
        if not heard.meant:
            return None, ""
        words = self._text.words(_timed(recognition, utterance.start / SAMPLE_RATE), heard, language)
        final = Final(
            emitted=0.0, utterance=utterance.id, sequence=0, text=heard.shown, forms=heard.forms, language=language,
            start=utterance.begins, end=utterance.ends, direction=utterance.direction, azimuth=utterance.azimuth,
            confidence=recognition.confidence, words=words,
            timings={"endpoint": (utterance.noticed - utterance.speech_end) / SAMPLE_RATE, "asr": cost},
        )  # fmt: skip
        return final, heard.meant

    def _final_translation(
        self, utterance: Utterance, translator: TextTranslator, text: str, direction: Direction
    ) -> str | None:
        try:
            began = time.monotonic()
            translated = translator.translate(text)
            cost = time.monotonic() - began
            shown = self._text.shown(translated.text, translator.target)
        except Exception as error:
            log.exception("translation failed")
            self._post_error(
                utterance, "translation", f"translation into {translator.target}", translator.target, error
            )
            return None
        self._answers.post(
            utterance,
            Translation(
                emitted=0.0, utterance=utterance.id, sequence=0, text=shown, language=translator.target,
                source_language=direction.settings.source, start=utterance.begins, end=utterance.ends,
                route=translator.route, models=translator.models, confidence=translated.confidence,
                timings={"mt": cost},
            ),
        )  # fmt: skip
        self._emission.flush()
        return translated.text

    def _speak(self, utterance: Utterance, voice: Synthesizer, text: str) -> None:
        try:
            clauses = self._clauses(text, voice)
        except Exception as error:
            log.exception("speech failed")
            self._post_error(utterance, "speech", f"speech in {voice.language}", voice.language, error)
            return
        self._speaking.speak(utterance, voice, clauses)

    def _post_error(self, utterance: Utterance, code: str, what: str, language: str, error: Exception) -> None:
        text = f"{what} failed: {error}"
        self._answers.post(
            utterance, Error(emitted=0.0, utterance=utterance.id, language=language, code=code, text=text)
        )

    def _part_done(self, utterance: Utterance) -> None:
        with self._lock:
            utterance.outstanding -= 1
            if not utterance.outstanding:
                self._answers.end(utterance, has_text=True)


def _timed(recognition: Recognition, start: float) -> tuple[SpokenWord, ...]:
    """Return the words of audio that began at ``start``, with times in the conversation."""
    return tuple(SpokenWord(w.text, start + w.start, start + w.end, w.confidence) for w in recognition.words)
