"""Whisper on CTranslate2: many languages, and identification of the language.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (https://arxiv.org/abs/2212.04356).
Whisper was trained on windows of 30 s and usually computes all of it. CTranslate2 takes shorter windows: one
that ends some silence after the speech costs a fifth to a tenth and reads nearly the same. What reads
doubtfully is read once more in a wider window.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import ctranslate2
import numpy as np
from tokenizers import Tokenizer

from device.engines.asr_bias import Phrases
from device.engines.asr_growing import join, quietest
from device.engines.asr_mel import HOP, log_mel
from device.engines.asr_words import words_from_tokens
from device.engines.cuda import require
from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.protocols import Recognition, RecognitionSession, Recognizer, Word
from device.engines.sound import finite
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model

FILES = ("model.bin", "config.json", "tokenizer.json")
WINDOW = 3000
"""Frames of 10 ms that the model was trained on."""
MARGIN = 300
SHORTEST_WINDOW = 800
_WIDER = 1500
_LONGEST = WINDOW * HOP
_SHORTEST = SAMPLE_RATE // 10
_TOKENS_A_SECOND = 12
_TOKENS_AT_LEAST = 24
_LONGEST_PROMPT = 200
"""Tokens; the model's memory of text holds 448."""

_ATTENTION_STEP = 0.02
"""Seconds between two places that the decoder can listen to."""

LOOP = 2.4
"""Text that zlib shrinks more than this repeats itself (the paper's own limit)."""
DOUBTFUL = -0.8
"""Mean log-probability below which a short window is not trusted."""
HOPELESS = -1.5
NO_SPEECH = 0.6
"""Probability of the token for "no speech" that, with a doubtful text, means nobody spoke (the paper's own)."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one decode gave."""

    text: str
    log_prob: float
    no_speech: float
    tokens: tuple[int, ...] = field(repr=False)
    sound: ctranslate2.StorageView = field(repr=False, compare=False)
    """What the encoder made of the samples."""

    @property
    def loops(self) -> bool:
        data = self.text.encode()
        return len(data) / len(zlib.compress(data)) > LOOP

    @property
    def trusted(self) -> bool:
        return self.log_prob >= DOUBTFUL and not self.loops

    @property
    def invented(self) -> bool:
        return self.loops or self.log_prob < HOPELESS or (not self.trusted and self.no_speech > NO_SPEECH)


class WhisperRecognizer:
    """A loaded Whisper model; CTranslate2 queues concurrent calls by itself."""

    suits_partials = True
    incremental = False
    takes_phrases = True

    def __init__(self, model: Model, native: ctranslate2.models.Whisper, tokenizer: Tokenizer) -> None:
        self.model_id = model.id
        self._native = native
        self._tokenizer = tokenizer
        known = {language_of(token) for token in tokenizer.get_vocab()} - {None}
        wanted = {tag.split("-")[0] for tag in model.languages}
        self.languages = frozenset(tag for tag in known if tag and (not wanted or tag in wanted))

    def session(self, language: str, phrases: Sequence[str] = ()) -> RecognitionSession:
        """Begin an utterance spoken in ``language``; finals are listened to for the ``phrases`` too.

        Raises
        ------
        DragomanError
            The model does not know the language.
        """
        if language not in self.languages:
            raise DragomanError(f"model {self.model_id} does not understand {language!r}")
        return _Session(self, language, phrases)

    def detect_language(self, samples: Samples) -> list[tuple[str, float]]:
        """Return the languages that ``samples`` may be spoken in, with probabilities, the likeliest first.

        Only the first 30 s are heard. Languages that the catalogue entry leaves out are left out, and the
        probabilities of the others add up to one.
        """
        if len(samples) < _SHORTEST:
            return []
        (heard,) = self._native.detect_language(self._features(samples[:_LONGEST], window_for(len(samples))))
        known = [(language_of(token), float(share)) for token, share in heard]
        kept = [(tag, share) for tag, share in known if tag in self.languages]
        total = sum(share for _, share in kept) or 1.0
        return [(tag, share / total) for tag, share in sorted(kept, key=lambda item: -item[1]) if tag]

    def read(self, samples: Samples, language: str, window: int, *, unlike_itself: bool = False) -> _Reading:
        """Decode up to 30 s of ``samples`` in a window of ``window`` frames.

        With ``unlike_itself`` no three tokens come twice.
        """
        sound = self._native.encode(self._features(samples, window))
        (result,) = self._native.generate(
            sound,
            [_prompt(language)],
            beam_size=1,
            max_length=min(224, _TOKENS_AT_LEAST + _TOKENS_A_SECOND * len(samples) // SAMPLE_RATE),
            return_scores=True,
            return_no_speech_prob=True,
            no_repeat_ngram_size=3 if unlike_itself else 0,
        )
        tokens = tuple(result.sequences_ids[0])
        text = self._tokenizer.decode(tokens, skip_special_tokens=True).strip().replace("\ufffd", "")
        return _Reading(text, float(result.scores[0]), float(result.no_speech_prob), tokens, sound)

    def words(self, reading: _Reading, language: str, text: str, samples: int) -> tuple[Word, ...]:
        """Return the words of ``text``, which may differ from what was read, with when they were said."""
        tokens = reading.tokens if text == reading.text else self._tokens(text)
        return self._timed(reading.sound, language, tokens, samples)

    def align(self, samples: Samples, language: str, text: str) -> tuple[Word, ...]:
        """Return the words of ``text`` with when they were said in up to 30 s of ``samples``."""
        samples = samples[:_LONGEST]
        if language not in self.languages or not text.strip() or len(samples) < _SHORTEST:
            return ()
        sound = self._native.encode(self._features(samples, window_for(len(samples))))
        return self._timed(sound, language, self._tokens(text), len(samples))

    def _tokens(self, text: str) -> Sequence[int]:
        tokens: list[int] = self._tokenizer.encode(" " + text, add_special_tokens=False).ids
        return tokens

    def _timed(
        self, sound: ctranslate2.StorageView, language: str, tokens: Sequence[int], samples: int
    ) -> tuple[Word, ...]:
        """Return words with the times at which the decoder listens to them.

        Dynamic time warping over the attention of the heads that look at time, as OpenAI's own program has it
        (https://github.com/openai/whisper, ``timing.py``). Times are good to about a tenth of a second; a pause belongs
        to the word before it.
        """
        if not tokens:
            return ()
        start = [self._tokenizer.token_to_id(token) for token in _prompt(language)]
        (aligned,) = self._native.align(sound, start, [list(tokens)], samples // HOP)
        begins: dict[int, float] = {}
        for token, frame in aligned.alignments:
            begins.setdefault(token, frame * _ATTENTION_STEP)
        pieces: list[str] = []
        starts: list[float] = []
        scores: list[float] = []
        waiting: list[int] = []
        for number, token in enumerate(tokens):
            waiting.append(token)
            piece = self._tokenizer.decode(waiting)
            if "\ufffd" in piece and number + 1 < len(tokens):
                continue  # a letter of several bytes, in several tokens
            first = number + 1 - len(waiting)
            pieces.append(piece)
            starts.append(begins.get(first, starts[-1] if starts else 0.0))
            scores.append(sum(math.log(max(p, 1e-9)) for p in aligned.text_token_probs[first : number + 1]))
            waiting = []
        return words_from_tokens(pieces, starts, scores, end=samples / SAMPLE_RATE)

    def listen_for(self, phrases: Sequence[str], samples: Samples, language: str, text: str) -> str | None:
        """Return what was said, if it is one of the ``phrases`` rather than ``text``.

        The model is told that they were said before (a prompt, as the paper has it). It may make too much of that;
        so its new text is only believed where it finds it about as likely without the prompt.
        """
        window = window_for(len(samples))
        sound = self._native.encode(self._features(samples, window))
        said_before = self._tokenizer.encode(" " + ", ".join(phrases) + ".", add_special_tokens=False).tokens
        start = _prompt(language)
        (result,) = self._native.generate(
            sound, [["<|startofprev|>", *said_before[-_LONGEST_PROMPT:], *start]], beam_size=1,
            max_length=_LONGEST_PROMPT + 2 * _TOKENS_AT_LEAST + _TOKENS_A_SECOND * len(samples) // SAMPLE_RATE,
        )  # fmt: skip
        said = self._tokenizer.decode(result.sequences_ids[0], skip_special_tokens=True).strip().replace("\ufffd", "")
        known = Phrases(phrases)
        if not known.gained(text, said):
            return None
        scores = [self._score(sound, start, spelt, len(samples)) for spelt in (text, said)]
        return said if known.better(text, scores[0], said, scores[1]) else None

    def _score(self, sound: ctranslate2.StorageView, start: Sequence[str], text: str, samples: int) -> float:
        """Return the sum of the logarithmic probabilities of a text's tokens."""
        tokens = self._tokenizer.encode(" " + text, add_special_tokens=False).ids
        ids = [self._tokenizer.token_to_id(token) for token in start]
        (aligned,) = self._native.align(sound, ids, [tokens], samples // HOP)
        return sum(math.log(max(p, 1e-9)) for p in aligned.text_token_probs)

    def _features(self, samples: Samples, window: int) -> ctranslate2.StorageView:
        padded = np.zeros(window * HOP, np.float32)
        padded[: len(samples)] = finite(samples[: len(padded)])
        return ctranslate2.StorageView.from_array(log_mel(padded, self._native.n_mels)[None])


class _Session:
    """Decodes the whole utterance at every call."""

    def __init__(self, recognizer: WhisperRecognizer, language: str, phrases: Sequence[str]) -> None:
        self._recognizer = recognizer
        self._language = language
        self._phrases = phrases

    def recognize(self, samples: Samples, *, final: bool) -> Recognition:
        text, weight, total, passed = "", 0.0, 0.0, 0
        words: list[Word] = []
        while len(samples) >= _SHORTEST:
            cut = len(samples) if len(samples) <= _LONGEST else quietest(samples, _LONGEST // 2, _LONGEST)
            reading = self._read(samples[:cut], final=final)
            if reading and reading.text:
                said = reading.text
                if final and self._phrases:
                    said = self._recognizer.listen_for(self._phrases, samples[:cut], self._language, said) or said
                text = join(text, said)
                weight, total = weight + cut, total + cut * reading.log_prob
                if final:
                    words += self._words(reading, said, cut, passed / SAMPLE_RATE)
            samples, passed = samples[cut:], passed + cut
        confidence = math.exp(min(0.0, total / weight)) if weight else None
        return Recognition(text, self._language, confidence, tuple(words))

    def _words(self, reading: _Reading, text: str, samples: int, later: float) -> list[Word]:
        heard = self._recognizer.words(reading, self._language, text, samples)
        return [replace(word, start=word.start + later, end=word.end + later) for word in heard]

    def _read(self, samples: Samples, *, final: bool) -> _Reading | None:
        reading = self._recognizer.read(samples, self._language, window_for(len(samples)))
        if not reading.trusted and final:
            wider = min(WINDOW, max(_WIDER, 2 * window_for(len(samples))))
            again = self._recognizer.read(samples, self._language, wider, unlike_itself=reading.loops)
            if reading.loops or again.log_prob > reading.log_prob:
                reading = again
        return None if reading.invented else reading


def _prompt(language: str) -> list[str]:
    return ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>"]


def window_for(samples: int) -> int:
    """Return how many frames of window to compute for so many samples."""
    return min(WINDOW, max(SHORTEST_WINDOW, samples // HOP + MARGIN))


def language_of(token: str) -> str | None:
    """Return the language that a token like ``<|pt|>`` stands for, if it stands for one."""
    name = token.removeprefix("<|").removesuffix("|>")
    return name if len(token) == len(name) + 4 and 2 <= len(name) <= 3 and name.isalpha() else None


def load(model: Model, folder: Path, threads: int, provider: str = "cpu") -> Recognizer:
    """Load a Whisper model in CTranslate2's format, quantised to int8.

    Raises
    ------
    DragomanError
        A file is missing or damaged, the model knows none of the entry's languages, or ``provider`` is cuda and
        there is none.
    """
    device = require(provider)
    refuse_unknown_options(model, ())
    paths = [require_file(model, folder, name) for name in FILES]
    try:
        native = ctranslate2.models.Whisper(
            str(folder), device=device, compute_type="int8", inter_threads=1, intra_threads=max(1, threads)
        )
        tokenizer = Tokenizer.from_file(str(paths[2]))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise DragomanError(
            f"model {model.id} in {folder} cannot be loaded ({reason}); run `dragoman models verify`"
        ) from error
    recognizer = WhisperRecognizer(model, native, tokenizer)
    if not recognizer.languages:
        raise DragomanError(f"model {model.id} knows none of the languages {', '.join(model.languages)}")
    recognizer.read(np.zeros(SAMPLE_RATE, np.float32), min(recognizer.languages), SHORTEST_WINDOW)
    return recognizer
