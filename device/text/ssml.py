"""Speech Synthesis Markup Language (https://www.w3.org/TR/speech-synthesis11/): what to say, and how.

The part that Azure's programs use and our voices can do: voices and languages, paragraphs and sentences, breaks,
pace, pitch, contours and loudness, emphasis, substitutes, phonemes, ways to read, bookmarks. Elements that only colour
speech are read through to their text; sound from elsewhere is refused. Documents come from strangers: no entities, no
document types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from device.text.rules import primary
from device.text.ssml_phonemes import from_x_sampa
from device.text.ssml_say_as import KINDS, say_as
from device.text.ssml_values import NOTES, PITCHES, RATES, SsmlError, break_seconds, clamped, factor, loudness, seconds

DEEPEST = 40
"""Elements inside each other."""
MOST_PHONEMES = 200
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_EMPHASES = {
    "strong": (0.85, 1.12, 1.25), "moderate": (0.92, 1.06, 1.12), "none": (1.0, 1.0, 1.0), "reduced": (1.1, 0.96, 0.85),
}  # fmt: skip
"""Rate, pitch and volume."""
_CONTOUR = re.compile(r"\(\s*(\d+(?:\.\d+)?)%\s*,\s*([^()\s]+)\s*\)")
_FLATTEST, _STEEPEST = 0.5, 2.0
_REFUSED = frozenset({"audio", "lexicon", "backgroundaudio", "embedding"})
_SENTENCES, _PARAGRAPHS = frozenset({"s", "sentence"}), frozenset({"p", "paragraph"})


@dataclass(frozen=True, slots=True)
class Manner:
    """How something is said. ``rate``, ``pitch`` and ``volume`` are factors; 1 is the voice's own."""

    voice: str = ""
    language: str = ""
    rate: float = 1.0
    pitch: float = 1.0
    volume: float = 1.0
    gender: str = ""
    """``female`` or ``male``, where no voice is named."""
    shift: float = 0.0
    """Hertz to add to the pitch."""
    tone: float = 0.0
    """Pitch in hertz, instead of the voice's own; 0 leaves it."""
    contour: tuple[tuple[float, float, float], ...] = ()
    """How the pitch moves: where (0 to 1), the factor there, and hertz to add."""
    sentence_pause: float | None = None
    """Seconds between sentences, where a document says so."""

    @property
    def pitched(self) -> bool:
        """Whether the pitch is anything but the voice's own."""
        return self.pitch != 1 or bool(self.shift or self.tone or self.contour)


@dataclass(frozen=True, slots=True)
class Say:
    """Words to say in one manner."""

    text: str
    """As they are written."""
    manner: Manner
    spoken: str = ""
    """What is said instead."""
    phonemes: str = ""
    """How it is pronounced (IPA)."""
    glued: bool = False
    """Whether no space parts it from what was said before."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds of silence."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A place whose time is told."""

    name: str


@dataclass(frozen=True, slots=True)
class End:
    """Where a sentence or a paragraph ends, whatever its last sign."""

    paragraph: bool = False


Part = Say | Pause | Bookmark | End


def parse_ssml(document: str | bytes, notes: list[str] | None = None) -> list[Part]:
    """Return what a document says, in order.

    Parameters
    ----------
    document
        As it was written.
    notes
        Takes a line for each value beyond what can be spoken: the nearest that can is spoken instead.

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
    token = NOTES.set([] if notes is None else notes)
    try:
        return list(_joined(_walk(root, Manner(language=root.get(_XML_LANG, "")), 0)))
    finally:
        NOTES.reset(token)


def _walk(element: Element, manner: Manner, depth: int) -> Iterator[Part]:
    """Yield what an element says, in the manner that holds around it."""
    if depth > DEEPEST:
        raise SsmlError(f"the SSML is nested deeper than {DEEPEST} elements")
    name = _name(element)
    if name in _REFUSED:
        raise SsmlError(f"<{name}> cannot be spoken here: leave it out")
    if name == "metadata":
        return  # about the document
    if (leaf := _leaf(element, name, manner)) is not None:
        yield from leaf
        return
    manner = _changed(manner, name, element)
    block = name in _PARAGRAPHS or name in _SENTENCES
    if block:
        yield End(name in _PARAGRAPHS)
    yield from _inside(element, manner, depth)
    if block:
        yield End(name in _PARAGRAPHS)


def _inside(element: Element, manner: Manner, depth: int) -> Iterator[Part]:
    """Yield what stands in an element: text, and other elements."""
    tail: Part | None = None
    yield Say(element.text or "", manner)
    for child in element:
        if isinstance(child.tag, str) and _name(child) == "silence":
            manner, found, where = _silence(child, manner)
            if where == "tailing":
                tail = found
            elif found is not None:
                yield found
        elif isinstance(child.tag, str):  # comments and processing instructions have none
            yield from _walk(child, manner, depth + 1)
        yield Say(child.tail or "", manner)
    if tail is not None:
        yield tail


def _leaf(element: Element, name: str, manner: Manner) -> list[Part] | None:
    """Return what an element stands for whose content is not spoken as it stands."""
    if name == "break":
        length = break_seconds(element.get("time"), element.get("strength", "medium").lower())
        return [Pause(length)] if length else [Say(" ", manner)]
    if name in {"bookmark", "mark"}:
        return [Bookmark(element.get("mark") or element.get("name") or "")]
    text = " ".join("".join(element.itertext()).split())
    if name == "sub" and element.get("alias"):
        return [Say(text or element.get("alias", ""), manner, spoken=element.get("alias", ""))]
    if name == "say-as" and text:
        kind = element.get("interpret-as", "").strip().lower()
        if kind not in KINDS:
            return None
        said = say_as(text, kind, element.get("format", ""), manner.language or "en-US")
        return [Say(text, manner, spoken=said or text)]
    if name == "phoneme" and element.get("ph"):
        return [Say(text or element.get("ph", ""), manner, phonemes=_phonemes(element))]
    return None


def _phonemes(element: Element) -> str:
    alphabet = element.get("alphabet", "ipa").strip().lower()
    if alphabet not in {"ipa", "x-sampa", "xsampa"}:
        raise SsmlError(f"phonemes are written in ipa or x-sampa here, not {alphabet[:40]!r}")
    given = element.get("ph", "")
    if len(given) > MOST_PHONEMES:
        raise SsmlError(f"a word has at most {MOST_PHONEMES} phonemes, not {len(given)}")
    return given if alphabet == "ipa" else from_x_sampa(given)


def _silence(element: Element, manner: Manner) -> tuple[Manner, Pause | None, str]:
    """Read ``mstts:silence``: how it changes what follows, and what it is itself, before or after."""
    length = seconds(element.get("value", "0ms"))
    where = element.get("type", "").lower().removesuffix("-exact")
    if where == "sentenceboundary":
        return replace(manner, sentence_pause=length), None, where
    if where in {"comma", "semicolon", "enumerationcomma"}:
        return manner, None, where
    return manner, Pause(length), where


def _changed(manner: Manner, name: str, element: Element) -> Manner:
    language = element.get(_XML_LANG)
    if name == "voice":
        return replace(
            manner,
            voice=element.get("name", manner.voice),
            gender=element.get("gender", manner.gender),
            language=language or manner.language,
        )
    if name == "emphasis":
        level = element.get("level", "moderate").strip().lower()
        if level not in _EMPHASES:
            raise SsmlError(f"emphasis is one of {', '.join(_EMPHASES)}, not {level[:40]!r}")
        rate, pitch, volume = _EMPHASES[level]
        return _bounded(manner, rate, pitch, manner.volume * volume)
    if name == "prosody":
        changed = _bounded(
            manner, factor(element.get("rate"), RATES), 1.0, loudness(manner.volume, element.get("volume"))
        )
        changed = _pitched(changed, element.get("pitch"))
        return _contoured(changed, element.get("contour"))
    if language and name in {"lang", *_SENTENCES, *_PARAGRAPHS}:
        other = primary(language) != primary(manner.language)
        return replace(manner, language=language, voice="" if other else manner.voice)
    return manner


def _bounded(manner: Manner, rate: float, pitch: float, volume: float) -> Manner:
    return replace(
        manner,
        rate=clamped("a rate", manner.rate * rate, 0.5, 2.0),
        pitch=clamped("a pitch", manner.pitch * pitch, _FLATTEST, _STEEPEST),
        volume=clamped("a volume", volume, 0.0, 2.0),
    )


def _pitched(manner: Manner, text: str | None) -> Manner:
    if found := re.fullmatch(r"([+-]?)(\d+(?:\.\d+)?)\s*hz", (text or "").strip().lower()):
        hertz = float(found[2])
        if not found[1]:
            return replace(manner, tone=clamped("a pitch in Hz", hertz, 40.0, 600.0), pitch=1.0, shift=0.0)
        shift = manner.shift + (-hertz if found[1] == "-" else hertz)
        return replace(manner, shift=clamped("a change of pitch in Hz", shift, -200.0, 200.0))
    pitch = manner.pitch * factor(text, PITCHES)
    return replace(manner, pitch=clamped("a pitch", pitch, _FLATTEST, _STEEPEST))


def _contoured(manner: Manner, text: str | None) -> Manner:
    if not (text or "").strip():
        return manner
    points = []
    for where, change in _CONTOUR.findall(text or ""):
        point = _pitched(Manner(), change)
        if point.tone:
            raise SsmlError("a contour's pitch must be a change such as +20Hz or +10%")
        points.append((min(1.0, float(where) / 100), point.pitch, point.shift))
    if not points or _CONTOUR.sub("", text or "").strip():
        raise SsmlError(f"a contour is written like (0%,+20%) (50%,-10Hz), not {(text or '')[:40]!r}")
    return replace(manner, contour=tuple(sorted(points)))


def _joined(parts: Iterator[Part]) -> Iterator[Part]:
    """Join neighbouring words of one manner, drop what holds none, and tell where no space stands between."""
    open_: Say | None = None
    texts: list[str] = []  # of the open one; put together at its end, for there may be very many
    apart = True
    for part in parts:
        if not isinstance(part, Say):
            if open_ is not None and (tidied := _tidied(open_, texts)).text:
                yield tidied
            open_, apart = None, True
            yield part
            continue
        if not part.text:
            continue
        if open_ is not None and part.manner == open_.manner and _plain(part) and _plain(open_):
            texts.append(part.text)
            continue
        if open_ is not None:
            tidied = _tidied(open_, texts)
            if tidied.text:
                yield tidied
            apart = (apart and not tidied.text) or texts[-1][-1:].isspace()
        open_, texts = replace(part, glued=not apart and not part.text[:1].isspace()), [part.text]
        apart = False
    if open_ is not None and (tidied := _tidied(open_, texts)).text:
        yield tidied


def _plain(say: Say) -> bool:
    return not say.spoken and not say.phonemes


def _tidied(say: Say, texts: list[str]) -> Say:
    return replace(say, text=" ".join("".join(texts).split()))


def _name(element: Element) -> str:
    """Return an element's name without its namespace, in lower case."""
    return str(element.tag).rpartition("}")[2].lower()
