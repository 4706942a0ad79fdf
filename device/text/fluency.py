"""Takes out of a transcript what speakers say without meaning it.

Four kinds, in the terms of Shriberg, "Preliminaries to a Theory of Speech Disfluencies" (1994): filled pauses
("um"), repetitions ("I I think"), repairs ("on Monday, I mean, on Tuesday") and false starts ("we wa- we went").
A repair is taken out only where its two halves answer each other (a word of the first comes again after the
editing term, or both are days, numbers, colours …): everything else may be what the speaker wants to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from device.text.rules import Fluency, fluency, primary, words

_LONGEST_REPEAT: Final = 4
"""Words of the longest repetition."""
_REACH: Final = 5
"""Words before an editing term among which its reparandum begins."""
_WORD: Final = re.compile(r"\S+")
_EDGES: Final = re.compile(r"^[^\w']*|[^\w']*$")
_BRACKETED: Final = re.compile(r"[\[(*<♪]+\s*([\w '’_-]{1,40}?)\s*[\])*>♪]+[.,]?|♪+", re.UNICODE)  # noqa: RUF001
_CUT_OFF: Final = re.compile(r"\w(?:-|–|—|\.\.\.|…)+,?$")  # noqa: RUF001
_DASH: Final = re.compile(r"(?:-{1,2}|–|—|\.\.\.|…),?$")  # noqa: RUF001
_STOP: Final = re.compile(r"[.!?:;。！？]+[\"'”’)\]»]*$")  # noqa: RUF001
_TENS: Final = words(
    "eleven twelve twenty thirty forty fifty sixty seventy eighty ninety hundred onze doze vinte trinta quarenta"
    " cinquenta sessenta setenta oitenta noventa cem once doce veinte treinta cuarenta cincuenta sesenta ochenta"
    " cien vingt trente quarante cinquante soixante cent elf zwölf zwanzig dreißig vierzig fünfzig sechzig siebzig"
    " achtzig neunzig hundert undici dodici venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento"
)
_DRAWN_OUT: Final = re.compile(r"(.)\1{2,}")


@dataclass(slots=True)
class _Token:
    """A word with the marks that stand on it."""

    text: str
    core: str
    """Lower case, without marks."""
    place: int = -1
    """Among the words that were said."""

    def written(self, text: str) -> _Token:
        """Return the same word written otherwise."""
        return _Token(text, self.core, self.place)

    @property
    def ends_sentence(self) -> bool:
        return bool(_STOP.search(self.text)) and not self.text.endswith(("...", "…"))

    @property
    def has_comma(self) -> bool:
        return self.text.endswith((",", "،", "、"))

    @property
    def breaks_off(self) -> bool:
        return bool(_DASH.search(self.text))


def remove_disfluencies(text: str, language: str) -> str:
    """Return ``text`` without hesitations, sounds, repetitions, false starts and repairs.

    Text with nothing to take out is returned as it is, and so is text in a language without rules. Nothing is
    left of a text that holds nothing else. The time taken grows linearly.
    """
    rules = fluency(primary(language))
    if rules is None or not text.strip():
        return text
    cleared = _without_sounds(text, rules)
    tokens = _tokens(cleared)
    kept = _without_hesitations(tokens, rules)
    kept = _without_asides(kept, rules)
    kept = _without_fragments(kept)
    kept = _without_repetitions(kept, rules)
    kept = _without_repairs(kept, rules)
    kept = _without_repetitions(kept, rules)
    if cleared == text and len(kept) == len(tokens):
        return text
    return _join(kept, large=_starts_large(tokens, cleared))


def remove_disfluencies_so_far(text: str, language: str) -> str:
    """Do the part of `remove_disfluencies` that never takes a word back as the text grows.

    For text that grows word by word, each answer begins with the one before: hesitations and repetitions go, and
    the last words are held back while they may turn out to be a repetition.
    """
    rules = fluency(primary(language))
    if rules is None or not text.strip():
        return text
    tokens = _tokens(text)
    kept: list[_Token] = []
    shown = 0
    for token in tokens:
        unit = token.core == "mm" and bool(kept) and kept[-1].text[-1:].isdigit()
        if _is_hesitation(token.core, rules) and not unit:
            continue
        kept.append(token)
        size = _repeat_at_end(kept, rules)
        if size and len(kept) - size >= shown:
            del kept[-size:]
        shown = max(shown, len(kept) - _may_repeat(kept, rules))
    if shown == len(tokens):
        return text
    joined = _join(kept[:shown], large=False)
    return _capitalised(joined) if _starts_large(tokens, text) else joined


def _tokens(text: str) -> list[_Token]:
    return [
        _Token(m[0], _EDGES.sub("", m[0]).lower().replace("’", "'"), place)  # noqa: RUF001
        for place, m in enumerate(_WORD.finditer(text))
    ]


def _without_sounds(text: str, rules: Fluency) -> str:
    """Take out "[coughs]", "(laughter)", "*sigh*" and notes of music."""

    def judge(match: re.Match[str]) -> str:
        inside = match[1]
        if inside is None:
            return " "
        spoken = inside.replace("’", "'").lower().split()  # noqa: RUF001
        return " " if spoken and all(word in rules.sounds for word in spoken) else match[0]

    return _BRACKETED.sub(judge, text)


def _is_hesitation(core: str, rules: Fluency) -> bool:
    if core in rules.hesitations:
        return True
    # "ummmmm", "euhhhh": letters drawn out.
    short = _DRAWN_OUT.sub(r"\1\1", core)
    return short != core and (short in rules.hesitations or _DRAWN_OUT.sub(r"\1", core) in rules.hesitations)


def _without_hesitations(tokens: Sequence[_Token], rules: Fluency) -> list[_Token]:
    kept: list[_Token] = []
    for number, token in enumerate(tokens):
        unit = token.core == "mm" and bool(kept) and kept[-1].text[-1:].isdigit()  # "35 mm"
        if unit or not _is_hesitation(token.core, rules) or token.text[:1] in "¿¡" or token.text.endswith("?"):
            kept.append(token)
            continue
        following = tokens[number + 1 :]
        _take_over(kept, token, last=not following)
    return kept


def _take_over(kept: list[_Token], removed: _Token, *, last: bool) -> None:
    """Give the marks of a removed word to the word before it, and drop a comma that only set it off."""
    if not kept:
        return
    before = kept[-1]
    if before.ends_sentence:
        return
    if removed.ends_sentence or last:
        mark = _STOP.search(removed.text)
        kept[-1] = before.written(before.text.rstrip(",;-–—") + (mark[0] if mark else ""))  # noqa: RUF001
    elif before.has_comma and removed.has_comma and len(kept) > 1 and not kept[-2].ends_sentence:
        kept[-1] = before.written(before.text.rstrip(","))


def _without_asides(tokens: Sequence[_Token], rules: Fluency) -> list[_Token]:
    """Take out "you know" and the like where commas set them off on both sides."""
    kept: list[_Token] = []
    number = 0
    while number < len(tokens):
        set_off = bool(kept) and kept[-1].has_comma
        size = _aside_at(tokens, number, rules) if set_off else 0
        if size:
            _take_over(kept, tokens[number + size - 1], last=number + size == len(tokens))
            number += size
        else:
            kept.append(tokens[number])
            number += 1
    return kept


def _aside_at(tokens: Sequence[_Token], number: int, rules: Fluency) -> int:
    for aside in rules.asides:
        part = tokens[number : number + len(aside)]
        if tuple(t.core for t in part) == aside and part[-1].has_comma and not any(t.has_comma for t in part[:-1]):
            # "on Monday, I mean, on Tuesday" is a repair, and its turn comes later.
            if aside in rules.edits and _repair_at(tokens, number, rules):
                return 0
            return len(aside)
    return 0


def _without_fragments(tokens: Sequence[_Token]) -> list[_Token]:
    """Take out "wa-" before "was", "want" …: words that were broken off and begun again."""
    kept: list[_Token] = []
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


def _without_repetitions(tokens: Sequence[_Token], rules: Fluency) -> list[_Token]:
    kept: list[_Token] = []
    for token in tokens:
        kept.append(token)
        while size := _repeat_at_end(kept, rules):
            # The second copy stays with its marks; the first one's capital goes to it.
            first, second = kept[-2 * size], kept[-size]
            if first.text[:1].isupper():
                kept[-size] = second.written(_capitalised(second.text))
            del kept[-2 * size : -size]
    return kept


def _repeat_at_end(tokens: Sequence[_Token], rules: Fluency) -> int:
    """Return how many words at the end repeat as many before them; 0 where none do, or where it is meant."""
    for size in range(min(_LONGEST_REPEAT, len(tokens) // 2), 0, -1):
        second, first = tokens[-size:], tokens[-2 * size : -size]
        if all(_is_same(a, b) for a, b in zip(first, second, strict=True)) and not _is_meant(first, second, rules):
            return size
    return 0


def _is_same(a: _Token, b: _Token) -> bool:
    return a.core == b.core or {a.core, b.core} == {"a", "an"}


def _is_meant(first: Sequence[_Token], second: Sequence[_Token], rules: Fluency) -> bool:
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
    small = [_is_small(core, rules) for core in cores]
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


def _may_repeat(tokens: Sequence[_Token], rules: Fluency) -> int:
    """Return how many words at the end may be the beginning of a repetition of two words or more."""
    for held in range(min(_LONGEST_REPEAT - 1, len(tokens) - 1), 0, -1):
        for size in range(held + 1, _LONGEST_REPEAT + 1):
            start = len(tokens) - held - size
            if start < 0:
                break
            first, begun = tokens[start : start + size], tokens[-held:]
            likely = first[-1].breaks_off or any(t.core in rules.small for t in first)
            if likely and all(a.core == b.core for a, b in zip(first, begun, strict=False)):
                return held
    return 0


def _without_repairs(tokens: Sequence[_Token], rules: Fluency) -> list[_Token]:
    kept = list(tokens)
    number = 1
    while number < len(kept):
        found = _repair_at(kept, number, rules) or _restart_at(kept, number, rules) or _retrace_at(kept, number, rules)
        if found:
            start, size = found
            capital = kept[start].text[:1].isupper() and (start == 0 or kept[start - 1].ends_sentence)
            del kept[start : number + size]
            if capital and start < len(kept):
                kept[start] = kept[start].written(_capitalised(kept[start].text))
            number = max(1, start)
        else:
            number += 1
    return kept


def _repair_at(tokens: Sequence[_Token], number: int, rules: Fluency) -> tuple[int, int] | None:
    """Return where the words begin that an editing term at ``number`` takes back, and the term's length."""
    for edit in rules.edits:
        part = tokens[number : number + len(edit)]
        if tuple(t.core for t in part) != edit or number + len(edit) >= len(tokens) or part[-1].ends_sentence:
            continue
        set_off = tokens[number - 1].has_comma or tokens[number - 1].breaks_off
        if len(edit) == 1 and not set_off:
            continue
        if edit[0] in (tokens[number - 1].core, tokens[number + len(edit)].core):
            continue  # "no, no, no"
        before = tokens[max(0, number - _REACH) : number]
        for place in range(len(before) - 1, -1, -1):
            if before[place].ends_sentence:
                before = before[place + 1 :]
                break
        # "da mania, não da depressão" is no repair: one word alone is one only between two marks, or two numbers.
        sure = len(edit) > 1 or part[-1].has_comma or part[-1].breaks_off
        start = _reparandum(before, tokens[number + len(edit) : number + len(edit) + 3], rules, anchored=sure)
        if start is not None:
            return number - len(before) + start, len(edit)
    return None


def _reparandum(before: Sequence[_Token], after: Sequence[_Token], rules: Fluency, *, anchored: bool) -> int | None:
    """Return which word of ``before`` the first words of ``after`` replace.

    With ``anchored`` a word that comes again is enough to tell; without, both must be of one kind.
    """
    if not before or not after:
        return None
    for place in range(len(before) - 1, -1, -1):
        if anchored and before[place].core == after[0].core and before[place].core:
            return place
    if _same_kind(before[-1].core, after[0].core, rules):
        return len(before) - 1
    # "to Dallas, I mean, Austin": one name for another.
    if anchored and len(before) > 1 and _is_name(before[-1], rules) and _is_name(after[0], rules):
        return len(before) - 1
    # "at five, no, six thirty"; "the red, I mean, the blue" was found above.
    if len(before) > 1 and _same_kind(before[-2].core, after[0].core, rules) and before[-1].core not in rules.small:
        return len(before) - 2
    return None


def _same_kind(a: str, b: str, rules: Fluency) -> bool:
    if a != b and any(a in group and b in group for group in rules.alike):
        return True
    return a != b and _is_number(a, rules) and _is_number(b, rules)


def _is_name(token: _Token, rules: Fluency) -> bool:
    return token.text[:1].isupper() and len(token.core) > 1 and not _is_small(token.core, rules)


def _is_number(core: str, rules: Fluency) -> bool:
    return core.isdigit() or core in rules.digits or core in _TENS


def _restart_at(tokens: Sequence[_Token], number: int, rules: Fluency) -> tuple[int, int] | None:
    """Return the beginning of a sentence that is broken off before ``number`` and begun again there."""
    if not tokens[number - 1].breaks_off:
        return None
    if not tokens[number - 1].core and number > 1 and tokens[number - 2].core not in rules.small:
        return None  # "He could not answer - he stood there": what comes before the dash is whole
    for start in range(number - 1, max(-1, number - 1 - _REACH), -1):
        if start == 0 or tokens[start - 1].ends_sentence:
            return (start, 0) if tokens[start].core == tokens[number].core and start < number else None
    return None


def _retrace_at(tokens: Sequence[_Token], number: int, rules: Fluency) -> tuple[int, int] | None:
    """Return a subject with no verb but an auxiliary, before a comma at whose other side the same subject stands.

    "You have, you should have": taken back. "He came, he saw" is not, since "came" says something.
    """
    before = tokens[number - 1]
    if (
        rules.verb_last
        or not before.has_comma
        or ")" in before.text
        or _subject(tokens[number].core) not in rules.subjects
    ):
        return None
    for start in range(number - 1, max(-1, number - 1 - _LONGEST_REPEAT), -1):
        if tokens[start].ends_sentence or (start < number - 1 and tokens[start].has_comma):
            return None
        if not _is_small(tokens[start].core, rules):
            return None
        if _subject(tokens[start].core) == _subject(tokens[number].core):
            fresh = start == 0 or tokens[start - 1].ends_sentence or tokens[start - 1].has_comma
            return (start, 0) if fresh or number - start > 1 or "'" in tokens[start].core else None
    return None


def _subject(core: str) -> str:
    return core.split("'", 1)[0]


def _is_small(core: str, rules: Fluency) -> bool:
    """Whether a word is a function word, be it with another one joined to it: "it's", "they've"."""
    return core in rules.small or ("'" in core and _subject(core) in rules.subjects)


def _starts_large(tokens: Sequence[_Token], text: str) -> bool:
    """Whether sentences begin with a capital in this text: one of all capitals or none has no such habit."""
    return bool(tokens) and tokens[0].text.strip("¿¡\"'“«([")[:1].isupper() and not text.isupper()


def _join(tokens: Sequence[_Token], *, large: bool) -> str:
    """Return the words as a text; what begins a sentence since something went before it gets a capital."""
    out = []
    for number, token in enumerate(tokens):
        before = tokens[number - 1] if number else None
        begins = before is None or before.text.rstrip("\"'”’)]»")[-1:] in (".", "!", "?")  # noqa: RUF001
        begins = begins and not (before and "." in before.core)  # "5 p.m. the"
        moved = token.place != (before.place + 1 if before else 0)
        out.append(_capitalised(token.text) if large and begins and moved else token.text)
    return " ".join(out)


def _capitalised(text: str) -> str:
    for place, character in enumerate(text):
        if character.isalpha():
            return text[:place] + character.upper() + text[place + 1 :]
    return text
