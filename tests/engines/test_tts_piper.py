"""Voices speak any text: clauses that join well, nothing for nothing, and never a crash."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import onnx
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from device.engines import asr_moonshine
from device.engines.protocols import Synthesizer
from device.engines.tts_piper import load
from device.engines.tts_voice import LONGEST_PIECE, PAUSES, PLAIN_PAUSE, pieces, speakable
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model
from tests.engines.speech import MOONSHINE, plain

MODEL = Model(id="tts-tiny", task="tts", engine="piper", name="Tiny", licence="none", homepage="", languages=("en-US",))
JOE = replace(MODEL, id="tts-piper-en-joe", name="joe")
RATE = 16000
CONFIG: dict[str, Any] = {
    "num_symbols": 256,
    "num_speakers": 1,
    "audio": {"sample_rate": RATE},
    "espeak": {"voice": "en-us"},
    "phoneme_type": "espeak",
    "phoneme_id_map": {chr(i): [i % 200 + 3] for i in range(32, 0x2E0)} | {"_": [0], "^": [1], "$": [2]},
    "inference": {"noise_scale": 0.6, "length_scale": 1, "noise_w": 0.8},
}


def write_voice(folder: Path, gain: float = 0.3, **changes: Any) -> Path:
    """Write a voice that hums: 256 samples for every phoneme id, after 1000 samples of silence."""
    frame = np.sin(np.arange(256) * 2 * np.pi * 8 / 256).astype(np.float32) * gain
    constants = {"frame": frame[None, :], "flat": np.array([1, 1, 1, -1]), "axis": np.array([2]),
                 "silence": np.zeros((1, 1, 1, 1000), np.float32), "small": np.float32(1e-8)}  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["input"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["ids", "axis"], ["column"]),
        helper.make_node("Cast", ["input_lengths"], ["length"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["scales"], ["scale"], keepdims=0),
        helper.make_node("Mul", ["column", "small"], ["little"]),
        helper.make_node("Add", ["little", "frame"], ["waves"]),
        helper.make_node("Reshape", ["waves", "flat"], ["sound"]),
        helper.make_node("Concat", ["silence", "sound", "silence"], ["output"], axis=3),
    ]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, ["b", "n"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["b"]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, None)
    tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "voice", inputs, [output], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.save(model, folder / "voice.onnx")
    (folder / "voice.onnx.json").write_text(json.dumps({**CONFIG, **changes}))
    return folder


def spoken(voice: Synthesizer, text: str) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *voice.stream(text)])


@pytest.fixture
def tiny(tmp_path: Path) -> Synthesizer:
    return load(MODEL, write_voice(tmp_path), 1)


@pytest.fixture(scope="module")
def joe(model_dir: Callable[[str], Path]) -> Synthesizer:
    return load(JOE, model_dir(JOE.id), 1)


def test_voice_tells_what_it_is(tiny: Synthesizer) -> None:
    assert (tiny.model_id, tiny.language, tiny.voice, tiny.sample_rate) == ("tts-tiny", "en-US", "Tiny", RATE)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "...", "?!", "—", "😀😀", "\x00\x01", "♪", "\u200d", "\ud800"])
def test_nothing_to_say_is_no_sound(tiny: Synthesizer, text: str) -> None:
    assert list(tiny.stream(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "12345",
        "3.14 km²",
        "😀 hello",
        "a\x00b",
        "1/2 £5 50%",
        "שלום",
        "[[abc]]",
        "日本語",
        "x" * 1000,
        "e\u0301" * 300,
        "\ud800 x",
    ],
)
def test_any_text_is_finite_sound(tiny: Synthesizer, text: str) -> None:
    sound = spoken(tiny, text)
    assert len(sound)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 1.0


@pytest.mark.parametrize("gain", [0.001, 0.1, 30.0])
def test_sound_is_as_loud_from_any_voice_and_never_clips(tmp_path: Path, gain: float) -> None:
    sound = spoken(load(MODEL, write_voice(tmp_path, gain), 1), "Good morning")
    assert np.abs(sound).max() < 1.0
    assert np.sqrt(np.mean(sound[: -int(0.1 * RATE)] ** 2)) == pytest.approx(0.1, rel=0.4)


@pytest.mark.parametrize(("end", "pause"), [(".", 0.25), ("?", 0.25), (",", 0.12), ("", PLAIN_PAUSE)])
def test_silence_around_a_clause_is_what_its_punctuation_asks_for(tiny: Synthesizer, end: str, pause: float) -> None:
    sound = spoken(tiny, "Good morning" + end)
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    assert loud[0] / RATE < 0.05
    assert (len(sound) - loud[-1]) / RATE == pytest.approx(pause + 0.03, abs=0.02)
    assert PAUSES.get(end, PLAIN_PAUSE) == pause


def test_text_of_100000_characters_is_spoken_in_short_pieces() -> None:
    text = "the quick brown fox, they say, jumps over the lazy dog and " * 1700
    found = pieces(text)
    assert max(map(len, found)) <= LONGEST_PIECE
    assert " ".join(found).split() == text.split()


@settings(deadline=None)
@given(st.text(max_size=600))
def test_pieces_lose_no_word_and_are_never_long(text: str) -> None:
    found = pieces(speakable(text))
    assert all(0 < len(piece) <= LONGEST_PIECE for piece in found)
    letters = [c for c in speakable(text) if c.isalpha() or c.isdecimal()]
    assert [c for c in "".join(found) if c.isalpha() or c.isdecimal()] == letters


def test_sentences_are_pieces_and_numbers_stay_whole() -> None:
    assert pieces("One. Two? 3.5 kg, four!") == ["One.", "Two?", "3.5 kg, four!"]
    assert pieces("你好。世界") == ["你好。", "世界"]


def test_degrees_currency_and_joiners_are_kept() -> None:
    assert speakable("20 °C, £5, ₹3 + 4 क्\u200dष ✈️") == "20 °C, £5, ₹3 + 4 क्\u200dष"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lenght_scale": 1}, "did you mean 'length_scale'"),
        ({"length_scale": "slow"}, "'length_scale' must be a number"),
        ({"length_scale": 0}, "'length_scale' must be a number"),
        ({"noise_scale": 9}, "'noise_scale' must be a number"),
        ({"speaker": 3}, "no speaker 3; known: 0 to 0"),
        ({"speaker": "anna"}, "no speaker 'anna'"),
    ],
)
def test_wrong_option_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DragomanError, match=message):
        load(replace(MODEL, options=options), write_voice(tmp_path), 1)


@pytest.mark.parametrize("name", ["voice.onnx", "voice.onnx.json"])
def test_missing_and_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    path = write_voice(tmp_path) / name
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DragomanError, match=r"models verify") as raised:
        load(MODEL, tmp_path, 1)
    assert "\n" not in str(raised.value)
    path.unlink()
    with pytest.raises(DragomanError, match=f"{name} is missing"):
        load(MODEL, tmp_path, 1)


def test_voice_that_needs_other_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DragomanError, match="pinyin phonemes cannot be used"):
        load(MODEL, write_voice(tmp_path, phoneme_type="pinyin"), 1)


@pytest.mark.models
def test_what_is_spoken_can_be_understood(joe: Synthesizer, model_dir: Callable[[str], Path]) -> None:
    ear = asr_moonshine.load(MOONSHINE, model_dir(MOONSHINE.id), 1)
    texts = [
        "The next train to Lisbon leaves at nine in the morning.",
        "I would like to buy a ticket, please.",
        "Where can I find a good restaurant?",
    ]
    heard = []
    for text in texts:
        sound = np.asarray(soxr.resample(spoken(joe, text), joe.sample_rate, SAMPLE_RATE), np.float32)
        heard.append(plain(ear.session("en").recognize(sound, final=True).text))
    assert jiwer.wer([plain(text) for text in texts], heard) <= 0.15


@pytest.mark.models
def test_clauses_are_equally_loud(joe: Synthesizer) -> None:
    clauses = ["Good morning,", "I would like to buy a ticket to Lisbon,", "please.", "Thank you very much!"]
    levels = []
    for clause in clauses:
        sound = spoken(joe, clause)
        levels.append(np.sqrt(np.mean(sound[np.abs(sound) > 0.005] ** 2)))
    assert max(levels) / min(levels) < 2.0  # 6 dB


@pytest.mark.models
def test_two_may_speak_at_once(joe: Synthesizer) -> None:
    sounds: list[Samples] = []
    threads = [
        threading.Thread(target=lambda: sounds.append(spoken(joe, "Good morning, everybody."))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sounds) == 3
    assert all(len(sound) > 0.8 * joe.sample_rate for sound in sounds)
