"""The words of a transcript with the marks that stand on them, as the rules of fluency take them out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from device.text.rules import Fluency

_WORD: Final = re.compile(r"\S+")
_EDGES: Final = re.compile(r"^[^\w']*|[^\w']*$")
_DASH: Final = re.compile(r"(?:-{1,2}|–|—|\.\.\.|…),?$")  # noqa: RUF001
STOP: Final = re.compile(r"[.!?:;。！？]+[\"'”’)\]»]*$")  # noqa: RUF001
_OPENING: Final = re.compile(r"^[\"“«(\[¿¡]+")
_CLOSING: Final = re.compile(r"[,.!?;:]*([\"”»)\]]+)[,.!?;:]*$")


@dataclass(slots=True)
class Token:
    """A word with the marks that stand on it."""

    text: str
    core: str
    """Lower case, without marks."""
    place: int = -1
    """Among the words that were said."""

    def written(self, text: str) -> Token:
        """Return the same word written otherwise."""
        return Token(text, self.core, self.place)

    @property
    def ends_sentence(self) -> bool:
        """Whether a sentence ends with it."""
        return bool(STOP.search(self.text)) and not self.text.endswith(("...", "…"))

    @property
    def has_comma(self) -> bool:
        """Whether a comma stands on it."""
        return self.text.endswith((",", "،", "、"))

    @property
    def breaks_off(self) -> bool:
        """Whether it ends with a dash or an ellipsis."""
        return bool(_DASH.search(self.text))

    @property
    def opening(self) -> str:
        """The marks before it that open something."""
        found = _OPENING.match(self.text)
        return found[0] if found else ""

    @property
    def closing(self) -> str:
        """The marks after it that close something which it did not open."""
        found = _CLOSING.search(self.text)
        return found[1] if found and not self.opening else ""

    def opened_as(self, removed: Token) -> Token:
        """Return the word with what ``removed``, a word before it, opened and did not close."""
        opening = "" if removed.closing or _CLOSING.search(removed.text) or self.opening else removed.opening
        return self.written(opening + self.text) if opening else self


def tokens_of(text: str) -> list[Token]:
    """Cut a text at its spaces."""
    return [
        Token(m[0], _EDGES.sub("", m[0]).lower().replace("’", "'"), place)  # noqa: RUF001
        for place, m in enumerate(_WORD.finditer(text))
    ]


def join(tokens: Sequence[Token], *, large: bool) -> str:
    """Return the words as a text; what begins a sentence since something went before it gets a capital."""
    out = []
    for number, token in enumerate(tokens):
        before = tokens[number - 1] if number else None
        begins = before is None or before.text.rstrip("\"'”’)]»")[-1:] in (".", "!", "?")  # noqa: RUF001
        begins = begins and not (before and "." in before.core)  # "5 p.m. the"
        moved = token.place != (before.place + 1 if before else 0)
        out.append(capitalised(token.text) if large and begins and moved else token.text)
    return " ".join(out)


def starts_large(tokens: Sequence[Token], text: str) -> bool:
    """Whether sentences begin with a capital in this text: one of all capitals or none has no such habit."""
    return bool(tokens) and tokens[0].text.strip("¿¡\"'“«([")[:1].isupper() and not text.isupper()


def capitalised(text: str) -> str:
    """Return a word with its first letter large."""
    for place, character in enumerate(text):
        if character.isalpha():
            return text[:place] + character.upper() + text[place + 1 :]
    return text


def subject(core: str) -> str:
    """Return what a word begins with: "they" of "they've"."""
    return core.split("'", 1)[0]


def is_small(core: str, rules: Fluency) -> bool:
    """Whether a word is a function word, be it with another one joined to it: "it's", "they've"."""
    return core in rules.small or ("'" in core and subject(core) in rules.subjects)
