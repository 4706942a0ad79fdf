"""The translator's promises, on a tiny random student: any text in, an answer out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.engines.bergamot import load
from device.engines.bergamot.convert import convert
from device.engines.bergamot.translator import BergamotTranslator
from device.engines.protocols import Translated, Translator
from device.errors import DragomanError
from tests.engines.bergamot.student import TinyStudent
from tests.engines.bergamot.test_convert import MODEL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    TinyStudent().write(path)
    convert(path)
    return path


@pytest.fixture(scope="module")
def translator(folder: Path) -> BergamotTranslator:
    return load(MODEL, folder, 1)


def test_it_is_a_translator(translator: BergamotTranslator) -> None:
    assert isinstance(translator, Translator)
    assert (translator.model_id, translator.source, translator.target) == ("mt-tiny", "en", "pt")


def test_every_sentence_has_its_answer(translator: BergamotTranslator) -> None:
    answers = translator.translate(["the cat sat", "", "we went to the market", "😀"])
    assert [bool(answer.text) for answer in answers] == [True, False, True, True]
    assert answers[1] == Translated("")
    assert answers[3] == Translated("😀")
    assert answers[0].confidence is not None
    assert answers[0].confidence < 0
    assert answers[0] == translator.translate(["the cat sat"])[0]
    assert translator.translate([]) == []


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=120))
def test_any_text_has_an_answer(translator: BergamotTranslator, text: str) -> None:
    (answer,) = translator.translate([text])
    answer.text.encode("utf-8")
    assert answer.confidence is None or answer.confidence <= 0


def test_text_without_spaces_longer_than_the_model_takes_is_split(translator: BergamotTranslator) -> None:
    assert translator.translate(["abc" * 500])[0].text


def test_threads_may_share_it(translator: BergamotTranslator) -> None:
    sentences = ["the cat sat on the mat", "we went to the market", "please call me tomorrow"] * 4
    alone = [translator.translate([sentence])[0] for sentence in sentences]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sentence: translator.translate([sentence])[0], sentences))
    assert together == alone


def test_unconverted_model_and_unknown_options_are_refused(tmp_path: Path, folder: Path) -> None:
    TinyStudent().write(tmp_path)
    with pytest.raises(DragomanError, match="not been converted"):
        load(MODEL, tmp_path, 1)
    with pytest.raises(DragomanError, match="'beam'"):
        load(replace(MODEL, options={"beam": 2}), folder, 1)
    with pytest.raises(DragomanError, match="source and a target"):
        load(replace(MODEL, target=None), folder, 1)
