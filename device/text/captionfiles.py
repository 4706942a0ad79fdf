"""Captions in the formats that players read: SubRip, WebVTT, TTML, and JSON for programs."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final
from xml.sax.saxutils import quoteattr

import pysubs2

from device.text.captions import Cue

_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_STYLE: Final = re.compile(r"\n?  <head>.*?</head>|(?<=\")\s+style=\"Default\"", re.DOTALL)


class CaptionFormat(StrEnum):
    """Formats of caption files."""

    SRT = "srt"
    VTT = "vtt"
    TTML = "ttml"
    JSON = "json"

    @property
    def names_speakers(self) -> bool:
        """Whether a caption can say who speaks beside its text; in SubRip the text itself must."""
        return self is not CaptionFormat.SRT


def write_captions(cues: Sequence[Cue], form: CaptionFormat) -> str:
    """Return a whole caption file.

    WebVTT is W3C's, TTML its Timed Text Markup Language 1; JSON is a list of objects with ``start`` and ``end`` in
    seconds, ``lines`` and ``language``. Who speaks is a voice span in WebVTT, an agent in TTML, ``speaker`` in JSON.
    """
    if form is CaptionFormat.JSON:
        return json.dumps([as_dict(cue) for cue in cues], ensure_ascii=False, indent=1) + "\n"
    file = pysubs2.SSAFile()
    for cue in cues:
        text = "\\N".join(_written(line, form) for line in cue.lines)
        if form is CaptionFormat.VTT and cue.speaker is not None:
            text = f"<v {_name(cue.speaker)}>{text}"
        file.append(pysubs2.SSAEvent(start=round(cue.start * 1000), end=round(cue.end * 1000), text=text))
    written = str(file.to_string(form.value))
    if form is CaptionFormat.TTML:
        language = cues[0].language if cues else "und"
        written = _STYLE.sub("", written).replace("<tt ", f"<tt xml:lang={quoteattr(language)} ", 1)
        written = _with_agents(written, cues)
    return re.sub(r"[ \t]+(?=\n)", "", written).rstrip("\n") + "\n"


class LiveCaptions:
    """Writes captions one after another, as they come to be."""

    def __init__(self, form: CaptionFormat) -> None:
        self._form = form
        self._count = 0

    def head(self) -> str:
        """Return what stands before the first caption."""
        return "WEBVTT\n\n" if self._form is CaptionFormat.VTT else ""

    def add(self, cue: Cue) -> str:
        """Return one caption as it is added to what was written before."""
        self._count += 1
        if self._form is CaptionFormat.JSON:
            return json.dumps(as_dict(cue), ensure_ascii=False) + "\n"
        written = write_captions([cue], self._form).removeprefix("WEBVTT").lstrip("\n")
        return f"{self._count}\n" + written.split("\n", 1)[1] + "\n"


def as_dict(cue: Cue) -> dict[str, Any]:
    """Return a caption as JSON-ready data."""
    out: dict[str, Any] = {
        "start": round(cue.start, 3), "end": round(cue.end, 3), "language": cue.language,
        "lines": list(cue.lines[: cue.second] if cue.second else cue.lines),
    }  # fmt: skip
    if cue.speaker is not None:
        out["speaker"] = cue.speaker
    if cue.second_language:
        out["translation"] = {"language": cue.second_language, "lines": list(cue.lines[cue.second :])}
    return out


def _name(speaker: int) -> str:
    return f"Speaker {speaker}"


def _with_agents(document: str, cues: Sequence[Cue]) -> str:
    """Say in a TTML document who speaks (``ttm:agent``, https://www.w3.org/TR/ttml1/#metadata-vocabulary-agent)."""
    speakers = sorted({cue.speaker for cue in cues if cue.speaker is not None})
    if not speakers:
        return document
    agents = "".join(
        f'\n      <ttm:agent xml:id="speaker-{number}" type="person">'
        f'\n        <ttm:name type="alias">{_name(number)}</ttm:name>\n      </ttm:agent>'
        for number in speakers
    )
    head = f"\n  <head>\n    <metadata>{agents}\n    </metadata>\n  </head>"
    whose = iter([f' ttm:agent="speaker-{cue.speaker}"' if cue.speaker is not None else "" for cue in cues])
    document = re.sub(r"<p(?= )", lambda _: "<p" + next(whose), document)
    return re.sub(r"(<tt [^>]*)>", rf'\1 xmlns:ttm="http://www.w3.org/ns/ttml#metadata">{head}', document, count=1)


def _written(line: str, form: CaptionFormat) -> str:
    """Return a line without what the format, or the library, would take for a command."""
    line = _UNWRITABLE.sub("", line)
    if form is CaptionFormat.VTT:
        line = html.escape(line, quote=False)
    elif form is CaptionFormat.SRT:
        line = line.replace("-->", "→")
    # pysubs2 keeps text as SubStation does, where braces and backslashes are commands.
    return line.replace("{", "(").replace("}", ")").replace("\\", "\u29f5")
