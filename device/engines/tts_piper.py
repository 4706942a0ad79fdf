"""Voices of Piper (https://github.com/OHF-Voice/piper1-gpl) on onnxruntime.

Clauses join well: every one begins with speech, has an even loudness, and ends with the pause that its
punctuation asks for. Where the voice could be split (see `piper_split`), its sound comes in pieces.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from piper import PiperVoice, SynthesisConfig
from piper.config import PhonemeType, PiperConfig

from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.piper_split import DECODER_FILE, ENCODER_FILE, VOICE_FILE, Decoder
from device.engines.protocols import Synthesizer
from device.engines.sessions import open_session
from device.errors import DragomanError
from device.events import Samples
from device.modelstore.catalogue import Model

CONFIG_FILE = "voice.onnx.json"
LONGEST_PIECE = 150
"""Characters made at once: working memory grows with the length, by 0.9 MB a character."""
_SHRINK_ABOVE = 160
"""Phoneme ids (two a phoneme, some 70 characters) above which the working memory is given back afterwards."""

_SENTENCE_SIGNS = ".!?…।؟"
_WIDE_SENTENCE_SIGNS = "。\uff01\uff1f"
_CLAUSE_SIGNS = ",;:—\u2013،؛"
_WIDE_CLAUSE_SIGNS = "、\uff0c\uff1b\uff1a"
PAUSES = {
    **dict.fromkeys(_SENTENCE_SIGNS + _WIDE_SENTENCE_SIGNS, 0.25),
    **dict.fromkeys(_CLAUSE_SIGNS + _WIDE_CLAUSE_SIGNS, 0.12),
}
PLAIN_PAUSE = 0.04
"""Seconds of silence after a piece of text, by its last sign, and where it has none."""

_LOUDNESS = 0.1
"""Root mean square of every answer (-20 dBFS); the voices' own differ by 6 dB from sentence to sentence."""
_KNEE = 0.8
_SILENCE = 10 ** (-45 / 20)
_EDGE = 0.03
_FADE = 0.01
_OPTIONS = ("length_scale", "noise_scale", "noise_w_scale", "speaker")
_SPEAKABLE = {"L", "N"}
_SILENT = {"So", "Sk", "Cf", "Co", "Cn", "Cs"}
_KEPT = "°\u200c\u200d"
_SENTENCE_END = re.compile(rf"(?<=[{_SENTENCE_SIGNS}])\s+|(?<=[{_WIDE_SENTENCE_SIGNS}])|\n+")
_CLAUSE_END = re.compile(rf"(?<=[{_CLAUSE_SIGNS}])\s+|(?<=[{_WIDE_CLAUSE_SIGNS}])")


class PiperSynthesizer:
    """A loaded voice. onnxruntime may run it from several threads at once; espeak has piper's own lock."""

    def __init__(self, model: Model, voice: PiperVoice, synthesis: SynthesisConfig, decoder: Decoder | None) -> None:
        self.model_id = model.id
        self.language = model.languages[0]
        self.voice = model.name
        self.sample_rate = int(voice.config.sample_rate)
        self._voice, self._network, self._decoder = voice, voice.session, decoder
        self._synthesis = synthesis
        self._lock = threading.Lock()
        self._usual = 0.0
        # Working memory is given back after a long piece of text, and only then: without an arena everything
        # takes a tenth to a third longer and needs more at the peak.
        self._shrink = onnxruntime.RunOptions()
        self._shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def stream(self, text: str, *, rate: float = 1.0) -> Iterator[Samples]:
        """Speak ``text`` piece by piece, the first one soon: mono float32 within [-1, 1]."""
        for piece in pieces(speakable(text)):
            yield from self._finished(self._sound(piece, rate), PAUSES.get(piece[-1], PLAIN_PAUSE) / rate)

    def synthesize(self, text: str) -> Samples:
        """Speak ``text`` in one piece; empty where there is nothing to say."""
        parts = list(self.stream(text))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _sound(self, piece: str, rate: float) -> Iterator[Samples]:
        """Yield what the network makes of one piece of text, spoken ``rate`` times as fast as usual."""
        scales = self._synthesis
        for phonemes in self._voice.phonemize(piece):
            ids = self._voice.phonemes_to_ids(phonemes)
            feed: dict[str, Any] = {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array(
                    [scales.noise_scale, (scales.length_scale or 1.0) / rate, scales.noise_w_scale], np.float32
                ),
            }
            if self._voice.config.num_speakers > 1:
                feed["sid"] = np.array([scales.speaker_id or 0], np.int64)
            run_options = self._shrink if len(ids) > _SHRINK_ABOVE else None
            made = self._network.run(None, feed, run_options)[0]
            if self._decoder is None:
                yield made.reshape(-1)
            else:
                yield from self._decoder.windows(made, self.sample_rate, run_options)

    def _finished(self, sound: Iterator[Samples], pause: float) -> Iterator[Samples]:
        """Cut the silence around speech, even its loudness, fade its edges, and add ``pause`` seconds of silence.

        Silence is what stays 45 dB below the loudest 10 ms so far; `_EDGE` seconds of it are kept on either side.
        The gain is set by the first piece and by how loud the voice was before.
        """
        hop = max(1, self.sample_rate // 100)
        edge = round(_EDGE * 100) * hop
        fade = round(_FADE * 100) * hop
        gain = loudest = 0.0
        held = np.zeros(0, np.float32)
        for piece in sound:
            held = np.concatenate((held, np.nan_to_num(piece, posinf=0.0, neginf=0.0)))
            level = _level(held, hop)
            loudest = max(loudest, float(level.max(initial=0.0)))
            loud = np.flatnonzero(level > max(loudest * _SILENCE, 1e-6))
            if not len(loud):
                continue
            ready = (loud[-1] + 1) * hop  # what comes after may be the silence at the end: it stays back
            if not gain:
                gain = self._gain(level[loud[0] : loud[-1] + 1])
                first = max(0, loud[0] * hop - edge)
                held, ready = held[first:], ready - first
                held[:fade] *= np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)[: len(held)]
            yield _limited(held[:ready] * gain)
            held = held[ready:]
        if gain:
            held = held[:edge] * gain
            held *= np.linspace(1.0, 0.0, len(held), dtype=np.float32)
            yield _limited(np.concatenate((held, np.zeros(int(pause * self.sample_rate), np.float32))))

    def _gain(self, level: Samples) -> float:
        """Return what brings speech of these levels to `_LOUDNESS`, half by itself and half by what came before."""
        loudness = float(np.sqrt(np.mean(level**2)))
        with self._lock:
            self._usual += (loudness - self._usual) * (0.1 if self._usual else 1.0)
            return _LOUDNESS / float(np.sqrt(loudness * self._usual))


def speakable(text: str) -> str:
    """Return ``text`` without what no voice can say: control characters, emoji, symbols that only show.

    Letters, digits, punctuation, marks, currency and mathematical signs stay. Brackets go, because piper
    takes ``[[…]]`` for phonemes.
    """
    kept = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if character not in _KEPT and (category in _SILENT or "\ufe00" <= character <= "\ufe0f"):
            continue
        kept.append(" " if category == "Cc" and character != "\n" else character)
    return "".join(kept).replace("[", " ").replace("]", " ").strip()


def pieces(text: str) -> list[str]:
    """Split ``text`` into sentences, and those that are too long at clauses, else between words.

    Returns
    -------
    list of str
        Pieces of at most `LONGEST_PIECE` characters that hold a letter or a digit, in order.
    """
    found: list[str] = []
    for sentence in _SENTENCE_END.split(text):
        if len(sentence) <= LONGEST_PIECE:
            found.append(sentence)
            continue
        rest = ""
        for clause in _CLAUSE_END.split(sentence):
            for word in clause.split():
                for start in range(0, len(word), LONGEST_PIECE):
                    part = word[start : start + LONGEST_PIECE]
                    if len(rest) + 1 + len(part) > LONGEST_PIECE:
                        found.append(rest)
                        rest = part
                    else:
                        rest = f"{rest} {part}".strip()
            if len(rest) > LONGEST_PIECE // 2:
                found.append(rest)
                rest = ""
        found.append(rest)
    return [piece.strip() for piece in found if any(unicodedata.category(c)[0] in _SPEAKABLE for c in piece)]


def _level(samples: Samples, hop: int) -> Samples:
    """Return the root mean square of every ``hop`` samples."""
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    level: Samples = np.sqrt(np.mean(frames**2, axis=1)) if len(frames) else np.zeros(0, np.float32)
    return level


def _limited(samples: Samples) -> Samples:
    """Bend what exceeds `_KNEE` so that it never reaches 1; nothing else changes."""
    over = np.abs(samples) > _KNEE
    if over.any():
        excess = (np.abs(samples[over]) - _KNEE) / (1.0 - _KNEE)
        samples[over] = np.sign(samples[over]) * (_KNEE + (1.0 - _KNEE) * np.tanh(excess))
    return samples


def load(model: Model, folder: Path, threads: int) -> Synthesizer:
    """Load a voice and make it say something once, so that the first real sentence does not wait.

    Options of the catalogue entry: ``length_scale``, ``noise_scale``, ``noise_w_scale`` (the voice's own
    where absent), and ``speaker``, the number or name of a speaker of a voice that has several.

    Raises
    ------
    DragomanError
        A file is missing or damaged, an option is unknown or wrong, or the voice needs a phonemizer that is
        not part of this program.
    """
    refuse_unknown_options(model, _OPTIONS)
    halves = (folder / ENCODER_FILE).is_file() and (folder / DECODER_FILE).is_file()
    path = require_file(model, folder, ENCODER_FILE if halves else VOICE_FILE)
    config = _config(model, require_file(model, folder, CONFIG_FILE))
    try:
        session = open_session(path, threads)
        decoder = Decoder(open_session(folder / DECODER_FILE, threads)) if halves else None
        voice = PiperVoice(config=config, session=session, download_dir=folder)
        synthesizer = PiperSynthesizer(model, voice, _synthesis(model, config), decoder)
        synthesizer.synthesize("1, 2.")
    except DragomanError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise DragomanError(
            f"model {model.id}: {path} cannot be used ({reason}); run `dragoman models verify`"
        ) from error
    return synthesizer


def _config(model: Model, path: Path) -> PiperConfig:
    try:
        config = PiperConfig.from_dict(json.loads(path.read_text("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DragomanError(
            f"model {model.id}: {path} is not a Piper voice's configuration; run `dragoman models verify`"
        ) from error
    if config.phoneme_type not in {PhonemeType.ESPEAK, PhonemeType.TEXT}:
        raise DragomanError(f"model {model.id}: voices with {config.phoneme_type.value} phonemes cannot be used")
    return config


def _synthesis(model: Model, config: PiperConfig) -> SynthesisConfig:
    values: dict[str, Any] = {"normalize_audio": False}
    for name in ("length_scale", "noise_scale", "noise_w_scale"):
        value = model.options.get(name, getattr(config, name))
        if type(value) not in (int, float) or not 0 <= value <= 5 or (name == "length_scale" and value < 0.1):
            raise DragomanError(f"model {model.id}: option {name!r} must be a number up to 5, not {value!r}")
        values[name] = float(value)
    speaker = model.options.get("speaker")
    if speaker is not None:
        number = config.speaker_id_map.get(speaker) if isinstance(speaker, str) else speaker
        if type(number) is not int or not 0 <= number < config.num_speakers:
            known = ", ".join(sorted(config.speaker_id_map)[:10]) or f"0 to {config.num_speakers - 1}"
            raise DragomanError(f"model {model.id}: no speaker {speaker!r}; known: {known}")
        values["speaker_id"] = number
    return SynthesisConfig(**values)
