"""Speech recognition on sherpa-onnx: every offline and streaming model type that the catalogue can describe.

sherpa-onnx (https://k2-fsa.github.io/sherpa/onnx/) releases the GIL while it decodes, and one recogniser may
decode several streams from several threads at once, so nothing is locked here but a stream.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sherpa_onnx

from device.engines.asr_sherpa_arguments import constructor
from device.engines.asr_whole import WholeSession
from device.engines.asr_words import confidence, words_from_tokens
from device.engines.protocols import Recognition, RecognitionSession, Recognizer, Word
from device.engines.sound import finite
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model

OFFLINE = "sherpa-offline"
ONLINE = "sherpa-online"
_COSTLY = frozenset({"whisper", "funasr_nano", "qwen3_asr", "cohere_transcribe", "fire_red_asr"})
"""Types whose cost does not fall with the length, or that are large language models."""
_HOTWORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")  # noqa: RUF001
_TAIL = int(0.66 * SAMPLE_RATE)
"""Silence after the last sample, so that a streaming model's look-ahead brings out the last word."""


def load(model: Model, folder: Path, threads: int, provider: str = "cpu") -> Recognizer:
    """Load a model of engine ``sherpa-offline`` or ``sherpa-online``, to compute on ``provider`` (cpu or cuda).

    Raises
    ------
    DragomanError
        The catalogue entry asks for something that sherpa-onnx has not, or a file is missing or damaged.
    """
    online = model.engine == ONLINE
    kind = sherpa_onnx.OnlineRecognizer if online else sherpa_onnx.OfflineRecognizer
    factory, arguments = constructor(model, folder, kind)
    try:
        native = factory(**arguments, num_threads=max(1, threads), provider=provider)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise DragomanError(
            f"model {model.id} in {folder} cannot be loaded ({reason}); run `dragoman models verify`"
        ) from error
    recognizer = SherpaRecognizer(model, native, online=online, capitals=_writes_capitals(arguments.get("tokens")))
    # The first decode allocates; nobody should wait for that.
    recognizer.session(min(recognizer.languages)).recognize(np.zeros(SAMPLE_RATE, np.float32), final=True)
    return recognizer


def _writes_capitals(tokens: str | None) -> bool:
    """Whether a model's vocabulary has capital letters alone."""
    if tokens is None:
        return False
    letters = [c for line in Path(tokens).read_text(encoding="utf-8", errors="replace").splitlines()
               if not line.startswith("<") for c in line.rsplit(" ", 1)[0] if c.isascii() and c.isalpha()]  # fmt: skip
    return bool(letters) and all(c.isupper() for c in letters)


class SherpaRecognizer:
    """A loaded sherpa-onnx model."""

    def __init__(self, model: Model, native: Any, *, online: bool, capitals: bool = False) -> None:
        self.model_id = model.id
        self.languages = frozenset(tag.split("-")[0] for tag in model.languages)
        self.suits_partials = online or model.options["type"] not in _COSTLY
        self.incremental = online
        # sherpa-onnx biases transducers alone, and only while it keeps several hypotheses.
        beam = model.options.get("decoding_method") == "modified_beam_search"
        self.takes_phrases = model.options["type"] == "transducer" and beam
        self._capitals = capitals
        self._native = native
        self._online = online

    def session(self, language: str, phrases: Sequence[str] = ()) -> RecognitionSession:
        """Begin an utterance spoken in ``language``; a transducer with beam search listens for the ``phrases``."""
        hotwords = self._hotwords(phrases) if self.takes_phrases else None
        if self._online:
            return _OnlineSession(self._native, language, hotwords)
        return WholeSession(partial(self._decode, language, hotwords), language, costly=not self.suits_partials)

    def _hotwords(self, phrases: Sequence[str]) -> str | None:
        """Return phrases as sherpa-onnx reads them: words alone, in the letters that the model writes."""
        spelt = (" ".join(_HOTWORD.findall(phrase)) for phrase in phrases)
        return "/".join(text.upper() if self._capitals else text for text in spelt if text) or None

    def _decode(self, language: str, hotwords: str | None, samples: Samples) -> Recognition:
        stream = self._native.create_stream(hotwords)
        stream.accept_waveform(SAMPLE_RATE, finite(samples))
        self._native.decode_stream(stream)
        result = stream.result
        return _recognition(result, language, result.ys_log_probs, len(samples) / SAMPLE_RATE)


class _OnlineSession:
    """Feeds a stream with what is new at every call."""

    def __init__(self, native: Any, language: str, hotwords: str | None = None) -> None:
        self._native = native
        self._language = language
        self._stream = native.create_stream(hotwords)
        self._fed = 0
        self._lock = threading.Lock()
        self._final: Recognition | None = None

    def recognize(self, samples: Samples, *, final: bool) -> Recognition:
        with self._lock:  # a partial may still be decoded when the utterance ends, or come late
            if self._final is not None:
                return self._final
            recognition = self._go_on(samples, final=final)
            if final:
                self._final = recognition
            return recognition

    def _go_on(self, samples: Samples, *, final: bool) -> Recognition:
        if len(samples) > self._fed:
            self._stream.accept_waveform(SAMPLE_RATE, finite(samples[self._fed :]))
            self._fed = len(samples)
        if final:
            self._stream.accept_waveform(SAMPLE_RATE, np.zeros(_TAIL, np.float32))
            self._stream.input_finished()
        while self._native.is_ready(self._stream):
            self._native.decode_stream(self._stream)
        result = self._native.get_result_all(self._stream)
        return _recognition(result, self._language, result.ys_probs, len(samples) / SAMPLE_RATE)


def _recognition(result: Any, language: str, log_probs: Sequence[float], duration: float) -> Recognition:
    """Translate sherpa-onnx's result, offline or streaming."""
    try:
        text = result.text.strip()
    except UnicodeDecodeError:  # a byte-level model ended inside a character: it heard nothing it could spell
        return Recognition("", language)
    words: tuple[Word, ...] = ()
    if starts := result.timestamps:
        # Tokens of byte-level models may be parts of a character; such models give no times so far.
        with contextlib.suppress(UnicodeDecodeError):
            words = words_from_tokens(result.tokens, starts, log_probs, end=duration)
    return Recognition(text, language, confidence(log_probs), words)
