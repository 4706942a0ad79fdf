"""What the parts of ``make bench-text`` share: the corpus, and how scores are counted."""

from __future__ import annotations

import re
from pathlib import Path

LANGUAGES = ("en", "pt", "es", "fr", "de", "it")


def read_sentences(corpus: Path | None, language: str, limit: int | None) -> list[str]:
    """Return sentences of the corpus, none where it has not the language."""
    file = corpus / f"{language}.txt" if corpus is not None else None
    if file is None or not file.is_file():
        return []
    return file.read_text(encoding="utf-8").splitlines()[:limit]


def words_of(text: str) -> list[str]:
    """Return the words of a text, small and without marks."""
    return re.findall(r"[\w'-]+", text.lower())


def f1(right: int, taken: int, wanted: int) -> dict[str, float]:
    """Return precision, recall and F1 of what was taken, of which so much was right, where so much was wanted."""
    precision, recall = right / taken if taken else 1.0, right / wanted if wanted else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": round(precision, 3), "recall": round(recall, 3), "F1": round(f1, 3)}
