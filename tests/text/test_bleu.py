"""The scorer finds its corpus, scores what it is given, and refuses texts that are not parallel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.bleu import find_corpus, read_pair, score_pairs, score_stored


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "shared" / "data" / "flores-dev"
    folder.mkdir(parents=True)
    (folder / "en.txt").write_text("the cat sat on the mat\nwe all went home again\n")
    (folder / "pt.txt").write_text("o gato sentou no tapete\ntodos nós fomos para casa\n")
    (folder / "en-pt.other.txt").write_text("o gato sentou na cama\ntodos nós fomos para casa\n")
    return folder


def test_corpus_is_found_beside_the_checkout(tmp_path: Path, corpus: Path) -> None:
    inside = tmp_path / "checkout" / "tests" / "test_x.py"
    inside.parent.mkdir(parents=True)
    assert find_corpus(inside) == corpus
    assert find_corpus(Path("/")) is None


def test_perfect_translation_scores_100_and_a_worse_one_less(corpus: Path) -> None:
    answers = dict(zip(*read_pair(corpus, "en-pt"), strict=True))
    score = score_pairs(corpus, {"en-pt": lambda texts: [answers[text] for text in texts]})["en-pt"]
    assert score.bleu == pytest.approx(100)
    assert score.sentences == 2
    assert 30 < score_stored(corpus, "en-pt", "other") < 95


def test_texts_that_are_not_parallel_are_refused(corpus: Path) -> None:
    (corpus / "pt.txt").write_text("só uma\n")
    with pytest.raises(ValueError, match="not parallel"):
        read_pair(corpus, "en-pt")
