"""BLEU of translation engines on a folder of parallel text: ``en.txt``, ``pt.txt``, …, a sentence a line.

Beside it may lie what other systems made of it, as ``en-pt.google.txt``. FLORES-200 dev in nine languages with what
nine systems made of it can be had from the folder ``evaluation`` of mozilla/firefox-translations-models, under other
names. This module knows no engine: it is given functions that translate. Scores are sacrebleu's with its default
signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

Translate = Callable[[Sequence[str]], list[str]]
"""Translates sentences, each by itself."""


@dataclass(frozen=True, slots=True)
class Score:
    """How one engine did on one pair of languages."""

    bleu: float
    sentences: int
    seconds: float


def find_corpus(start: Path) -> Path | None:
    """Return the development corpus beside the checkout that ``start`` is in, or None where there is none."""
    for folder in start.resolve().parents:
        corpus = folder / "shared" / "data" / "flores-dev"
        if corpus.is_dir():
            return corpus
    return None


def read_pair(corpus: Path, pair: str, limit: int | None = None) -> tuple[list[str], list[str]]:
    """Return the source sentences and the references of a pair such as ``en-pt``."""
    source, target = (
        (corpus / f"{language}.txt").read_text(encoding="utf-8").splitlines()[:limit] for language in pair.split("-")
    )
    if len(source) != len(target) or not source:
        raise ValueError(f"{corpus}: the texts of {pair} are not parallel")
    return source, target


def score_pairs(corpus: Path, engines: Mapping[str, Translate], *, limit: int | None = None) -> dict[str, Score]:
    """Translate the corpus with each engine and score it.

    Parameters
    ----------
    corpus
        The folder of parallel text.
    engines
        By pair, ``{"en-pt": translate}``.
    limit
        Only so many sentences, from the first.
    """
    import sacrebleu

    scores = {}
    for pair, translate in engines.items():
        sources, references = read_pair(corpus, pair, limit)
        started = perf_counter()
        answers = translate(sources)
        seconds = perf_counter() - started
        bleu = float(sacrebleu.corpus_bleu(answers, [references]).score)
        scores[pair] = Score(bleu, len(sources), seconds)
    return scores


def score_stored(corpus: Path, pair: str, system: str) -> float:
    """Score a translation that is stored beside the corpus, as ``en-pt.google.txt``."""
    answers = (corpus / f"{pair}.{system}.txt").read_text(encoding="utf-8").splitlines()
    return score_pairs(corpus, {pair: lambda _: answers})[pair].bleu
