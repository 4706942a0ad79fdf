"""A converted student says what the equations say, whatever its sizes and number format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sentencepiece

from device.engines.bergamot.convert import convert
from device.engines.bergamot.model import LENGTH_FACTOR, LONGEST_SOURCE, Student, position_signals
from device.engines.bergamot.shortlist import Shortlist
from tests.engines.bergamot.reference import Reference
from tests.engines.bergamot.student import TinyStudent

SENTENCES = [
    "the cat sat on the mat",
    "we went to the market to buy some bread, cheese and two apples",
    "Where is it?",
    "O gato dorme na cama.",
]


def translate_both(folder: Path, tiny: TinyStudent, *, integers: bool) -> list[tuple[list[int], list[int], float]]:
    """Return what the graphs say, what the reference says, and by how much the reference was sure at its least."""
    convert(folder)
    student = Student(folder, threads=1, end=0)
    vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(folder / "vocab.spm"))
    shortlist = Shortlist(folder / "lex.bin", tiny.vocabulary)
    out = []
    for sentence in SENTENCES:
        source = [*vocabulary.encode(sentence), 0]
        candidates = shortlist.candidates(source).tolist()
        limit = int(np.ceil(LENGTH_FACTOR * len(source)))
        expected, logits = Reference(tiny, integers=integers).translate(source, candidates, limit)
        hypothesis = student.translate(source)
        margin = min(float(np.diff(np.sort(step)[-2:])[0]) for step in logits)
        wanted = expected[:-1] if expected[-1] == 0 else expected[: limit - 1]
        out.append((list(hypothesis.tokens), wanted, margin))
        certain = [step.max() - np.log(np.exp(step - step.max()).sum()) - step.max() for step in logits]
        if list(hypothesis.tokens) == wanted:
            assert hypothesis.log_probability == pytest.approx(sum(certain), rel=0.02, abs=0.05)
            assert hypothesis.steps == len(logits)
    return out


@pytest.mark.parametrize("sizes", [
    {},
    {"dim": 24, "heads": 3, "ffn": 40, "encoder_layers": 1, "decoder_layers": 1},
    {"dim": 32, "heads": 4, "encoder_layers": 3, "decoder_layers": 3},
])  # fmt: skip
def test_static_graph_is_the_integer_arithmetic(tmp_path: Path, sizes: dict[str, int]) -> None:
    tiny = TinyStudent(**sizes).write(tmp_path)
    for said, expected, _ in translate_both(tmp_path, tiny, integers=True):
        assert said == expected


def test_layers_with_different_alphas_are_not_fused(tmp_path: Path) -> None:
    tiny = TinyStudent(equal_alphas=False).write(tmp_path)
    for said, expected, _ in translate_both(tmp_path, tiny, integers=True):
        assert said == expected


def test_float_student_is_the_equations(tmp_path: Path) -> None:
    tiny = TinyStudent(form="float").write(tmp_path)
    for said, expected, _ in translate_both(tmp_path, tiny, integers=False):
        assert said == expected


def test_student_without_alphas_quantises_dynamically(tmp_path: Path) -> None:
    tiny = TinyStudent(form="dynamic", dim=32, heads=2).write(tmp_path)
    graph = (convert(tmp_path), (tmp_path / "encoder.onnx").read_bytes())[1]
    assert b"DynamicQuantizeLinear" in graph
    results = translate_both(tmp_path, tiny, integers=False)
    agreeing = sum(a == b for said, expected, _ in results for a, b in zip(said, expected, strict=False))
    total = sum(len(expected) for _, expected, _ in results)
    assert agreeing > 0.3 * total, "int8 activations follow the float equations only roughly, but they follow"
    assert [said[:1] for said, *_ in results] == [expected[:1] for _, expected, _ in results]


def test_same_source_gives_the_same_words_whatever_came_before(tmp_path: Path) -> None:
    TinyStudent().write(tmp_path)
    convert(tmp_path)
    student = Student(tmp_path, threads=1, end=0)
    first = student.translate([5, 9, 30, 0])
    student.translate([7] * 40 + [0])
    assert student.translate([5, 9, 30, 0]) == first


def test_translation_is_bounded_in_length(tmp_path: Path) -> None:
    TinyStudent().write(tmp_path)
    convert(tmp_path)
    source = [3] * (LONGEST_SOURCE - 1) + [0]
    assert len(Student(tmp_path, threads=1, end=0).translate(source).tokens) < LENGTH_FACTOR * LONGEST_SOURCE


def test_positions_are_sines_then_cosines() -> None:
    table = position_signals(3, 8)
    assert table[0] == pytest.approx([0, 0, 0, 0, 1, 1, 1, 1])
    assert table[2, 1] == pytest.approx(np.sin(2 * 10000 ** (-1 / 3)))
    assert table[2, 7] == pytest.approx(np.cos(2 / 10000))


def test_shortlist_holds_the_frequent_and_the_sources_own_candidates(tmp_path: Path) -> None:
    tiny = TinyStudent().write(tmp_path)
    candidates = Shortlist(tmp_path / "lex.bin", tiny.vocabulary).candidates([8, 20, 8, 0])
    expected = set(range(5)) | set(tiny.shortlist[8]) | set(tiny.shortlist[20]) | set(tiny.shortlist[0])
    assert candidates.tolist() == sorted(expected)
