"""Voices of Piper (https://github.com/OHF-Voice/piper1-gpl) on onnxruntime.

Where a voice could be split (see `piper_split`), its sound comes in pieces, it tells when each word is heard, and
each word may have a pace of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from piper import SynthesisConfig
from piper.config import PhonemeType, PiperConfig
from piper.const import BOS, EOS, PAD

from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.piper_split import DECODER_FILE, ENCODER_FILE, VOICE_FILE, Decoder
from device.engines.protocols import Pronounced, Synthesizer
from device.engines.sessions import open_session
from device.engines.tts_phonemes import espeak_phonemes, is_heard, pronounce, spelled_out, word_times
from device.engines.tts_voice import Raw, Voice
from device.errors import DragomanError
from device.modelstore.catalogue import Model, Speaker

CONFIG_FILE = "voice.onnx.json"
_SHRINK_ABOVE = 160
"""Phoneme ids (two a phoneme, some 70 characters) above which the working memory is given back afterwards."""
_OPTIONS = ("length_scale", "noise_scale", "noise_w_scale", "speaker")


class PiperSynthesizer(Voice):
    """A loaded voice. onnxruntime may run it from several threads at once; espeak has a lock of its own."""

    def __init__(
        self,
        model: Model,
        config: PiperConfig,
        network: onnxruntime.InferenceSession,
        synthesis: SynthesisConfig,
        decoder: Decoder | None,
    ) -> None:
        super().__init__(model, model.name, model.languages[0])
        self._model = model
        self.sample_rate = int(config.sample_rate)
        self._config, self._network, self._decoder = config, network, decoder
        self._synthesis = synthesis
        self._lock = threading.Lock()
        self._others: dict[str, PiperSynthesizer] = {}
        self._read = spelled_out if config.phoneme_type == PhonemeType.TEXT else espeak_phonemes
        # Working memory is given back after a long piece of text, and only then: without an arena everything
        # takes a tenth to a third longer and needs more at the peak.
        self._shrink = onnxruntime.RunOptions()
        self._shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def speaker(self, speaker: Speaker) -> Synthesizer:
        """Return the voice of one of the network's speakers, which share it; it has one of its own by default."""
        if not speaker.id:
            return self
        with self._lock:
            if speaker.id not in self._others:
                options = {**self._model.options, "speaker": int(speaker.id) if speaker.id.isdigit() else speaker.id}
                model = replace(self._model, options=options)
                other = PiperSynthesizer(
                    model, self._config, self._network, _synthesis(model, self._config), self._decoder
                )
                other.voice, other.language = speaker.name, speaker.language
                other.settle(speaker.gain)
                self._others[speaker.id] = other
            return self._others[speaker.id]

    def _make(self, words: Sequence[Pronounced]) -> Raw:
        ids, owners = self._ids(words)
        if not ids:
            return Raw(iter(()))
        scales, length = self._synthesis, self._synthesis.length_scale or 1.0
        paces = np.array([1.0 if owner is None else words[owner].rate for owner in owners], np.float32)
        feed: dict[str, Any] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([scales.noise_scale, length / paces.mean(), scales.noise_w_scale], np.float32),
        }
        if self._config.num_speakers > 1:
            feed["sid"] = np.array([scales.speaker_id or 0], np.int64)
        run_options = self._shrink if len(ids) > _SHRINK_ABOVE else None
        if self._decoder is None:
            return Raw(iter([self._network.run(None, feed, run_options)[0].reshape(-1)]))
        feed["length_scales"] = (length / paces)[None, None, :].astype(np.float32)
        latent, durations = self._network.run(None, feed, run_options)
        frame = self._decoder.hop(latent) / self.sample_rate
        ends = np.cumsum(durations.reshape(-1)) * frame
        return Raw(self._decoder.windows(latent, self.sample_rate, run_options), word_times(ends, owners, len(words)))

    def _ids(self, words: Sequence[Pronounced]) -> tuple[list[int], list[int | None]]:
        """Return the network's input, and for each number the word it belongs to, if anything of it is heard."""
        known = self._config.phoneme_id_map
        pad = list(known[PAD])
        ids, owners = [*known[BOS], *pad], list[int | None]()
        owners += [None] * len(ids)
        for number, phonemes in enumerate(pronounce(words, self._config.espeak_voice, self._read)):
            for phoneme in phonemes:
                own = known.get(phoneme, ())
                pads = pad if own else ()
                ids += [*own, *pads]
                owners += [number if is_heard(phoneme) else None] * (len(own) + len(pads))
        if all(owner is None for owner in owners):
            return [], []
        return [*ids, *known[EOS]], [*owners, *[None] * len(known[EOS])]


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
        synthesizer = PiperSynthesizer(model, config, session, _synthesis(model, config), decoder)
        synthesizer.settle(model.voices[0].gain)
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
