"""Takes out repetitions ("I I think"), but not those that are meant: "very very", "step by step by step"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from device.text.fluency_tokens import Token, capitalised, is_small
from device.text.rules import Fluency

LONGEST_REPEAT: Final = 4
"""Words of the longest repetition."""
_LONGEST_CLAUSE: Final = 5
"""Words of a clause that ends with a verb which comes again."""


def without_repetitions(tokens: Sequence[Token], rules: Fluency) -> list[Token]:
    """Take out words that are said twice without meaning it; the second copy stays."""
    kept: list[Token] = []
    for token in tokens:
        kept.append(token)
        while size := repeat_at_end(kept, rules):
            # The second copy stays with its marks; the first one's capital goes to it.
            first, second = kept[-2 * size], kept[-size].opened_as(kept[-2 * size])
            kept[-size] = second
            if first.text[:1].isupper():
                kept[-size] = second.written(capitalised(second.text))
            del kept[-2 * size : -size]
    return kept


def repeat_at_end(tokens: Sequence[Token], rules: Fluency) -> int:
    """Return how many words at the end repeat as many before them; 0 where none do, or where it is meant."""
    for size in range(min(LONGEST_REPEAT, len(tokens) // 2), 0, -1):
        second, first = tokens[-size:], tokens[-2 * size : -size]
        if size == 1 and (_is_verb_and_preposition(tokens, rules) or _is_cleft(tokens, rules)):
            continue
        if all(_is_same(a, b) for a, b in zip(first, second, strict=True)) and not _is_meant(first, second, rules):
            return size
    return 0


def _is_same(a: Token, b: Token) -> bool:
    return a.core == b.core or {a.core, b.core} == {"a", "an"}


def _is_meant(first: Sequence[Token], second: Sequence[Token], rules: Fluency) -> bool:
    """Whether a repetition is what the speaker wants to say."""
    cores = [t.core for t in first]
    if second[0].text[:1] in "\"'“«([¿¡":  # "a letra o \"O\""
        return True
    if any(t.ends_sentence for t in first) or any(not any(map(str.isalnum, core)) for core in cores):
        return True
    if any(any(c.isdigit() for c in core) for core in cores):
        return True
    if all(core in rules.digits for core in cores):
        return True
    small = [is_small(core, rules) for core in cores]
    broken = first[-1].breaks_off
    if len(cores) == 1:
        if cores[0] in rules.doubled or (len(cores[0]) == 1 and not small[0]):
            return True
        if first[0].has_comma and (not small[0] or (rules.verb_last and cores[0] not in rules.subjects)):
            return True  # "run, run"; in German "was er gesehen hat, hat ihn gefreut"
        # "New York, Duran Duran": names inside a sentence; "I I" is none.
        return not small[0] and not broken and first[0].text[:1].isupper() and second[0].text[:1].isupper()
    if not any(small):
        return not broken  # "bye bye", "New York New York", "knock knock"
    # "step by step by step", "more and more and more"
    return len(cores) == 2 and any(a in rules.linking and b not in rules.small for a, b in (cores, cores[::-1]))


def _is_verb_and_preposition(tokens: Sequence[Token], rules: Fluency) -> bool:
    """Whether two equal words at the end belong to two phrases: "come in in the morning"."""
    return len(tokens) > 2 and tokens[-1].core in rules.particles and tokens[-3].core in rules.phrasal


def _is_cleft(tokens: Sequence[Token], rules: Fluency) -> bool:
    """Whether a verb at the end ends one clause and begins the rest of its sentence: "what it is is"."""
    before = [token.core for token in tokens[-2 - _LONGEST_CLAUSE : -2]]
    told = len(before) > 1 and before[-1] in rules.subjects - rules.clefts
    return told and tokens[-1].core in rules.small and any(core in rules.clefts for core in before[:-1])


def may_repeat(tokens: Sequence[Token], rules: Fluency) -> int:
    """Return how many words at the end may be the beginning of a repetition of two words or more."""
    for held in range(min(LONGEST_REPEAT - 1, len(tokens) - 1), 0, -1):
        for size in range(held + 1, LONGEST_REPEAT + 1):
            start = len(tokens) - held - size
            if start < 0:
                break
            first, begun = tokens[start : start + size], tokens[-held:]
            likely = first[-1].breaks_off or any(t.core in rules.small for t in first)
            if likely and all(a.core == b.core for a, b in zip(first, begun, strict=False)):
                return held
    return 0
