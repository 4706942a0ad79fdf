"""From the sound of an utterance to its text, in whichever of the conversation's languages it was said."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from threading import RLock

from device.config import Settings
from device.directions import Direction, load_identifier
from device.engines.plausibility import plausible
from device.engines.protocols import Recognition, RecognitionSession, TogetherRecognizer
from device.engines.registry import Engines
from device.engines.scheduler import Meter, Share
from device.events import SAMPLE_RATE, Samples
from device.hearing import PAUSE
from device.speakers import Piece, Speakers
from device.text.rules import primary
from device.utterance import FRAME, Utterance

IDENTIFIED_AFTER = 1.2
"""Seconds of audio from which the language is told, where two are spoken; until then nothing is shown."""


class Recognizing:
    """Recognises the utterances of one conversation, on the scheduler's threads.

    Parameters
    ----------
    engines, settings
        As the conversation's.
    directions
        Its ways; `identify` moves an utterance from one to another.
    lock
        Guards utterances.
    speakers
        The people of a conversation that this one goes on with; by default nobody is known.

    Raises
    ------
    DragomanError
        No installed model tells the languages or the speakers apart, and that was asked for.
    """

    def __init__(
        self, engines: Engines, settings: Settings, directions: Sequence[Direction], lock: RLock,
        speakers: Speakers | None = None,
    ) -> None:  # fmt: skip
        self._meter, self._directions, self._lock = engines.meter, directions, lock
        self._identifier = load_identifier(engines, settings)
        self.speakers = speakers
        if speakers is None and settings.speakers.enabled:
            self.speakers = Speakers(*engines.telling_apart(), settings.speakers.most)

    def recognize(self, utterance: Utterance, length: int, *, final: bool) -> Recognition:
        """Recognise the first ``length`` samples; the text is empty where nobody seems to have said it."""
        audio = utterance.audio(length)
        with self._meter.stage("asr") as call:
            call.audio = length / SAMPLE_RATE
            recognition = utterance.session.recognize(audio, final=final)
        if recognition.text and plausible(recognition, audio, utterance.speech(length)):
            return recognition
        return dataclasses.replace(recognition, text="", words=())

    def identify(self, utterance: Utterance, length: int, *, final: bool) -> bool:
        """Choose an utterance's direction by its language; false while there is too little to tell by."""
        enough = round(IDENTIFIED_AFTER * SAMPLE_RATE)
        if self._identifier is None or utterance.identified >= min(length, enough):
            return True
        if not final and length < enough:
            return False
        with self._meter.stage("lid") as call:
            call.audio = length / SAMPLE_RATE
            heard = dict(self._identifier.detect_language(utterance.audio(length)))
        shares = [heard.get(primary(d.settings.source), 0.0) for d in self._directions]
        with self._lock:
            if utterance.identified < min(length, enough):
                utterance.identified = length
                chosen = max(range(len(shares)), key=shares.__getitem__)
                if chosen != utterance.direction and shares[chosen]:
                    utterance.direction = chosen
                    utterance.session = self._directions[chosen].session()
        return True

    def final(self, utterance: Utterance) -> Recognition:
        """Recognise a complete utterance, unless that was done in the pause before its end."""
        length, settled = _final_length(utterance), utterance.settled
        if self._identifier is not None:
            if settled is not None and not settled.job.cancel():
                settled.recognition.exception()  # it may be choosing the direction
            self.identify(utterance, length, final=True)
        incremental = self._directions[utterance.direction].recognizer.incremental
        if settled is not None and settled.length == length and not incremental and not settled.job.cancel():
            # It runs already or is done: to wait is never longer than to begin again.
            return settled.recognition.result()
        return self.recognize(utterance, length, final=True)

    def tell_apart(self, utterance: Utterance, length: int) -> list[Piece]:
        """Tell who says what in the first ``length`` samples; nothing where nobody asks for that."""
        if self.speakers is None:
            return []
        if utterance.told_apart is None or utterance.told_apart[0] != length:
            with self._meter.stage("speakers") as call:
                call.audio = length / SAMPLE_RATE
                utterance.told_apart = length, self.speakers.pieces(utterance.audio(length))
        return utterance.told_apart[1]

    def divide(self, utterance: Utterance) -> list[Utterance]:
        """Tell who says a complete utterance; what other people go on to say is taken out of it and returned."""
        if self.speakers is None or utterance.voice is not None:
            return []
        pieces = self.tell_apart(utterance, _final_length(utterance))
        utterance.voice = pieces[0].voice
        cuts = [round(piece.end * SAMPLE_RATE / FRAME) * FRAME for piece in pieces[:-1]]
        direction, later = self._directions[utterance.direction], []
        for number, (first, last) in enumerate(pairwise((*cuts, utterance.length)), start=1):
            part = utterance.part(f"{utterance.id}-{number + 1}", direction.session(), first, last)
            part.voice = pieces[number].voice
            later.append(part)
        if later:
            with self._lock:
                if utterance.settled is not None:  # it was recognised as a whole
                    utterance.settled.job.cancel()
                    utterance.settled = None
                utterance.shorten(cuts[0])
                utterance.session = direction.session()
        return later

    def speaker(self, utterance: Utterance) -> int | None:
        """Return the number of whoever says it; asked of utterances in the order in which they were said."""
        return None if self.speakers is None else self.speakers.number(utterance.voice)

    def share(self, utterance: Utterance) -> Share | None:
        """Return what the final has in common with those of other conversations that wait as well."""
        recognizer = self._directions[utterance.direction].recognizer
        told = self._identifier is not None or self.speakers is not None  # and then it may be another utterance
        if told or not isinstance(recognizer, TogetherRecognizer):
            return None
        length, settled = _final_length(utterance), utterance.settled
        if settled is not None and settled.length == length and (settled.job.running() or settled.job.done()):
            return None  # it need not be recognised again
        return Share(
            recognizer, partial(_prepare, self._meter, recognizer), (utterance.session, utterance.audio(length))
        )


def _final_length(utterance: Utterance) -> int:
    length = utterance.speech_end - utterance.start + round(PAUSE * SAMPLE_RATE / FRAME) * FRAME
    return min(length, utterance.length)


def _prepare(
    meter: Meter, recognizer: TogetherRecognizer, utterances: Sequence[tuple[RecognitionSession, Samples]]
) -> None:
    with meter.stage("asr"):
        recognizer.prepare(utterances)
