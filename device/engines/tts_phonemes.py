"""How words are pronounced: phonemes from espeak-ng, each known to belong to its word.

espeak-ng reads whole sentences, for words change each other (French liaison, the English "the"), and writes some
words together ("of the" is one group of phonemes). Which group belongs to which words is found by reading each
word by itself and aligning the two, as word errors are counted (Wagner and Fischer 1974).
"""

# ruff: noqa: RUF001 - phonetic letters look like others
from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from piper.phonemize_espeak import EspeakPhonemizer

from device.engines.protocols import Pronounced

_LOCK = threading.Lock()
"""espeak-ng has one state for the whole process."""
SIGNS: Final = frozenset(".,;:!?…—\"'()«»“”¿¡-–。、，！？；：")
"""Signs that a voice may know as phonemes, though nobody hears a sound."""
_VOWELS: Final = "aeiouyæɑɒɔəɚɛɜɝɪʊʌɐɨʉɯøœɵɤɘɞɶʏᵻ"
_MOST_JOINED: Final = 4
"""Words that espeak-ng writes together at most."""


@cache
def _espeak() -> EspeakPhonemizer:
    return EspeakPhonemizer()


def espeak_phonemes(text: str, voice: str) -> list[str]:
    """Return the phonemes of ``text``, one Unicode character each, with spaces and signs between the words."""
    with _LOCK:
        sentences = _espeak().phonemize(voice, text)
    found: list[str] = []
    for sentence in sentences:
        if found and found[-1] != " ":
            found.append(" ")
        found += sentence
    return found


def spelled_out(text: str, _voice: str) -> list[str]:
    """Return the characters of ``text``: the phonemes of voices that learnt letters."""
    return list(unicodedata.normalize("NFD", text))


def pronounce(words: Sequence[Pronounced], voice: str, read: Callable[[str, str], list[str]] = espeak_phonemes) -> list[
    list[str]
]:  # fmt: skip
    """Return the phonemes of every word, with the spaces and signs that follow it.

    Parameters
    ----------
    words
        Of one sentence or clause.
    voice
        espeak-ng's name of the language: ``en-us``.
    read
        What turns text into phonemes.

    Returns
    -------
    list of list of str
        As many as there are words; joined, they are the phonemes of the sentence. A word without any sound
        (a dash) has none, or only signs.
    """
    found: list[list[str]] = [[] for _ in words]
    start = 0
    while start < len(words):
        end = start + 1
        if given := words[start].phonemes:
            found[start] = [*_as_espeak_writes(given), *_trailing_signs(words[start].text), " "]
        else:
            while end < len(words) and not words[end].phonemes:
                end += 1
            texts = [word.text for word in words[start:end]]
            groups = _groups(read(" ".join(texts), voice))
            for number, phonemes in enumerate(_shared_out(groups, texts, voice, read)):
                found[start + number] = phonemes
            if end < len(words) and found[end - 1] and found[end - 1][-1] != " ":
                found[end - 1].append(" ")
        start = end
    if found and found[-1] and found[-1][-1] == " ":
        found[-1].pop()
    return found


def _as_espeak_writes(phonemes: str) -> str:
    """Return phonemes as voices learnt them: the stress before its vowel, not its syllable, and no syllable breaks."""
    bare = re.sub(r"[.‿|/\[\]]", "", unicodedata.normalize("NFD", phonemes)).strip()
    return re.sub(rf"([ˈˌ])([^{_VOWELS}ˈˌ\s]+)(?=[{_VOWELS}])", r"\2\1", bare)


def is_sound(phoneme: str) -> bool:
    """Whether something is heard of a phoneme: of neither a space, a sign, a stress mark nor a joint."""
    return phoneme not in SIGNS and unicodedata.category(phoneme[0])[0] in {"L", "N"} and phoneme not in "ˈˌː"


def is_heard(phoneme: str) -> bool:
    """Whether a phoneme takes a part of its word's time; spaces and signs are what is between words."""
    return is_sound(phoneme) or phoneme in ("ˈ", "ˌ", "ː")


def word_times(
    ends: NDArray[np.floating[Any]], owners: Sequence[int | None], words: int
) -> tuple[tuple[float, float], ...]:
    """Return when each word begins and ends.

    Parameters
    ----------
    ends
        Where each phoneme ends, in seconds.
    owners
        The word that each phoneme belongs to, None for what is not heard.
    words
        How many there are; one without phonemes is a moment after the word before it.
    """
    found: list[list[float]] = [[] for _ in range(words)]
    before = 0.0
    for owner, end in zip(owners, ends, strict=True):
        if owner is not None:
            found[owner] += [before, float(end)]
        before = float(end)
    times: list[tuple[float, float]] = []
    for own in found:
        last = times[-1][1] if times else 0.0
        times.append((own[0], own[-1]) if own else (last, last))
    return tuple(times)


def _trailing_signs(text: str) -> list[str]:
    found = re.search(r"[.,;:!?…]+$", text)
    return list(found[0][:1]) if found else []


def _groups(phonemes: list[str]) -> list[list[str]]:
    """Cut phonemes after each space, and join to the group before what has no sound of its own."""
    groups: list[list[str]] = [[]]
    for phoneme in phonemes:
        groups[-1].append(phoneme)
        if phoneme == " ":
            groups.append([])
    kept: list[list[str]] = []
    for group in groups:
        if kept and not any(map(is_sound, group)):
            kept[-1] += group
        elif group:
            kept.append(group)
    return kept


def _shared_out(
    groups: list[list[str]], texts: list[str], voice: str, read: Callable[[str, str], list[str]]
) -> list[list[str]]:
    """Return for every text the phonemes that are its own."""
    if len(groups) == len(texts):
        return groups
    if len(texts) == 1:
        return [[phoneme for group in groups for phoneme in group]]
    apart = [_groups(read(text, voice)) for text in texts]
    alone = [[p for group in own for p in group if is_sound(p)] for own in apart]
    shares: list[list[str]] = [[] for _ in texts]
    sounding = [number for number, own in enumerate(alone) if own]
    if not sounding:
        if texts:
            shares[0] = [p for group in groups for p in group]
        return shares
    joints = _aligned(
        [[p for p in group if is_sound(p)] for group in groups],
        [alone[number] for number in sounding],
        [len(apart[number]) for number in sounding],
    )
    for first, last, low, high in joints:
        phonemes = [p for group in groups[first:last] for p in group]
        names = sounding[low:high]
        cuts = _cuts(phonemes, [len(alone[name]) for name in names])
        for name, begin, end in zip(names, cuts, cuts[1:], strict=False):
            shares[name] = phonemes[begin:end]
    return shares


def _cuts(phonemes: list[str], lengths: list[int]) -> list[int]:
    """Return where the words of a joined group begin, by how long each is alone."""
    places = [i for i, phoneme in enumerate(phonemes) if is_sound(phoneme)]
    total, done = sum(lengths), 0
    cuts = [0]
    for length in lengths[:-1]:
        done += length
        at = round(done / total * len(places))
        place = places[at] if at < len(places) else len(phonemes)
        while place > cuts[-1] and phonemes[place - 1] in "ˈˌ":  # a stress mark goes with what follows
            place -= 1
        cuts.append(max(place, cuts[-1]))
    return [*cuts, len(phonemes)]


def _aligned(groups: list[list[str]], words: list[list[str]], counts: list[int]) -> list[tuple[int, int, int, int]]:
    """Pair groups with words in order: ``(first group, end, first word, end)``, at the least distance in all.

    A word is as many groups as it is by itself (``counts``), or else one that it shares with its neighbours.
    """
    rows, columns = len(groups), len(words)
    slack = abs(sum(counts) - rows) + 2
    best: dict[tuple[int, int], float] = {(0, 0): 0.0}
    came: dict[tuple[int, int], tuple[int, int]] = {}
    expected = 0
    for j in range(columns):
        for i in range(max(0, expected - slack), min(rows, expected + slack) + 1):
            if (i, j) not in best:
                continue
            for di, dj in {(counts[j], 1), *((1, n) for n in range(1, _MOST_JOINED + 1))}:
                to = (i + di, j + dj)
                if to[0] > rows or to[1] > columns:
                    continue
                cost = best[i, j] + 0.1
                cost += _distance(_joined(groups[i : to[0]]), _joined(words[j : to[1]]), best.get(to, 1e9) - cost)
                if cost < best.get(to, 1e9):
                    best[to], came[to] = cost, (i, j)
        expected += counts[j]
    if (rows, columns) not in came:  # far more words than groups, or the other way about: all in one
        return [(0, rows, 0, columns)]
    joints = []
    at = (rows, columns)
    while at != (0, 0):
        before = came[at]
        joints.append((before[0], at[0], before[1], at[1]))
        at = before
    return joints[::-1]


def _joined(lists: list[list[str]]) -> list[str]:
    return [item for own in lists for item in own]


def _distance(a: list[str], b: list[str], enough: float) -> float:
    """Return how many phonemes differ, or something above ``enough`` as soon as that is certain."""
    if a == b:
        return 0.0
    if abs(len(a) - len(b)) >= enough:
        return enough + 1
    row = list(range(len(b) + 1))
    for i, p in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, q in enumerate(b, 1):
            before, row[j] = row[j], min(before + (p != q), row[j] + 1, row[j - 1] + 1)
    return float(row[-1])
