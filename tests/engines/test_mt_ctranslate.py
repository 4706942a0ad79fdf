"""CTranslate2 models: a tiny random one for the plumbing, and the real Chinese-English one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
import sentencepiece
from ctranslate2.specs import TransformerSpec

from device.engines.mt_ctranslate import load
from device.engines.protocols import Translated, Translator
from device.errors import DragomanError
from device.modelstore.catalogue import Model
from tests.engines.bergamot.student import spm

MODEL = Model(
    id="mt-tiny", task="mt", engine="ctranslate2", name="Tiny", licence="none", homepage="", source="en", target="pt"
)
DIM = 16


def write_weights(folder: Path) -> None:
    """Write a random transformer of one layer each side, with the vocabulary of `spm`."""
    vocabulary = sentencepiece.SentencePieceProcessor(model_proto=spm())
    tokens = [vocabulary.id_to_piece(i) for i in range(len(vocabulary))] + ["<s>"]
    rng = np.random.default_rng(3)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    def linear(layer: Any, inputs: int, outputs: int) -> None:
        layer.weight, layer.bias = draw(outputs, inputs), draw(outputs)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(DIM, np.float32), np.zeros(DIM, np.float32)

    spec = TransformerSpec.from_config((1, 1), 2)
    spec.encoder.embeddings[0].weight = draw(len(tokens), DIM)
    spec.decoder.embeddings.weight = draw(len(tokens), DIM)
    linear(spec.decoder.projection, DIM, len(tokens))
    for side in (spec.encoder, spec.decoder):
        norm(side.layer_norm)
        layer = side.layer[0]
        linear(layer.self_attention.linear[0], DIM, 3 * DIM)
        linear(layer.self_attention.linear[1], DIM, DIM)
        norm(layer.self_attention.layer_norm)
        linear(layer.ffn.linear_0, DIM, 2 * DIM)
        linear(layer.ffn.linear_1, 2 * DIM, DIM)
        norm(layer.ffn.layer_norm)
    cross = spec.decoder.layer[0].attention
    linear(cross.linear[0], DIM, DIM)
    linear(cross.linear[1], DIM, 2 * DIM)
    linear(cross.linear[2], DIM, DIM)
    norm(cross.layer_norm)
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.validate()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))


@pytest.fixture(scope="module")
def argos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as an Argos package."""
    folder = tmp_path_factory.mktemp("argos")
    write_weights(folder / "model")
    (folder / "sentencepiece.model").write_bytes(spm())
    return folder


@pytest.fixture(scope="module")
def opus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as an OPUS-MT model in CTranslate2 form."""
    folder = tmp_path_factory.mktemp("opus")
    write_weights(folder)
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(spm())
    return folder


@pytest.mark.parametrize("layout", ["argos", "opus"])
def test_both_layouts_are_translators(layout: str, request: pytest.FixtureRequest) -> None:
    translator = load(MODEL, request.getfixturevalue(layout), 1)
    assert isinstance(translator, Translator)
    answers = translator.translate(["the cat sat", "", "😀", "we went to the market. The cat too."])
    assert [bool(a.text) for a in answers] == [True, False, True, True]
    assert answers[1:3] == [Translated(""), Translated("😀")]
    assert "▁" not in answers[0].text
    assert answers[0].confidence is not None
    assert answers[0].confidence < 0
    assert translator.translate([]) == []


def test_a_batch_gives_what_single_sentences_give(argos: Path) -> None:
    translator = load(MODEL, argos, 1)
    sentences = ["the cat sat", "we went to the market to buy bread", "call me"]
    alone = [translator.translate([sentence])[0] for sentence in sentences]
    for one, answer in zip(alone, translator.translate(sentences), strict=True):
        assert answer.confidence == pytest.approx(one.confidence, abs=0.2)


def test_source_ends_as_the_kind_of_model_wants(argos: Path, opus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    translate = ctranslate2.Translator.translate_batch

    class Spy:
        def __init__(self, *args: Any, **options: Any) -> None:
            self.inner = ctranslate2_translator(*args, **options)

        def translate_batch(self, source: list[list[str]], **options: Any) -> Any:
            seen.extend(source)
            return translate(self.inner, source, **options)

    ctranslate2_translator = ctranslate2.Translator
    monkeypatch.setattr("device.engines.mt_ctranslate.ctranslate2.Translator", Spy)
    load(MODEL, argos, 1).translate(["cat"])
    load(MODEL, opus, 1).translate(["cat"])
    load(replace(MODEL, options={"source_eos": False, "prefix": ">>por<<"}), opus, 1).translate(["cat"])
    pieces = sentencepiece.SentencePieceProcessor(model_proto=spm()).encode("cat", out_type=str)
    assert seen == [pieces, [*pieces, "</s>"], [">>por<<", *pieces]]


def test_wider_beam_is_at_least_as_likely(argos: Path) -> None:
    greedy = load(MODEL, argos, 1).translate(["the cat sat on the mat"])[0]
    beam = load(replace(MODEL, options={"beam": 4}), argos, 1).translate(["the cat sat on the mat"])[0]
    assert greedy.confidence is not None
    assert beam.confidence is not None
    assert beam.confidence >= greedy.confidence - 1e-3


@pytest.mark.parametrize(("options", "named"), [({"beems": 2}, "'beam'"), ({"beam": "2"}, "must be int")])
def test_wrong_options_are_refused(argos: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(DragomanError, match=named):
        load(replace(MODEL, options=options), argos, 1)


@pytest.mark.parametrize("name", ["model/model.bin", "sentencepiece.model"])
@pytest.mark.parametrize("content", [None, b"", b"\x00\x01\x02 rubbish"])
def test_missing_and_damaged_files_are_one_clear_line(
    tmp_path: Path, argos: Path, name: str, content: bytes | None
) -> None:
    for path in argos.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(argos)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DragomanError) as caught:
        load(MODEL, tmp_path, 1)
    assert "\n" not in str(caught.value)


# --- the real model


@pytest.mark.models
def test_chinese_becomes_english(model_dir: Callable[[str], Path]) -> None:
    model = replace(MODEL, id="mt-argos-zh-en", source="zh", target="en")
    translator = load(model, model_dir("mt-argos-zh-en"), 1)
    answers = translator.translate(["你好。我很好！", "价格是1,000.50元。", "我的邮箱是 joe@example.com。", "。", "😀"])  # noqa: RUF001
    texts = [answer.text for answer in answers]
    assert texts[0].startswith("Hello. I")
    assert "1,000.50" in texts[1]
    assert "joe@example.com" in texts[2]
    assert texts[3:] == ["。", "😀"]
    assert all(a.confidence is not None and -1 < a.confidence < 0 for a in answers[:3])
