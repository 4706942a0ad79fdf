"""Streaming models hear only what is new, and bring out the last word at the end.

The model is generated: a NeMo-style streaming CTC network that says "hum" whenever it is loud. Everything
around it is the real library.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from threading import Thread

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from device.engines.asr_sherpa import load
from device.engines.protocols import Recognizer
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model
from tests.engines.speech import noise

MODEL = Model(
    id="asr-hum",
    task="asr",
    engine="sherpa-online",
    name="Hum",
    licence="none",
    homepage="",
    languages=("en-US",),
    options={"type": "nemo_ctc", "files": {"model": "model.onnx", "tokens": "tokens.txt"}},
)
CACHES = ("cache_last_channel", "cache_last_time", "cache_last_channel_len")
METADATA = {
    "vocab_size": 1,
    "window_size": 8,
    "chunk_shift": 8,
    "subsampling_factor": 8,
    "normalize_type": "",
    **{f"{cache}_dim{i}": 1 for cache in CACHES[:2] for i in (1, 2, 3)},
}


def write_model(folder: Path) -> Path:
    value = helper.make_tensor_value_info
    caches = [(name, TensorProto.INT64 if name.endswith("len") else TensorProto.FLOAT) for name in CACHES]
    shapes = {name: [1] if name.endswith("len") else [1, 1, 1, 1] for name in CACHES}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["audio_signal"], ["level"], axes=[1, 2], keepdims=1),
            helper.make_node("Mul", ["level", "weight"], ["weighted"]),
            helper.make_node("Add", ["weighted", "bias"], ["logits"]),
            helper.make_node("Identity", ["length"], ["encoded_lengths"]),
            *(helper.make_node("Identity", [name], [f"{name}_next"]) for name in CACHES),
        ],
        "hum",
        [
            value("audio_signal", TensorProto.FLOAT, [1, 80, None]),
            value("length", TensorProto.INT64, [1]),
            *(value(name, kind, shapes[name]) for name, kind in caches),
        ],
        [
            value("logits", TensorProto.FLOAT, [1, 1, 2]),
            value("encoded_lengths", TensorProto.INT64, [1]),
            *(value(f"{name}_next", kind, shapes[name]) for name, kind in caches),
        ],
        [
            numpy_helper.from_array(np.array([[[1, 0]]], np.float32), "weight"),
            numpy_helper.from_array(np.array([[[8, 0]]], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {key: str(item) for key, item in METADATA.items()})
    onnx.save(model, folder / "model.onnx")
    (folder / "tokens.txt").write_text("▁hum 0\n<blk> 1\n", encoding="utf-8")
    return folder


@pytest.fixture
def hum(tmp_path: Path) -> Recognizer:
    return load(MODEL, write_model(tmp_path), 1)


def bursts(number: int) -> Samples:
    pair = [part for i in range(number) for part in (noise(0.5, 1e-4, i), noise(0.5, 0.1, i))]
    return np.concatenate(pair)


def test_streaming_model_is_known_as_one(hum: Recognizer) -> None:
    assert hum.incremental
    assert hum.suits_partials
    assert hum.languages == {"en"}


def test_growing_utterance_gives_the_words_so_far(hum: Recognizer) -> None:
    samples = bursts(4)
    session = hum.session("en")
    counts = [
        len(session.recognize(samples[:length], final=False).text.split())
        for length in range(0, len(samples) + 1, SAMPLE_RATE // 4)
    ]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert session.recognize(samples, final=True).text == "hum hum hum hum"


@pytest.mark.parametrize("step", [100, 5000, 40000])
def test_steps_make_no_difference(hum: Recognizer, step: int) -> None:
    samples = bursts(3)
    session = hum.session("en")
    for length in range(step, len(samples), step):
        session.recognize(samples[:length], final=False)
    assert session.recognize(samples, final=True) == hum.session("en").recognize(samples, final=True)


def test_last_word_comes_out_at_the_end(hum: Recognizer) -> None:
    samples = np.concatenate([noise(0.5, 1e-4), noise(0.06, 0.1)])
    session = hum.session("en")
    assert session.recognize(samples, final=False).text == ""
    assert session.recognize(samples, final=True).text == "hum"


def test_words_come_with_times_in_order(hum: Recognizer) -> None:
    words = hum.session("en").recognize(bursts(3), final=True).words
    assert [word.text for word in words] == ["hum"] * 3
    assert all(a.start < a.end <= b.start for a, b in pairwise(words))


def test_conversations_do_not_mix(hum: Recognizer) -> None:
    samples, silence = bursts(2), noise(2.0, 1e-4)
    one, other = hum.session("en"), hum.session("en")
    for length in range(8000, len(samples) + 1, 8000):
        one.recognize(samples[:length], final=False)
        other.recognize(silence[:length], final=False)
    assert one.recognize(samples, final=True).text == "hum hum"
    assert other.recognize(silence, final=True).text == ""


def test_a_partial_and_the_final_never_decode_one_stream_at_once(hum: Recognizer) -> None:
    samples = bursts(3)
    session = hum.session("en")
    native = session._native  # type: ignore[attr-defined]
    answers: list[str] = []
    final = Thread(target=lambda: answers.append(session.recognize(samples, final=True).text))

    class Slow:
        def __getattr__(self, name: str) -> object:
            return getattr(native, name)

        def decode_stream(self, stream: object) -> None:
            if final.ident is None:
                final.start()
                final.join(0.2)
                assert not answers, "the final decodes what a partial decodes just now"
            native.decode_stream(stream)

    session._native = Slow()  # type: ignore[attr-defined]
    session.recognize(samples[:20_000], final=False)
    final.join(60)
    assert answers == ["hum hum hum"]


def test_a_partial_that_comes_after_the_final_says_the_same(hum: Recognizer) -> None:
    samples = bursts(3)
    session = hum.session("en")
    final = session.recognize(samples[:20_000], final=True)
    assert session.recognize(samples, final=False) == final


def test_broken_samples_are_silence(hum: Recognizer) -> None:
    assert hum.session("en").recognize(np.full(SAMPLE_RATE, np.nan, np.float32), final=True).text == ""
