"""Tells words from what a recogniser invents when it hears none.

Recognisers trained on captions give text for any sound: Moonshine says "You" or "Yeah." to a cough, a chime or
a cut syllable. Long speech needs little doubt; for less than a second of it several signs together decide.
They were chosen by measurement, on sounds without speech, half seconds cut out of recordings, and genuine
short answers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.engines.protocols import Recognition
from device.events import SAMPLE_RATE, Samples

SHORT = 0.7
"""Seconds of speech below which text is doubted: a cut of half a second never has more."""
RUNNING = 0.6
"""The same for speech that still goes on at the end of the samples."""
_FRAME = 512 / SAMPLE_RATE
_SUREST = 0.1
_SURE = 0.8
"""The detector takes a buzz, a hum or a siren that swells for speech, but is never sure of it. Of the surest tenth of
what people say it is surer: of 0.99 and more as a rule, of 0.88 and more where they are hardly heard, and of 0.81 and
more in noise that is as loud as they are."""
_EDGE_FRAMES = 3
_LETTERS_A_SECOND = 40
_WORDS_A_SECOND = 5.0
"""Of three or more words in short speech; a cut begins and ends inside words, so it seems to be spoken fast."""
_CONFIDENCE = 0.25
"""Whisper's own for right words said alone begins at 0.26."""
_CAPTIONS = (
    "thank you for watching",
    "thanks for watching",
    "please subscribe",
    "subtitles by",
    "amara.org",
    "©",
    "legendas pela",
    "subtítulos",
    "sous-titr",
    "sottotitoli",
    "untertitel",
)
_CAPTION_PACE = 2.0
"""Words a second: captions invented for music stand for far longer sounds than it takes to say them."""
_ENGLISH = "a an the of at for from with into and or but if as than my your our their its which whose was were"
_DANGLING = {"en": frozenset(_ENGLISH.split())}
"""Words that end no answer of two or more words."""

_HOP = 32
_WINDOW = 4
_AFTER = 15
_FALL = 21.0
"""dB lost from one 8 ms window to the next, and for 30 ms more: voices die away more slowly (18 dB, at times
24), a cut does not."""
_RISE = 48.0
_LOUD = 30.0


def plausible(recognition: Recognition, samples: Samples, speech: Samples) -> bool:
    """Whether somebody said ``recognition.text``, as far as the sound can tell.

    Parameters
    ----------
    recognition
        What the recogniser made of ``samples``.
    samples
        The utterance, 16 kHz mono, with some sound before and after the speech where there is any.
    speech
        How likely each 512 samples are speech, as the voice activity detector has it; 0 where it hears none going on.

    Returns
    -------
    bool
        False means: show nothing, emit nothing.
    """
    text = recognition.text.strip()
    letters = sum(character.isalnum() for character in text)
    voiced = speech > 0
    spoken = float(np.count_nonzero(voiced)) * _FRAME
    if not letters or not spoken or letters > _LETTERS_A_SECOND * max(spoken, 0.25):
        return False
    if np.quantile(speech[voiced], 1 - _SUREST) < _SURE:
        return False
    words = text.lower().strip(" .,!?…").split()
    if any(caption in text.lower() for caption in _CAPTIONS) and len(words) < _CAPTION_PACE * spoken:
        return False
    if spoken >= SHORT:
        return True
    if voiced[-1]:
        return spoken >= RUNNING
    return (
        not _begins_inside(samples, voiced)
        and not _is_cut(samples)
        and _ends_like_an_answer(text, words, spoken, recognition.language)
        and (recognition.confidence is None or recognition.confidence >= _CONFIDENCE)
    )


def _begins_inside(samples: Samples, voiced: NDArray[np.bool_]) -> bool:
    """Whether the samples begin in the middle of speech."""
    if int(np.argmax(voiced)) >= _EDGE_FRAMES:
        return False
    level = _levels(samples)
    return bool(len(level)) and bool(level[0] > level.max() - _LOUD)


def _is_cut(samples: Samples) -> bool:
    """Whether loud sound begins or ends more suddenly than voices do."""
    level = _levels(samples)
    if len(level) < 2 * _WINDOW + 2 * _AFTER:
        return False
    loud = level > level.max() - _LOUD
    # highest[i] is the highest level of the _AFTER windows that begin at i
    highest = np.lib.stride_tricks.sliding_window_view(level, _AFTER).max(axis=1)
    before = slice(0, len(highest) - _WINDOW)
    fall = (level[before] - highest[_WINDOW:])[loud[before]]
    after = _AFTER + _WINDOW - 1
    rise = (level[after:] - highest[: len(level) - after])[loud[after:]]
    return bool(fall.max(initial=0.0) > _FALL or rise.max(initial=0.0) > _RISE)


def _levels(samples: Samples) -> NDArray[np.float64]:
    """Level in dB of every window of 8 ms, one each 2 ms."""
    hops = len(samples) // _HOP
    if hops < _WINDOW:
        return np.zeros(0)
    power = np.mean(np.asarray(samples[: hops * _HOP], np.float64).reshape(hops, _HOP) ** 2, axis=1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    level: NDArray[np.float64] = 10 * np.log10((total[_WINDOW:] - total[:-_WINDOW]) / _WINDOW + 1e-12)
    return level


def _ends_like_an_answer(text: str, words: list[str], spoken: float, language: str) -> bool:
    # An English model that writes capitals writes punctuation too, but not where the speech was broken off.
    capitals = text[0].isupper() and not text.isupper()
    if language == "en" and capitals and text[-1].isalnum():
        return False
    if len(words) >= 3 and len(words) > _WORDS_A_SECOND * spoken:
        return False
    return len(words) < 2 or words[-1] not in _DANGLING.get(language, ())
