"""Sets the tags of a marked-up sentence around the words that they stood around, in its translation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from device.engines.protocols import Translated
from device.text.sentences import MARKUP

_INLINE: Final = re.compile(
    r"(?P<open><(?!(?:script|style|code|pre|kbd|samp)\b)(?P<name>[A-Za-z][\w-]*)\b[^<>]{0,400}>)(?P<inside>[^<>&]+)(?P<close></(?P=name)\s*>)"
)
"""A tag around words, and its end."""


def translate_marked_up(text: str, translate: Callable[[Sequence[str]], list[Translated]]) -> Translated | None:
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
    whole, *inside = translate([plain, *(span["inside"] for span in spans)])
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
