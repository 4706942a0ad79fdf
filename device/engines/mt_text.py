"""Keeps out of a translation model what it would turn into junk, and puts it back.

Translation models know the pieces of their vocabulary and ordinary sentences. Emoji, other scripts, control
characters, web addresses, code, tags and text without letters come out as noise, so a text is first cut into
*chunks*, which the model translates, and *literals*, which pass unchanged. Long numbers lose groups that repeat, so
they are checked, and what stands for something hidden must be in the translation too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from device.config import Redaction
from device.engines.protocols import Translated
from device.text.sentences import MARKUP, SPACELESS, split_sentences


@dataclass(frozen=True, slots=True)
class ChunkTranslation:
    """What the model made of one chunk; the log-probability is summed over ``steps`` tokens."""

    text: str
    log_probability: float
    steps: int


@dataclass(slots=True)
class _Part:
    """A literal, or a chunk with what it is written as for the model, and what to write back afterwards."""

    text: str
    written: str | None = None
    """What the model is given; None for a literal."""
    required: tuple[tuple[str, str], ...] = ()
    """Addresses, long numbers and marks as written and as they were: each must be in the translation."""
    has_numbers: bool = False
    """Whether the model is trusted with long numbers as they are."""
    names: tuple[tuple[str, str], ...] = ()
    """Words that lost letters or signs that the vocabulary lacks; those that the model copies get them back."""
    shouted: bool = False
    """Capitals throughout; the model is given ordinary ones."""
    piece: bool = False
    """No sentence by itself: it gets no capital and no full stop of its own."""
    result: ChunkTranslation | None = None


_ADDRESS: Final = re.compile(
    r"(?:https?://|www\.)[^\s<>\"”]*[^\s<>\"”.,;:!?)\]}']"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
    r"|(?<!\w)[#@][^\W\d]\w{0,63}"
    r"|(?P<mark>\[(?:" + "|".join(Redaction) + r"|…)\])"
    r"|(?P<number>(?<![A-Za-z0-9])(?<!\d[.,])(?![12]\d{3}[ -][12]\d{3}(?!\d|[ -]\d))"
    r"(?:\+?\d+(?:[ -]\d+){2,}|0\d* \d+|\d{3}-\d{4}|\+?\d{7,}"
    r"|[A-Z]{2}\d{2}(?=(?: ?[A-Z]{0,4} ?\d){6})(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)"
    r"(?![A-Za-z0-9]|[.,]\d))"
    r"|(?P<code>`[^`\n]{1,200}`|[$%#]?\{[\w.:,! -]{0,64}\}{1,2}|%\(\w{1,40}\)[sdif]|%(?:\d{1,2}\$)?[sdif](?!\w))"
)
"""Web and mail addresses, hashtags and handles; marks of what is hidden; numbers of several groups, long ones and
accounts, but no two years; code and the placeholders of programs."""

_INLINE: Final = re.compile(
    r"(?P<open><(?!(?:script|style|code|pre|kbd|samp)\b)(?P<name>[A-Za-z][\w-]*)\b[^<>]{0,400}>)(?P<inside>[^<>&]+)(?P<close></(?P=name)\s*>)"
)
"""A tag around words, and its end."""

_ADDRESS_OR_SOLID: Final = re.compile(rf"{_ADDRESS.pattern}|(?P<solid>\w{{81,}})")
"""Letters without end are no word of a language that is written with spaces."""

_INVISIBLE: Final = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ud800-\udfff]"
)
"""Control and direction characters and lone surrogates: nothing to translate, and some break terminals."""

_SIMILAR: Final = str.maketrans(
    {
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "`": "'", "´": "'",  # noqa: RUF001
        "–": "-", "—": "-", "―": "-", "‐": "-", "‑": "-", "−": "-", "…": "...", "·": ".",  # noqa: RUF001
        "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe",
        "Œ": "Oe", "ı": "i", "þ": "th", "Þ": "Th", "ð": "d",  # noqa: RUF001
    }
)  # fmt: skip
"""What to write for a character that the vocabulary lacks."""

_JOINERS: Final = frozenset("\u200c\u200d\ufe0e\ufe0f")
"""Zero-width characters that belong to what stands before them."""

_PLACEHOLDER: Final = "www.x{}.com"
"""Stands for an address that the vocabulary cannot spell: models copy web addresses."""

_ARROWS: Final = "\u2190"
"""From here on, Unicode's signs are pictures rather than parts of words."""

_LONG_WORD: Final = re.compile(r"\w{2,}")
_SPACES: Final = re.compile(r"\s+")
_TIGHT: Final = frozenset(".,;:!?)]}%。，！？、；：）」』”")  # noqa: RUF001
"""No space is put before these."""


class ChunkTranslator:
    """Wraps a model's ``run``, which translates chunks, into one that translates any text.

    Parameters
    ----------
    source, target
        Language tags.
    run
        Translates clean chunks, each short enough, and answers in the same order.
    knows
        Whether the model's vocabulary has a given character.
    limit
        Characters of the longest chunk.
    """

    def __init__(
        self,
        source: str,
        target: str,
        run: Callable[[Sequence[str]], list[ChunkTranslation]],
        knows: Callable[[str], bool],
        limit: int,
    ) -> None:
        self._source = source
        self._run = run
        self._knows = knows
        self._limit = limit
        self._known: dict[str, bool] = {}
        spaceless = {tag for tag in (source, target) if tag.split("-")[0] in SPACELESS}
        self._spaceless = source in spaceless
        self._joins_tight = target in spaceless
        self._adds_spaces = self._spaceless and not self._joins_tight

    def translate(self, texts: Sequence[str]) -> list[Translated]:
        """Translate each text by itself; text without letters passes unchanged, and so do literals inside."""
        return [self._marked_up(text) or self._translate_some([text])[0] for text in texts]

    def translate_together(self, texts: Sequence[str]) -> list[Translated]:
        """Do the same, with the chunks of all texts in one call of the model (for engines that gain by batches)."""
        answers = [self._marked_up(text) for text in texts]
        others = iter(self._translate_some([t for t, answer in zip(texts, answers, strict=True) if answer is None]))
        return [answer or next(others) for answer in answers]

    def _marked_up(self, text: str) -> Translated | None:
        """Translate a text with tags as a whole, and set the tags around the words that they stood around.

        None where there are no tags, or where it cannot be told which words those are: then the text is cut at its
        tags, which costs meaning but no tag.
        """
        if "<" not in text or MARKUP.search(text) is None:
            return None
        before, core, after = "", text, ""
        if MARKUP.search(_INLINE.sub("", text)):
            before, core, after = _peeled(text)
        spans = list(_INLINE.finditer(core))
        plain = _INLINE.sub(lambda m: m["inside"], core)
        if not plain or MARKUP.search(plain):
            return None
        whole, *inside = self._translate_some([plain, *(span["inside"] for span in spans)])
        places: list[tuple[int, int, re.Match[str]]] = []
        for span, answer in zip(spans, inside, strict=True):
            words = answer.text.strip().rstrip(".")
            found = list(re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", whole.text, re.IGNORECASE)) if words else []
            if len(found) != 1:
                return None
            places.append((*found[0].span(), span))
        out, done = before, 0
        for start, end, span in sorted(places, key=lambda place: place[0]):
            if start < done:
                return None
            out += whole.text[done:start] + span["open"] + whole.text[start:end] + span["close"]
            done = end
        return Translated(out + whole.text[done:] + after, whole.confidence)

    def _translate_some(self, texts: Sequence[str]) -> list[Translated]:
        plans = [self._plan(text) for text in texts]
        self._fill([part for plan in plans for part in plan])
        plans = [[self._hide_numbers(part) for part in plan] for plan in plans]
        self._fill([part for plan in plans for part in plan])
        plans = [[new for part in plan for new in self._keep_addresses(part)] for plan in plans]
        self._fill([part for plan in plans for part in plan])
        return [self._assemble(plan) for plan in plans]

    def _fill(self, parts: Sequence[_Part]) -> None:
        waiting = [(part, part.written) for part in parts if part.written is not None and part.result is None]
        if waiting:
            results = self._run([written for _, written in waiting])
            for (part, _), result in zip(waiting, results, strict=True):
                part.result = result

    # --- cutting

    def _plan(self, text: str) -> list[_Part]:
        text = _INVISIBLE.sub("", text)
        if not any(map(str.isalpha, text)):
            return [_Part(text)]
        text = unicodedata.normalize("NFC", text)
        parts: list[_Part] = []
        start = 0
        for tag in MARKUP.finditer(text):
            parts += [*self._between_tags(text[start : tag.start()]), _Part(tag[0])]
            start = tag.end()
        if start:
            return parts + self._between_tags(text[start:])
        return self._sentences(text)

    def _between_tags(self, text: str) -> list[_Part]:
        """Return the parts of a piece of a sentence, which models would make a sentence of its own."""
        parts = self._sentences(text)
        for part in parts:
            part.piece = True
        return parts

    def _sentences(self, text: str) -> list[_Part]:
        parts: list[_Part] = []
        for sentence in split_sentences(text, self._source, limit=self._limit):
            for piece, literal in self._cut_unknown(sentence):
                parts += [_Part(piece)] if literal else self._chunk(piece)
        return parts

    def _cut_unknown(self, text: str) -> list[tuple[str, bool]]:
        """Cut into pieces that the vocabulary can spell, or that are addresses, and literals that it cannot."""
        out: list[tuple[str, bool]] = []
        start = 0
        for match in (_ADDRESS if self._spaceless else _ADDRESS_OR_SOLID).finditer(text):
            self._cut_characters(text[start : match.start()], out)
            _append(out, match[0], literal=match.lastgroup == "solid")
            start = match.end()
        self._cut_characters(text[start:], out)
        return out

    def _cut_characters(self, text: str, out: list[tuple[str, bool]]) -> None:
        for place, character in enumerate(text):
            literal = self._spell(character) is None
            if literal and out and (character in _JOINERS or unicodedata.combining(character)):
                literal = out[-1][1]
            elif literal and self._is_attached(text, place):
                literal = False
            elif literal and len(out) > 1 and not out[-1][1] and out[-1][0].isspace():
                _append(out, out.pop()[0], literal=True)  # only space since the last literal: one literal
            _append(out, character, literal=literal)

    def _is_attached(self, text: str, place: int) -> bool:
        """Whether a sign belongs to the word or number beside it ("#1", "~5", "C#"), unlike an emoji."""
        if text[place] >= _ARROWS or unicodedata.category(text[place])[0] not in "PSN":
            return False
        beside = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
        return any(c.isalnum() and self._spell(c) is not None for c in beside)

    def _chunk(self, text: str) -> list[_Part]:
        """Return the parts of a spellable piece: white space and addresses at its ends are literals."""
        core = text.strip()
        if not core:
            return [_Part(text)] if text else []
        start = text.index(core)
        before, after = text[:start], text[start + len(core) :]
        first = _ADDRESS.match(core)
        if first and first.lastgroup not in ("mark", "number"):
            return [_Part(before + first[0]), *self._chunk(core[first.end() :] + after)]
        parts = [_Part(before)] if before else []
        parts.append(self._write(core) if any(map(str.isalpha, core)) else _Part(core))
        return [*parts, _Part(after)] if after else parts

    def _write(self, text: str, *, hide_numbers: bool = False) -> _Part:
        """Write a chunk with the vocabulary's characters."""
        required: list[tuple[str, str]] = []
        has_numbers = False

        def write_address(match: re.Match[str]) -> str:
            nonlocal has_numbers
            address = match[0]
            if match.lastgroup == "number" and not hide_numbers:
                has_numbers = True
                plain = True
            else:
                plain = match.lastgroup not in ("code", "mark", "number") and all(map(self._is_known, address))
            written = address if plain else _PLACEHOLDER.format(len(required) + 1)
            required.append((written, address))
            return written

        written = _ADDRESS.sub(write_address, text)
        shouted = not required and _is_shouted(written)
        if shouted:
            written = written.capitalize()
        names = self._names(written)
        written = _SPACES.sub(" ", self._spell_all(written))
        if not any(map(str.isalpha, written)):
            return _Part(text)
        return _Part(text, written, tuple(required), has_numbers, names, shouted)

    def _names(self, text: str) -> tuple[tuple[str, str], ...]:
        """Return the words that cannot be written as they are, each with how it is written."""
        names: dict[str, str] = {}
        word = ""
        for character in text + " ":
            if character.isalnum() or self._spell(character) is None:
                word += character
                continue
            spelled = self._spell_all(word)
            if spelled not in ("", word):
                names[spelled] = word
            word = ""
        return tuple(names.items())

    def _spell_all(self, text: str) -> str:
        return "".join(self._spell(character) or "" for character in text).strip()

    def _spell(self, character: str) -> str | None:
        """Return what to write for a character, or None where the vocabulary has nothing like it."""
        if character.isspace() or self._is_known(character):
            return character
        similar = character.translate(_SIMILAR)
        if similar == character:
            similar = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
        similar = similar.strip()
        return similar if similar and all(map(self._is_known, similar)) else None

    def _is_known(self, character: str) -> bool:
        known = self._known.get(character)
        if known is None:
            known = self._known[character] = self._knows(character)
        return known

    # --- putting together

    def _hide_numbers(self, part: _Part) -> _Part:
        """Return a chunk to be translated again, its numbers behind addresses, where the model did not copy them."""
        if not part.has_numbers or _is_faithful(part):
            return part
        again = self._write(part.text, hide_numbers=True)
        again.piece = part.piece
        return again

    def _keep_addresses(self, part: _Part) -> list[_Part]:
        """Cut a chunk at its addresses where the model did not copy them faithfully."""
        if _is_faithful(part):
            return [part]
        out: list[_Part] = []
        start = 0
        for address in _ADDRESS.finditer(part.text):
            out += [*self._chunk(part.text[start : address.start()]), _Part(address[0])]
            start = address.end()
        return [*out, *self._chunk(part.text[start:])]

    def _assemble(self, plan: Sequence[_Part]) -> Translated:
        text = ""
        total, steps = 0.0, 0
        for part in plan:
            piece = part.text
            if part.result is not None:
                piece = _restore(part, part.result.text)
                total += part.result.log_probability
                steps += part.result.steps
            elif self._joins_tight and piece == " ":
                continue
            apart = not text or not piece or text[-1].isspace() or piece[0].isspace() or piece[0] in _TIGHT
            text += " " + piece if self._adds_spaces and not apart else piece
        return Translated(text, total / steps if steps else None)


def _peeled(text: str) -> tuple[str, str, str]:
    """Return the tags and white space at a text's beginning, the text, and those at its end."""
    start, end = 0, len(text)
    tags = list(MARKUP.finditer(text))
    for tag in tags:
        if text[start : tag.start()].strip():
            break
        start = tag.end()
    for tag in reversed(tags):
        if tag.start() < start or text[tag.end() : end].strip():
            break
        end = tag.start()
    core = text[start:end].strip()
    start += text[start:end].find(core)
    return text[:start], core, text[start + len(core) :]


def _append(out: list[tuple[str, bool]], text: str, *, literal: bool) -> None:
    if out and out[-1][1] == literal:
        out[-1] = (out[-1][0] + text, literal)
    else:
        out.append((text, literal))


def _is_faithful(part: _Part) -> bool:
    """Whether what must be in the translation is there, as often as in the text."""
    if part.result is None:
        return True
    all_written = [written for written, _ in part.required]
    return all(part.result.text.count(written) == all_written.count(written) for written in all_written)


def _is_shouted(text: str) -> bool:
    return len(_LONG_WORD.findall(text)) > 1 and all(map(str.isupper, filter(str.isalpha, text)))


def _restore(part: _Part, text: str) -> str:
    if part.shouted:
        text = text.upper()
    elif part.piece and part.written:
        if part.written[:1].islower():
            text = text[:1].lower() + text[1:]
        if part.written[-1:].isalnum() and text[-1:] == ".":
            text = text[:-1]
    for written, original in part.required:
        text = text.replace(written, original)
    for written, original in part.names:
        pattern = rf"(?<!\w)(?<!\d[.,]){re.escape(written)}(?!\w|[.,]\d)"
        text = re.sub(pattern, lambda _, word=original: word, text)  # type: ignore[misc]
    return text
