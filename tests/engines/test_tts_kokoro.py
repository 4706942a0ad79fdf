"""Kokoro's voices speak, tell when each word is heard, and are as loud as all others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soxr

from device.audio.loudness import integrated_loudness, true_peak
from device.engines import asr_moonshine, tts_kokoro
from device.engines.protocols import Pronounced, Synthesizer
from device.engines.tts_kokoro import KokoroSpeakers
from device.engines.tts_loudness import TARGET
from device.errors import DragomanError
from device.events import SAMPLE_RATE
from device.modelstore.catalogue import Speaker
from device.modelstore.loading import load_catalogue
from device.modelstore.progress import Lines
from device.modelstore.store import ModelStore
from tests.engines.speech import MOONSHINE, plain

MODEL = load_catalogue()["tts-kokoro"]


@pytest.fixture(scope="module")
def folder(model_store: ModelStore) -> Path:
    """The model, in a store of its own: where it is installed, it answers for Azure's women."""
    store = ModelStore(model_store.directory.with_name("models-kokoro"))
    store.pull([MODEL.id], Lines())
    return store.path(MODEL.id)


@pytest.fixture(scope="module")
def speakers(folder: Path) -> KokoroSpeakers:
    return tts_kokoro.load(MODEL, folder, 2)


def voice(speakers: KokoroSpeakers, name: str) -> Synthesizer:
    return speakers.speaker(next(s for s in MODEL.voices if s.id == name))


def test_every_voice_has_its_file_its_gender_and_its_gain() -> None:
    files = {file.name for file in MODEL.files}
    assert len(MODEL.voices) >= 40
    assert all(f"voices/{s.id}.bin" in files and s.gender and s.gain is not None for s in MODEL.voices)
    assert {s.language for s in MODEL.voices} == set(MODEL.languages)


@pytest.mark.models
def test_what_is_spoken_can_be_understood_and_is_as_loud_as_all(
    speakers: KokoroSpeakers, model_dir: Callable[[str], Path]
) -> None:
    text = "We will meet tomorrow at the old railway station near the river."
    spoken = np.concatenate(list(voice(speakers, "bf_emma").stream(text)))
    assert integrated_loudness(spoken, tts_kokoro.RATE) == pytest.approx(TARGET, abs=1.5)
    assert true_peak(spoken, tts_kokoro.RATE) < -1
    ear = asr_moonshine.load(MOONSHINE, model_dir(MOONSHINE.id), 1)
    sound = np.asarray(soxr.resample(spoken, tts_kokoro.RATE, SAMPLE_RATE), np.float32)
    heard = ear.session("en").recognize(sound, final=True).text
    assert jiwer.wer(plain(text), plain(heard)) <= 0.25


@pytest.mark.models
def test_words_have_times_and_a_pace_of_their_own(speakers: KokoroSpeakers) -> None:
    texts = ["We", "will", "meet", "tomorrow", "at", "the", "station."]
    lengths = {}
    for rate in (1.0, 0.5):
        words = [Pronounced(text, rate=rate if text == "tomorrow" else 1.0) for text in texts]
        pieces = list(voice(speakers, "af_heart").speak(words))
        times = pieces[0].words
        assert len(times) == len(texts)
        assert all(a[0] < a[1] <= b[0] + 1e-6 for a, b in pairwise(times))
        assert times[-1][1] <= sum(len(piece.samples) for piece in pieces) / tts_kokoro.RATE
        lengths[rate] = times[3][1] - times[3][0]
    assert lengths[0.5] > 1.5 * lengths[1.0]


@pytest.mark.models
def test_damage_is_named(folder: Path, tmp_path: Path) -> None:
    for name in ("timed.onnx", "vocab.json"):
        shutil.copyfile(folder / name, tmp_path / name)
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "af_heart.bin").write_bytes(b"short")
    with pytest.raises(DragomanError, match="models verify"):
        voice(tts_kokoro.load(MODEL, tmp_path, 1), "af_heart")
    (tmp_path / "timed.onnx").write_bytes(b"nothing")
    with pytest.raises(DragomanError, match="models verify"):
        tts_kokoro.load(MODEL, tmp_path, 1)
    with pytest.raises(DragomanError, match="has no option 'pitch'"):
        tts_kokoro.load(replace(MODEL, options={"pitch": 1}), folder, 1)


def test_an_unknown_language_names_those_that_are_spoken() -> None:
    with pytest.raises(DragomanError, match="Kokoro speaks no 'ja-JP' here"):
        tts_kokoro.espeak_name(Speaker("Alpha", "ja-JP", "jf_alpha"))
