"""Voices of Piper (https://github.com/OHF-Voice/piper1-gpl) on onnxruntime.

Piper makes a whole sentence at a time, so whoever wants sound early passes clauses. They join well: every
answer begins with speech, has the same loudness, and ends with the pause that its punctuation asks for.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from piper import PiperVoice, SynthesisConfig
from piper.config import PhonemeType, PiperConfig

from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.protocols import Synthesizer
from device.errors import DragomanError
from device.events import Samples
from device.modelstore.catalogue import Model

VOICE_FILE = "voice.onnx"
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
_PEAK = 0.97
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

    def __init__(self, model: Model, voice: PiperVoice, synthesis: SynthesisConfig) -> None:
        self.model_id = model.id
        self.language = model.languages[0]
        self.voice = model.name
        self.sample_rate = int(voice.config.sample_rate)
        self._voice = voice
        self._synthesis = synthesis

    def synthesize(self, text: str) -> Samples:
        """Speak ``text``: mono float32 within [-1, 1]; empty where there is nothing to say."""
        parts = [self._speak(piece) for piece in pieces(speakable(text))]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _speak(self, piece: str) -> Samples:
        chunks = [chunk.audio_float_array for chunk in self._voice.synthesize(piece, self._synthesis)]
        if not chunks:
            return np.zeros(0, np.float32)
        return finish(np.concatenate(chunks), self.sample_rate, PAUSES.get(piece[-1], PLAIN_PAUSE))


class _FrugalSession:
    """An onnxruntime session that gives its working memory back after a long piece of text, and only then.

    Without an arena everything takes a tenth to a third longer and needs more at the peak.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._shrink = onnxruntime.RunOptions()
        self._shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(self, outputs: list[str] | None, feed: dict[str, Any]) -> Any:
        long = feed["input"].shape[1] > _SHRINK_ABOVE
        return self._session.run(outputs, feed, self._shrink if long else None)


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


def finish(samples: Samples, rate: int, pause: float) -> Samples:
    """Cut the silence around speech, even its loudness, fade its edges, and add ``pause`` seconds of silence.

    Silence is what stays 45 dB below the loudest 10 ms; 30 ms of it are kept on either side.
    """
    samples = np.nan_to_num(np.asarray(samples, np.float32).reshape(-1), posinf=0.0, neginf=0.0)
    hop = max(1, rate // 100)
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    level = np.sqrt(np.mean(frames**2, axis=1)) if len(frames) else np.zeros(0, np.float32)
    loud = np.flatnonzero(level > max(float(level.max(initial=0.0)) * _SILENCE, 1e-6))
    if not len(loud):
        return np.zeros(0, np.float32)
    edge = int(_EDGE * rate)
    speech = samples[max(0, loud[0] * hop - edge) : (loud[-1] + 1) * hop + edge].copy()
    loudness = float(np.sqrt(np.mean(samples[loud[0] * hop : (loud[-1] + 1) * hop] ** 2)))
    speech *= min(_LOUDNESS / loudness, _PEAK / float(np.abs(speech).max()))
    fade = min(int(_FADE * rate), len(speech) // 2)
    ramp = np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)
    speech[:fade] *= ramp
    speech[len(speech) - fade :] *= ramp[::-1]
    return np.concatenate([speech, np.zeros(int(pause * rate), np.float32)])


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
    path = require_file(model, folder, VOICE_FILE)
    config = _config(model, require_file(model, folder, CONFIG_FILE))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.inter_op_num_threads = 1
    # Spinning threads steal the cores of the engines beside this one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        voice = PiperVoice(config=config, session=_FrugalSession(session), download_dir=folder)
        synthesizer = PiperSynthesizer(model, voice, _synthesis(model, config))
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
        raise DragomanError(
            f"model {model.id}: voices with {config.phoneme_type.value} phonemes cannot be used"
        )
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
