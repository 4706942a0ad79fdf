"""Takes out of a transcript what speakers say without meaning it.

Four kinds, in the terms of Shriberg, "Preliminaries to a Theory of Speech Disfluencies" (1994): filled pauses
("um"), repetitions ("I I think"), repairs ("on Monday, I mean, on Tuesday") and false starts ("we wa- we went").
What may be what the speaker wants to say stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from device.text.fluency_repairs import repair_at, without_repairs
from device.text.fluency_repeats import may_repeat, repeat_at_end, without_repetitions
from device.text.fluency_tokens import STOP, Token, capitalised, is_small, join, starts_large, tokens_of
from device.text.rules import Fluency, fluency, primary

_BRACKETED: Final = re.compile(r"[\[(*<♪]+\s*([\w '’_-]{1,40}?)\s*[\])*>♪]+[.,]?|♪+", re.UNICODE)  # noqa: RUF001
_CUT_OFF: Final = re.compile(r"\w(?:-|–|—|\.\.\.|…)+,?$")  # noqa: RUF001
_MARKS: Final = "\"'“”‘’«»()[]¿¡.,;:!?…-–—"  # noqa: RUF001
_DRAWN_OUT: Final = re.compile(r"(.)\1{2,}")


def remove_disfluencies(text: str, language: str) -> str:
    """Return ``text`` without hesitations, sounds, repetitions, false starts and repairs.

    Text with nothing to take out is returned as it is, and so is text in a language without rules. Nothing is
    left of a text that holds nothing else. The time taken grows linearly.
    """
    rules = fluency(primary(language))
    if rules is None or not text.strip():
        return text
    cleared = _without_sounds(text, rules)
    tokens = tokens_of(cleared)
    kept = _without_hesitations(tokens, rules, shouted=cleared.isupper())
    kept = _without_asides(kept, rules)
    kept = _without_fragments(kept)
    kept = without_repetitions(kept, rules)
    kept = without_repairs(kept, rules)
    kept = without_repetitions(kept, rules)
    if cleared == text and len(kept) == len(tokens):
        return text
    return join(kept, large=starts_large(tokens, cleared))


def remove_disfluencies_so_far(text: str, language: str) -> str:
    """Do the part of `remove_disfluencies` that never takes a word back as the text grows.

    For text that grows word by word, each answer begins with the one before: hesitations and repetitions go, and
    the last words are held back while they may turn out to be a repetition.
    """
    rules = fluency(primary(language))
    if rules is None or not text.strip():
        return text
    tokens = tokens_of(text)
    kept: list[Token] = []
    shown, shouted = 0, text.isupper()
    for number, token in enumerate(tokens):
        if _hesitates(tokens, number, rules, shouted=shouted):
            continue
        kept.append(token)
        size = repeat_at_end(kept, rules)
        if size and len(kept) - size >= shown:
            del kept[-size:]
        shown = max(shown, len(kept) - may_repeat(kept, rules))
    if shown == len(tokens):
        return text
    joined = join(kept[:shown], large=False)
    return capitalised(joined) if starts_large(tokens, text) else joined


def _without_sounds(text: str, rules: Fluency) -> str:
    """Take out "[coughs]", "(laughter)", "*sigh*" and notes of music."""

    def judge(match: re.Match[str]) -> str:
        inside = match[1]
        if inside is None:
            return " "
        spoken = inside.replace("’", "'").lower().split()  # noqa: RUF001
        return " " if spoken and all(word in rules.sounds for word in spoken) else match[0]

    return _BRACKETED.sub(judge, text)


def _hesitates(tokens: Sequence[Token], number: int, rules: Fluency, *, shouted: bool) -> bool:
    """Whether a word is a hesitation here: "um" is one, but not in "35 mm", "uh huh", "Huh?" and "the ER"."""
    token = tokens[number]
    if not _is_hesitation(token.core, rules) or token.opening.startswith(("¿", "¡")) or token.text.endswith("?"):
        return False
    if token.core == "mm" and number and tokens[number - 1].text[-1:].isdigit():
        return False
    if len(token.core) > 1 and not shouted and token.text.strip(_MARKS).isupper():
        return False
    pairs = (tuple(t.core for t in tokens[max(0, start) : start + 2]) for start in (number - 1, number))
    return not any(pair in rules.meant for pair in pairs)


def _is_hesitation(core: str, rules: Fluency) -> bool:
    if core in rules.hesitations:
        return True
    # "ummmmm", "euhhhh": letters drawn out.
    short = _DRAWN_OUT.sub(r"\1\1", core)
    return short != core and (short in rules.hesitations or _DRAWN_OUT.sub(r"\1", core) in rules.hesitations)


def _without_hesitations(tokens: Sequence[Token], rules: Fluency, *, shouted: bool) -> list[Token]:
    kept: list[Token] = []
    opened: Token | None = None  # what a removed word opened, the next one opens
    for number, token in enumerate(tokens):
        if not _hesitates(tokens, number, rules, shouted=shouted):
            kept.append(token.opened_as(opened) if opened else token)
            opened = None
            continue
        _take_over(kept, token, last=number + 1 == len(tokens))
        opened = opened or token
    return kept


def _take_over(kept: list[Token], removed: Token, *, last: bool) -> None:
    """Give the marks of a removed word to the word before it, and drop a comma that only set it off."""
    if not kept:
        return
    before, closing = kept[-1], removed.closing
    if before.ends_sentence:
        kept[-1] = before.written(before.text + closing)
    elif removed.ends_sentence or last:
        mark = STOP.search(removed.text)
        kept[-1] = before.written(before.text.rstrip(",;-–—") + (mark[0] if mark else closing))  # noqa: RUF001
    elif closing:
        kept[-1] = before.written(before.text + closing)
    elif before.has_comma and removed.has_comma and len(kept) > 1 and not kept[-2].ends_sentence:
        kept[-1] = before.written(before.text.rstrip(","))


def _without_asides(tokens: Sequence[Token], rules: Fluency) -> list[Token]:
    """Take out "you know" and the like where commas set them off on both sides."""
    kept: list[Token] = []
    number = 0
    set_off = False
    while number < len(tokens):
        size = _aside_at(tokens, number, rules) if set_off else 0
        if size:
            comma = kept[-1] if _needs_comma(kept, tokens[number : number + size], rules) else None
            _take_over(kept, tokens[number + size - 1], last=number + size == len(tokens))
            if comma is not None and number + size < len(tokens):
                kept[-1] = comma
            number += size
        else:
            kept.append(tokens[number])
            set_off = kept[-1].has_comma
            number += 1
    return kept


def _needs_comma(kept: Sequence[Token], aside: Sequence[Token], rules: Fluency) -> bool:
    """Whether a comma before an aside stays: after another aside, and between two ways to say something."""
    for size in {len(phrase) for phrase in rules.asides if tuple(t.core for t in kept[-len(phrase) :]) == phrase}:
        if len(kept) == size or kept[-size - 1].ends_sentence or kept[-size - 1].has_comma:
            return True
    corrects = tuple(t.core for t in aside) in rules.edits
    return corrects and not is_small(kept[-1].core, rules)


def _aside_at(tokens: Sequence[Token], number: int, rules: Fluency) -> int:
    for aside in rules.asides:
        part = tokens[number : number + len(aside)]
        if tuple(t.core for t in part) == aside and part[-1].has_comma and not any(t.has_comma for t in part[:-1]):
            # "on Monday, I mean, on Tuesday" is a repair, and its turn comes later.
            if aside in rules.edits and repair_at(tokens, number, rules):
                return 0
            return len(aside)
    return 0


def _without_fragments(tokens: Sequence[Token]) -> list[Token]:
    """Take out "wa-" before "was", "want" …: words that were broken off and begun again."""
    kept: list[Token] = []
    for number, token in enumerate(tokens):
        following = tokens[number + 1].core if number + 1 < len(tokens) else ""
        fragment = bool(_CUT_OFF.search(token.text)) and token.core.isalpha()
        again = following.startswith(token.core) and bool(token.core)
        if fragment and not again and number + 2 < len(tokens) and kept:
            # "I wa- I want"
            again = tokens[number + 1].core == kept[-1].core and tokens[number + 2].core.startswith(token.core)
        if not (fragment and again):
            kept.append(token)
    return kept
