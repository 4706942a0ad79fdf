"""Capitals and marks by a network. The network is generated; everything around it is the real library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from device.config import TextSettings
from device.engines.protocols import Punctuator
from device.engines.punctuation_sherpa import SherpaPunctuator, load
from device.errors import DragomanError
from device.modelstore.catalogue import Model
from device.text.room import TextRoom

OPTIONS = {"type": "online", "files": {"model": "model.onnx", "vocabulary": "bpe.vocab"}}
METADATA = {"COMMA": 1, "PERIOD": 2, "QUESTION": 3, "UPPER": 1, "CAP": 2, "MIX_CASE": 3}


def model(options: dict[str, Any] | None = None) -> Model:
    return Model(
        id="punct-test", task="punctuation", engine="sherpa-punctuation", name="Test", licence="none", homepage="",
        languages=("en-US",), options=options or OPTIONS,
    )  # fmt: skip


def write_model(folder: Path) -> Path:
    """Write a network that puts a capital on the second word and a question mark behind the last one."""
    value, node = helper.make_tensor_value_info, helper.make_node
    numbers = {"zero": 0, "one": 1, "two": 2, "axes": [0], "depth": 4, "cap": 2, "question": 3}
    graph = helper.make_graph(
        [
            node("Cast", ["label_lens"], ["lengths"], to=TensorProto.INT64),
            node("ReduceSum", ["lengths", "axes"], ["all"], keepdims=0),
            node("Sub", ["all", "two"], ["count"]),
            node("Range", ["zero", "count", "one"], ["places"]),
            node("Sub", ["count", "one"], ["last"]),
            node("Equal", ["places", "one"], ["second"]),
            node("Equal", ["places", "last"], ["final"]),
            node("Where", ["second", "cap", "zero"], ["case"]),
            node("Where", ["final", "question", "zero"], ["mark"]),
            node("OneHot", ["case", "depth", "values"], ["case_logits"], axis=-1),
            node("OneHot", ["mark", "depth", "values"], ["punct_logits"], axis=-1),
        ],
        "test",
        [
            value("token_ids", TensorProto.INT32, ["n", 200]),
            value("valid_ids", TensorProto.INT32, ["n", 200]),
            value("label_lens", TensorProto.INT32, ["n"]),
        ],
        [value(name, TensorProto.FLOAT, ["words", 4]) for name in ("case_logits", "punct_logits")],
        [
            *(numpy_helper.from_array(np.array(number, np.int64), name) for name, number in numbers.items()),
            numpy_helper.from_array(np.array([0, 1], np.float32), "values"),
        ],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(network, {key: str(number) for key, number in METADATA.items()})
    onnx.save(network, folder / "model.onnx")
    letters = "▁abcdefghijklmnopqrstuvwxyz'"
    pieces = ["<unk>", "<s>", "</s>", *letters]
    lines = (f"{piece}\t{-number}\n" for number, piece in enumerate(pieces))
    (folder / "bpe.vocab").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def punctuator(tmp_path: Path) -> SherpaPunctuator:
    return load(model(), write_model(tmp_path), 1)


def test_marks_and_capitals_are_the_models_and_the_first_word_has_one(punctuator: SherpaPunctuator) -> None:
    assert isinstance(punctuator, Punctuator)
    assert punctuator.punctuate("where is anna", "en") == "Where Is Anna?"
    assert punctuator.punctuate("WHERE IS ANNA", "en") == "Where Is Anna?"
    assert punctuator.punctuate("on monday i'll go", "en") == "On Monday I'll go?", "what always has a capital"


def test_a_long_text_keeps_all_its_words(punctuator: SherpaPunctuator) -> None:
    text = "the quick brown fox jumps over the lazy dog " * 20
    assert punctuator.punctuate(text, "en").lower().rstrip("?.").split() == text.split()


def test_a_room_asks_the_model_where_the_recogniser_writes_none_and_only_there(punctuator: SherpaPunctuator) -> None:
    room = TextRoom(TextSettings(), lambda language: punctuator if language == "en" else None)
    assert room.final("um there are twenty five dogs", "en").shown == "There Are 25 dogs?"
    assert room.final("There are dogs.", "en").shown == "There are dogs."
    assert room.final("bom dia", "pt").shown == "Bom dia."
    assert TextRoom(TextSettings(punctuation=False), lambda _: punctuator).final("there are dogs", "en").shown == (
        "there are dogs"
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"type": "onlin", "files": {}}, "no type 'onlin'"),
        ({"type": "online", "files": {"model": "model.onnx"}}, "must name model, vocabulary"),
        ({"type": "ct-transformer", "files": {"model": "none.onnx"}}, "none.onnx"),
    ],
)
def test_a_wrong_entry_is_refused_before_the_library_sees_it(
    tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(DragomanError, match=told):
        load(model(options), tmp_path, 1)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (write_model(tmp_path) / "model.onnx").write_bytes(b"no network")
    with pytest.raises(DragomanError, match="cannot be loaded"):
        load(model(), tmp_path, 1)
