"""One utterance of a recogniser that decodes all of it each time, made cheap and safe.

Partials decode only what is new since a pause, finals longer than models were trained on are divided, and a text that
goes round in circles is doubted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import SequenceMatcher

import numpy as np

from device.engines.asr_growing import LONGEST, GrowingText, bare, join, quietest
from device.engines.loops import loop_at_end, run_at_end, without_loop
from device.engines.protocols import Recognition
from device.events import SAMPLE_RATE, Samples

SHORTEST = SAMPLE_RATE // 10
"""Fewer samples hold no word, and some models fail on them."""
LONGEST_WHOLE = 30 * SAMPLE_RATE
"""Longer than any model was trained on; Moonshine's word error rate rises there from 0.8 % to 2.5 %."""
_DOUBTED = int(1.6 * SAMPLE_RATE)
_SILENCE = np.zeros(int(0.3 * SAMPLE_RATE), np.float32)
_SHORTER = SAMPLE_RATE // 20
"""What is left out at the end when a final text seems to be a loop: loops hang on the exact length."""
_MOSTLY = 0.5
_ALIKE = 0.5
"""A text half of which or more is a loop is invented, for a hum or for many voices at once, if nearly the same sound
gives a loop of other words. Of what was really repeated two thirds of the letters come again, mostly all."""


class WholeSession:
    """Decodes the whole utterance for a final, and what is new since a pause for a partial.

    Parameters
    ----------
    decode
        Recognises samples: at least `SHORTEST` of them, not necessarily finite.
    language
        What is spoken.
    costly
        Whether to decode once more, for more certainty, costs too much.
    """

    def __init__(self, decode: Callable[[Samples], Recognition], language: str, *, costly: bool) -> None:
        self.model = decode
        self._language = language
        self._costly = costly
        self._growing = GrowingText(lambda samples: self._decode(samples).text)

    def recognize(self, samples: Samples, *, final: bool) -> Recognition:
        """Recognise the utterance so far, as `RecognitionSession` says."""
        if not final and len(samples) >= LONGEST:
            return Recognition(without_loop(self._growing.text(samples), times=3), self._language)
        if len(samples) > LONGEST_WHOLE:
            return self._pieces(samples)
        recognition = self._decode(samples)
        if _goes_round(recognition.text):
            recognition = self._doubted(recognition, samples) if final else _once(recognition)
        if final and recognition.text and recognition.confidence is None:
            return replace(recognition, confidence=self._agreement(samples, recognition.text))
        return recognition

    def _doubted(self, looped: Recognition, samples: Samples) -> Recognition:
        """Decode what is nearly the same sound: who really said a thing twice is heard twice every time."""
        alike = 1.0
        for nearly in (samples[:-_SHORTER], np.concatenate([_SILENCE, samples]), samples[: -2 * _SHORTER]):
            again = self._decode(nearly)
            if again.text and not _goes_round(again.text) and len(again.text) < len(looped.text):
                return again
            alike = min(alike, _likeness(looped.text, again.text))
        repeated = loop_at_end(looped.text, times=3) / len(looped.text.split())
        invented = repeated >= _MOSTLY and alike < _ALIKE
        return replace(looped, text="", words=()) if invented else looped

    def _pieces(self, samples: Samples) -> Recognition:
        text = ""
        while len(samples) > LONGEST_WHOLE:
            cut = quietest(samples, LONGEST_WHOLE // 2, LONGEST_WHOLE)
            text, samples = join(text, self._decode(samples[:cut]).text), samples[cut:]
        return Recognition(join(text, self._decode(samples).text), self._language)

    def _agreement(self, samples: Samples, text: str) -> float | None:
        """How alike the texts of ``samples`` with and without silence before them are, squared.

        It stands for the probability that some models do not give: what a model invents for a short sound
        changes with the least change of the sound. Half alike counts a quarter, because two inventions often
        share letters.
        """
        if self._costly or len(samples) > _DOUBTED:
            return None
        again = self._decode(np.concatenate([_SILENCE, samples])).text
        return _likeness(text, again) ** 2

    def _decode(self, samples: Samples) -> Recognition:
        if len(samples) < SHORTEST:
            return Recognition("", self._language)
        return self.model(samples)


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, bare(one), bare(other), autojunk=False).ratio()


def _goes_round(text: str) -> bool:
    return loop_at_end(text, times=3) > 0 or run_at_end(text)


def _once(recognition: Recognition) -> Recognition:
    text = without_loop(recognition.text, times=3)
    return replace(recognition, text=text, words=recognition.words[: len(text.split())])
