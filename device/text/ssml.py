"""Speech Synthesis Markup Language (https://www.w3.org/TR/speech-synthesis11/): what to say, and how.

The part that Azure's programs use and our voices can do: voices and languages, paragraphs and sentences, breaks,
pace, pitch and loudness, substitutes, spelling, bookmarks. Elements that only colour speech are read through to
their text; sound from elsewhere is refused. Documents come from strangers: no entities, no document types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from device.errors import DragomanError

DEEPEST = 40
"""Elements inside each other."""
LONGEST_BREAK = 20.0
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_RATES = {"x-slow": 0.5, "slow": 0.64, "medium": 1.0, "default": 1.0, "fast": 1.55, "x-fast": 2.0}
_PITCHES = {"x-low": 0.7, "low": 0.85, "medium": 1.0, "default": 1.0, "high": 1.15, "x-high": 1.3}
_VOLUMES = {
    "silent": 0.0, "x-soft": 0.2, "soft": 0.4, "medium": 0.6, "loud": 0.8, "x-loud": 1.0, "default": 1.0,
}  # fmt: skip
_BREAKS = {"none": 0.0, "x-weak": 0.25, "weak": 0.5, "medium": 0.75, "strong": 1.0, "x-strong": 1.25}
_SPELLED = frozenset({"characters", "spell-out", "verbatim", "letters", "digits"})
_REFUSED = frozenset({"audio", "lexicon", "backgroundaudio", "embedding"})
_BLOCKS = frozenset({"p", "s", "paragraph", "sentence"})
_NUMBER = re.compile(r"([+-]?)(\d+(?:\.\d+)?|\.\d+)\s*(%|st|hz|db)?", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s)")


class SsmlError(DragomanError):
    """A document that cannot be spoken, in one line for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How something is said. ``rate``, ``pitch`` and ``volume`` are factors; 1 is the voice's own."""

    voice: str = ""
    language: str = ""
    rate: float = 1.0
    pitch: float = 1.0
    volume: float = 1.0


@dataclass(frozen=True, slots=True)
class Say:
    """Words to say in one manner."""

    text: str
    manner: Manner


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds of silence."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A place whose time is told."""

    name: str


@dataclass(frozen=True, slots=True)
class _Boundary:
    """Where a paragraph or sentence ends: text on its two sides is not joined."""


Part = Say | Pause | Bookmark


def parse_ssml(document: str | bytes) -> list[Part]:
    """Return what a document says, in order.

    Raises
    ------
    SsmlError
        It is not well formed, is no SSML, or asks for what cannot be done.
    """
    try:
        root = fromstring(document, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException:
        raise SsmlError("SSML may hold no document type and no entities") from None
    except ParseError as error:
        raise SsmlError(f"the SSML is not well formed: {error}") from None
    except (ValueError, LookupError, RecursionError) as error:
        raise SsmlError(f"the SSML cannot be read: {error}") from None
    if _name(root) != "speak":
        raise SsmlError(f"SSML begins with <speak>, not <{_name(root)[:40]}>")
    return list(_joined(_walk(root, Manner(language=root.get(_XML_LANG, "")), 0)))


def _walk(element: Element, manner: Manner, depth: int) -> Iterator[Part | _Boundary]:
    """Yield what an element says, in the manner that holds around it."""
    if depth > DEEPEST:
        raise SsmlError(f"the SSML is nested deeper than {DEEPEST} elements")
    name = _name(element)
    if (leaf := _leaf(element, name, manner)) is not None:
        yield leaf
        return
    manner = _changed(manner, name, element)
    if name in _BLOCKS:
        yield _Boundary()
    if name == "say-as" and element.get("interpret-as", "").lower() in _SPELLED:
        yield Say(_spelled("".join(element.itertext())), manner)
        return
    yield Say(element.text or "", manner)
    for child in element:
        if isinstance(child.tag, str):  # comments and processing instructions have none
            yield from _walk(child, manner, depth + 1)
        yield Say(child.tail or "", manner)
    if name in _BLOCKS:
        yield _Boundary()


def _leaf(element: Element, name: str, manner: Manner) -> Part | None:
    """Return what an element stands for whose content is not spoken."""
    if name in _REFUSED:
        raise SsmlError(f"<{name}> cannot be spoken here: leave it out")
    if name == "break":
        return Pause(_break(element))
    if name in {"bookmark", "mark"}:
        return Bookmark(element.get("mark") or element.get("name") or "")
    if name == "silence":  # mstts:silence says where; it is kept where it stands
        return Pause(_seconds(element.get("value", "0ms")))
    if name == "sub" and element.get("alias"):
        return Say(element.get("alias", ""), manner)
    return None


def _changed(manner: Manner, name: str, element: Element) -> Manner:
    if name == "voice":
        language = element.get(_XML_LANG) or manner.language
        return replace(manner, voice=element.get("name", manner.voice), language=language)
    if name in {"lang", "p", "s"} and element.get(_XML_LANG):
        return replace(manner, language=element.get(_XML_LANG, ""))
    if name == "prosody":
        return replace(
            manner,
            rate=_clamped(manner.rate * _factor(element.get("rate"), _RATES), 0.5, 2.0),
            pitch=_clamped(manner.pitch * _factor(element.get("pitch"), _PITCHES), 0.5, 1.5),
            volume=_volume(manner.volume, element.get("volume")),
        )
    return manner


def _joined(parts: Iterator[Part | _Boundary]) -> Iterator[Part]:
    """Join neighbouring words of one manner, and drop what holds none."""
    open_: Say | None = None
    for part in parts:
        if isinstance(part, Say) and open_ is not None and part.manner == open_.manner:
            open_ = Say(open_.text + part.text, open_.manner)
            continue
        if open_ is not None and open_.text.strip():
            yield Say(" ".join(open_.text.split()), open_.manner)
        open_ = part if isinstance(part, Say) else None
        if isinstance(part, Pause | Bookmark):
            yield part
    if open_ is not None and open_.text.strip():
        yield Say(" ".join(open_.text.split()), open_.manner)


def _name(element: Element) -> str:
    """Return an element's name without its namespace, in lower case."""
    return str(element.tag).rpartition("}")[2].lower()


def _spelled(text: str) -> str:
    return ", ".join(character for character in text if not character.isspace())


def _break(element: Element) -> float:
    time = element.get("time")
    if time is not None:
        return _seconds(time)
    strength = element.get("strength", "medium").lower()
    if strength not in _BREAKS:
        raise SsmlError(f"a break's strength is one of {', '.join(_BREAKS)}, not {strength[:40]!r}")
    return _BREAKS[strength]


def _seconds(text: str) -> float:
    found = _TIME.fullmatch(text.strip().lower().lstrip("+"))
    if found is None:
        raise SsmlError(f"a time is written like 500ms or 2s, not {text[:40]!r}")
    return min(LONGEST_BREAK, float(found[1]) / (1000 if found[2] == "ms" else 1))


def _factor(text: str | None, names: dict[str, float]) -> float:
    """Read a rate or pitch: a name, ``1.2``, or a change like ``+20%`` or ``-2st``."""
    if text is None or not text.strip():
        return 1.0
    word = text.strip().lower()
    if word in names:
        return names[word]
    found = _NUMBER.fullmatch(word)
    if found is None:
        raise SsmlError(f"prosody cannot be {text[:40]!r}: write a name, a factor, or a change such as +20%")
    sign, number, unit = found[1], float(found[2]), (found[3] or "").lower()
    signed = -number if sign == "-" else number
    if unit == "%":
        return max(0.0, 1 + signed / 100)
    if unit == "st":
        return float(2 ** (max(-24.0, min(24.0, signed)) / 12))
    if unit == "hz":
        if not sign:
            raise SsmlError("a pitch in Hz must be a change such as +20Hz")
        return max(0.0, 1 + signed / 150)  # of a voice's usual 150 Hz
    if unit:
        raise SsmlError(f"prosody cannot be {text[:40]!r}")
    return max(0.0, 1 + signed if sign else number)


def _volume(volume: float, text: str | None) -> float:
    """Read a loudness: a name, 0 to 100, or a change like ``+10``, ``-20%`` or ``+6dB``."""
    if text is None or not text.strip():
        return volume
    word = text.strip().lower()
    if word in _VOLUMES:
        return _VOLUMES[word]
    found = _NUMBER.fullmatch(word)
    unit = (found[3] or "").lower() if found else "?"
    if found is None or unit in {"st", "hz"}:
        raise SsmlError(f"a volume is a name, 0 to 100, or a change such as +10%, not {text[:40]!r}")
    sign, number = found[1], float(found[2])
    signed = -number if sign == "-" else number
    if unit == "%":
        return _clamped(volume * (1 + signed / 100), 0.0, 2.0)
    if unit == "db":
        return _clamped(volume * float(10 ** (_clamped(signed, -120, 20) / 20)), 0.0, 2.0)
    return _clamped(volume + signed / 100, 0.0, 2.0) if sign else _clamped(number / 100, 0.0, 1.0)


def _clamped(value: float, low: float, high: float) -> float:
    return min(high, max(low, value))
