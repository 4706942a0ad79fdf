"""Kokoro's voices (https://huggingface.co/hexgrad/Kokoro-82M) on onnxruntime: one network, many speakers.

It was taught with the phonemes of a dictionary, which writes diphthongs and affricates as one letter; espeak-ng's
are rewritten so. Its decoder normalises over the whole sentence, so no sound is there before all of it.
"""

# ruff: noqa: RUF001 - phonetic letters look like others
from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from device.engines.kokoro_timed import MODEL_FILE, TIMED_FILE
from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.protocols import Pronounced, Synthesizer
from device.engines.sessions import open_session
from device.engines.tts_phonemes import espeak_phonemes, is_heard, pronounce, word_times
from device.engines.tts_voice import Raw, Voice
from device.errors import DragomanError
from device.modelstore.catalogue import Model, Speaker, primary

VOCABULARY_FILE: Final = "vocab.json"
RATE: Final = 24_000
LONGEST: Final = 510
"""Phonemes of one sentence; the network knows no more places."""
_SILENCE: Final = 10 ** (-45 / 20)
_STYLE: Final = (510, 1, 256)
_ESPEAK: Final = {
    "en-US": "en-us",
    "en-GB": "en-gb-x-rp",
    "es": "es",
    "fr": "fr",
    "hi": "hi",
    "it": "it",
    "pt": "pt-br",
}
"""What espeak-ng calls the languages; Chinese and Japanese need dictionaries that it does not have."""

_COMMON: Final = (
    ("dʒ", "ʤ"), ("tʃ", "ʧ"), ("aɪ", "I"), ("aʊ", "W"), ("eɪ", "A"), ("ɔɪ", "Y"), ("dz", "ʣ"), ("ts", "ʦ"),
)  # fmt: skip
_ENGLISH: Final = (
    ("ʔn", "tn"), ("ʔ", "t"), ("əl ", "ᵊl "), ("e", "A"), ("ʲ", ""), ("ɚ", "əɹ"), ("r", "ɹ"), ("x", "k"),
    ("ç", "k"), ("ɐ", "ə"), ("ɬ", "l"), ("\u0303", ""), ("\u0329", ""),
)  # fmt: skip
_REWRITTEN: Final = {
    "en-US": (*_COMMON[:6], ("oʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""), *_ENGLISH),
    "en-GB": (*_COMMON[:6], ("eə", "ɛː"), ("iə", "ɪə"), ("əʊ", "Q"), *_ENGLISH),
}


def espeak_name(speaker: Speaker) -> str:
    """Return what espeak-ng calls a speaker's language.

    Raises
    ------
    DragomanError
        It cannot be pronounced here.
    """
    for tag in (speaker.language, primary(speaker.language)):
        if tag in _ESPEAK:
            return _ESPEAK[tag]
    raise DragomanError(f"Kokoro speaks no {speaker.language!r} here; its languages: {', '.join(_ESPEAK)}")


class KokoroSynthesizer(Voice):
    """One speaker. onnxruntime may run the network from several threads at once."""

    sample_rate = RATE

    def __init__(
        self, model: Model, speaker: Speaker, network: onnxruntime.InferenceSession, vocabulary: dict[str, int],
        style: NDArray[np.float32],
    ) -> None:  # fmt: skip
        super().__init__(model, speaker.name, speaker.language)
        self._network, self._vocabulary, self._style = network, vocabulary, style
        self._espeak = espeak_name(speaker)
        self._letters = _REWRITTEN.get(speaker.language, _COMMON)
        self._timed = len(network.get_outputs()) > 1

    def _read(self, text: str, voice: str) -> list[str]:
        return list(_rewrite(self._letters, "".join(espeak_phonemes(text, voice))))

    def _make(self, words: Sequence[Pronounced]) -> Raw:
        ids, owners = [0], list[int | None]([None])
        words = [replace(word, phonemes=_rewrite(self._letters, word.phonemes)) for word in words]
        for number, phonemes in enumerate(pronounce(words, self._espeak, self._read)):
            known = [p for p in phonemes if p in self._vocabulary][: LONGEST + 1 - len(ids)]
            ids += [self._vocabulary[p] for p in known]
            owners += [number if is_heard(p) else None for p in known]
        if all(owner is None for owner in owners):
            return Raw(iter(()))
        paces = np.array([1.0 if owner is None else words[owner].rate for owner in [*owners, None]], np.float32)
        feed: dict[str, Any] = {
            "tokens": np.array([[*ids, 0]], np.int64),
            "style": self._style[min(len(ids) - 1, len(self._style) - 1)],
            "speed": paces if self._timed else paces.mean(keepdims=True),
        }
        sound, *durations = self._network.run(None, feed)
        sound = sound.reshape(-1)
        if not durations:
            return Raw(iter([sound]))
        frames = np.cumsum(durations[0].reshape(-1))
        loud = np.flatnonzero(np.abs(sound) > _SILENCE * np.abs(sound).max(initial=0.0))
        last = loud[-1] / RATE if len(loud) else 0.0  # the last phoneme is given the silence at the end
        ends = np.minimum(frames * (len(sound) / RATE / frames[-1]), last)
        return Raw(iter([sound]), word_times(ends, [*owners, None], len(words)))


class KokoroSpeakers:
    """A loaded network and its speakers, each made when it is first asked for."""

    def __init__(self, model: Model, folder: Path, network: onnxruntime.InferenceSession) -> None:
        self._model, self._folder, self._network = model, folder, network
        self._vocabulary = _vocabulary(model, require_file(model, folder, VOCABULARY_FILE))
        self._lock = threading.Lock()
        self._made: dict[str, KokoroSynthesizer] = {}

    def speaker(self, speaker: Speaker) -> Synthesizer:
        """Return one speaker's voice.

        Raises
        ------
        DragomanError
            Its file is missing or damaged.
        """
        with self._lock:
            if speaker.id not in self._made:
                path = require_file(self._model, self._folder, f"voices/{speaker.id}.bin")
                style = np.fromfile(path, np.float32)
                if style.size != np.prod(_STYLE) or not np.isfinite(style).all():
                    raise DragomanError(f"model {self._model.id}: {path} is no voice; run `dragoman models verify`")
                made = KokoroSynthesizer(self._model, speaker, self._network, self._vocabulary, style.reshape(_STYLE))
                made.settle(speaker.gain)
                self._made[speaker.id] = made
            return self._made[speaker.id]


def load(model: Model, folder: Path, threads: int) -> KokoroSpeakers:
    """Load the network; it has no options.

    Raises
    ------
    DragomanError
        A file is missing or damaged.
    """
    refuse_unknown_options(model, ())
    path = require_file(model, folder, TIMED_FILE if (folder / TIMED_FILE).is_file() else MODEL_FILE)
    try:
        network = open_session(path, threads)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise DragomanError(
            f"model {model.id}: {path} cannot be used ({reason}); run `dragoman models verify`"
        ) from error
    if [given.name for given in network.get_inputs()] != ["tokens", "style", "speed"]:
        raise DragomanError(f"model {model.id}: {path} is not a Kokoro network; run `dragoman models verify`")
    return KokoroSpeakers(model, folder, network)


def _vocabulary(model: Model, path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text("utf-8"))["vocab"]
        return {str(phoneme): int(number) for phoneme, number in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DragomanError(f"model {model.id}: {path} is no vocabulary; run `dragoman models verify`") from error


def _rewrite(letters: Sequence[tuple[str, str]], phonemes: str) -> str:
    for espeak, kokoro in letters:
        phonemes = phonemes.replace(espeak, kokoro)
    return phonemes
