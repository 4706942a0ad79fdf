"""Takes out what speakers take back: repairs ("on Monday, I mean, on Tuesday") and sentences that are begun anew.

A repair is taken out only where its two halves answer each other (a word of the first comes again after the
editing term, or both are days, numbers, colours …): everything else may be what the speaker wants to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from device.text.fluency_repeats import LONGEST_REPEAT
from device.text.fluency_tokens import Token, capitalised, is_small, subject
from device.text.rules import Fluency, words

_REACH: Final = 5
"""Words before an editing term among which its reparandum begins."""
"""Words before an editing term among which its reparandum begins."""
_TENS: Final = words(
    "eleven twelve twenty thirty forty fifty sixty seventy eighty ninety hundred onze doze vinte trinta quarenta"
    " cinquenta sessenta setenta oitenta noventa cem once doce veinte treinta cuarenta cincuenta sesenta ochenta"
    " cien vingt trente quarante cinquante soixante cent elf zwölf zwanzig dreißig vierzig fünfzig sechzig siebzig"
    " achtzig neunzig hundert undici dodici venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento"
)


def without_repairs(tokens: Sequence[Token], rules: Fluency) -> list[Token]:
    """Take out what is taken back, with the words that say so."""
    kept = list(tokens)
    number = 1
    while number < len(kept):
        found = repair_at(kept, number, rules) or _restart_at(kept, number, rules) or _retrace_at(kept, number, rules)
        if found:
            start, size = found
            capital = kept[start].text[:1].isupper() and (start == 0 or kept[start - 1].ends_sentence)
            if number + size < len(kept):
                kept[number + size] = kept[number + size].opened_as(kept[start])
            del kept[start : number + size]
            if capital and start < len(kept):
                kept[start] = kept[start].written(capitalised(kept[start].text))
            number = max(1, start)
        else:
            number += 1
    return kept


def repair_at(tokens: Sequence[Token], number: int, rules: Fluency) -> tuple[int, int] | None:
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


def _reparandum(before: Sequence[Token], after: Sequence[Token], rules: Fluency, *, anchored: bool) -> int | None:
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


def _is_name(token: Token, rules: Fluency) -> bool:
    return token.text[:1].isupper() and len(token.core) > 1 and not is_small(token.core, rules)


def _is_number(core: str, rules: Fluency) -> bool:
    return core.isdigit() or core in rules.digits or core in _TENS


def _restart_at(tokens: Sequence[Token], number: int, rules: Fluency) -> tuple[int, int] | None:
    """Return the beginning of a sentence that is broken off before ``number`` and begun again there."""
    if not tokens[number - 1].breaks_off:
        return None
    if not tokens[number - 1].core and number > 1 and tokens[number - 2].core not in rules.small:
        return None  # "He could not answer - he stood there": what comes before the dash is whole
    for start in range(number - 1, max(-1, number - 1 - _REACH), -1):
        if start == 0 or tokens[start - 1].ends_sentence:
            return (start, 0) if tokens[start].core == tokens[number].core and start < number else None
    return None


def _retrace_at(tokens: Sequence[Token], number: int, rules: Fluency) -> tuple[int, int] | None:
    """Return a subject with no verb but an auxiliary, before a comma at whose other side the same subject stands.

    "You have, you should have": taken back. "He came, he saw" is not, since "came" says something.
    """
    before = tokens[number - 1]
    if (
        rules.verb_last
        or not before.has_comma
        or ")" in before.text
        or subject(tokens[number].core) not in rules.subjects
    ):
        return None
    for start in range(number - 1, max(-1, number - 1 - LONGEST_REPEAT), -1):
        if tokens[start].ends_sentence or (start < number - 1 and tokens[start].has_comma):
            return None
        if not is_small(tokens[start].core, rules):
            return None
        if subject(tokens[start].core) == subject(tokens[number].core):
            fresh = start == 0 or tokens[start - 1].ends_sentence or tokens[start - 1].has_comma
            return (start, 0) if fresh or number - start > 1 or "'" in tokens[start].core else None
    return None
