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

from device.engines.mt_literals import ADDRESS, INVISIBLE, cut_unknown
from device.engines.mt_markup import translate_marked_up
from device.engines.mt_spelling import Speller
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


_PLACEHOLDER: Final = "www.x{}.com"
"""Stands for an address that the vocabulary cannot spell: models copy web addresses."""


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
        self._limit = limit
        self._speller = Speller(knows)
        spaceless = {tag for tag in (source, target) if tag.split("-")[0] in SPACELESS}
        self._spaceless = source in spaceless
        self._joins_tight = target in spaceless
        self._adds_spaces = self._spaceless and not self._joins_tight

    def translate(self, texts: Sequence[str]) -> list[Translated]:
        """Translate each text by itself; text without letters passes unchanged, and so do literals inside."""
        return [translate_marked_up(text, self._translate_some) or self._translate_some([text])[0] for text in texts]

    def translate_together(self, texts: Sequence[str]) -> list[Translated]:
        """Do the same, with the chunks of all texts in one call of the model (for engines that gain by batches)."""
        answers = [translate_marked_up(text, self._translate_some) for text in texts]
        others = iter(self._translate_some([t for t, answer in zip(texts, answers, strict=True) if answer is None]))
        return [answer or next(others) for answer in answers]

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
        text = INVISIBLE.sub("", text)
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
            for piece, literal in cut_unknown(sentence, self._speller, spaceless=self._spaceless):
                parts += [_Part(piece)] if literal else self._chunk(piece)
        return parts

    def _chunk(self, text: str) -> list[_Part]:
        """Return the parts of a spellable piece: white space and addresses at its ends are literals."""
        core = text.strip()
        if not core:
            return [_Part(text)] if text else []
        start = text.index(core)
        before, after = text[:start], text[start + len(core) :]
        first = ADDRESS.match(core)
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
                plain = match.lastgroup not in ("code", "mark", "number") and all(map(self._speller.has, address))
            written = address if plain else _PLACEHOLDER.format(len(required) + 1)
            required.append((written, address))
            return written

        written = ADDRESS.sub(write_address, text)
        shouted = not required and _is_shouted(written)
        if shouted:
            written = written.capitalize()
        names = self._speller.names(written)
        written = _SPACES.sub(" ", self._speller.text(written))
        if not any(map(str.isalpha, written)):
            return _Part(text)
        return _Part(text, written, tuple(required), has_numbers, names, shouted)

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
        for address in ADDRESS.finditer(part.text):
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
