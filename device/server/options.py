"""What a client asks of one turn: the query of its address and the JSON of ``speech.context``, in one place.

Clients differ in how they write keys and values, and name the same wish in two or three places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from device.config import Profanity
from device.server.frames import FrameError

MOST_TARGETS = 16
MOST_CANDIDATES = 10
MOST_PHRASES = 1000
LONGEST_SESSION = 128


class Mode(StrEnum):
    """How the client listens."""

    INTERACTIVE = "interactive"
    """One phrase, then the turn is over."""
    CONVERSATION = "conversation"
    DICTATION = "dictation"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """One turn's wishes. Times are seconds."""

    mode: Mode = Mode.CONVERSATION
    locale: str = "en-US"
    candidates: tuple[str, ...] = ()
    """Locales to identify the spoken one among."""
    identify_continuously: bool = False
    """Whether every utterance may be in another language."""
    targets: tuple[str, ...] = ()
    """Languages to translate into, as the client wrote them."""
    speak: str | None = None
    """The target that is to be heard."""
    voice: str = ""
    """The name of the voice that was asked for."""
    detailed: bool = False
    words: bool = False
    profanity: Profanity | None = None
    """``None`` where nothing was asked for."""
    true_text: bool = False
    initial_silence: float | None = None
    end_silence: float | None = None
    phrases: tuple[str, ...] = field(default=(), repr=False)
    diarize: bool = False
    """Whether people are to be told apart by their voices."""
    audio_session: str = ""
    """What goes on with the same people after a lost connection."""
    resumed: bool = False
    """Whether some of that session has been heard before."""
    assess_pronunciation: bool = False

    @property
    def translates(self) -> bool:
        """Whether the client asked for any translation."""
        return bool(self.targets)


Query = Mapping[str, list[str]]
"""Query parameters by lower-case name."""


def query_of(pairs: Iterable[tuple[str, str]]) -> Query:
    """Return query parameters by lower-case name, each with all its values."""
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        query.setdefault(name.lower(), []).append(value)
    return query


def turn_options(path: str, query: Query, context: Mapping[str, Any], mode: str = "") -> TurnOptions:
    """Put together what was asked for.

    Parameters
    ----------
    path
        The address's path; it may name the mode.
    query
        The address's query.
    context
        The body of ``speech.context`` with lower-case keys.
    mode
        The mode that ``speech.config`` named.

    Raises
    ------
    FrameError
        A value is of the wrong kind.
    """
    detection = _table(context, "phrasedetection")
    lid = _table(context, "languageid")
    output = _table(context, "phraseoutput")
    details = _table(output, "detailed")
    enrichment = _table(detection, "enrichment")
    chosen = _mode(_text(detection, "mode"), path, mode or _first(query, "scenario"))
    described = _table(detection, chosen.value)
    listed = [value for value in _first(query, "lidenabled").split(",") if value.lower() not in {"", "true", "false"}]
    targets = _targets(query, context)
    speak, voice = _speech(query, context, targets)
    return TurnOptions(
        mode=chosen,
        locale=_text(detection, "language") or _first(query, "from") or _first(query, "language") or "en-US",
        candidates=tuple(_strings(lid, "languages", MOST_CANDIDATES)) or tuple(listed[:MOST_CANDIDATES]),
        identify_continuously="continuous" in _text(lid, "mode").lower(),
        targets=targets,
        speak=speak,
        voice=voice,
        detailed="detailed" in {_text(output, "format").lower(), _first(query, "format").lower()},
        words="wordtimings" in {o.lower() for o in _strings(details, "options", 64)}
        or _first(query, "wordleveltimestamps").lower() == "true",
        profanity=profanity_option(_text(enrichment, "profanity") or _first(query, "profanity")),
        true_text=any("disfluencymode" in _table(enrichment, m.value) for m in Mode)
        or _first(query, "postprocessing").lower() == "truetext",
        initial_silence=_seconds(
            detection.get("initialsilencetimeout"),
            described.get("initialsilencetimeout"),
            _first(query, "initialsilencetimeoutms"),
        ),
        end_silence=_end_silence(query, detection, described, chosen),
        phrases=tuple(_phrases(context)),
        diarize=_diarize(detection),
        audio_session=_text(_table(detection, "speakerdiarization"), "audiosessionid")[:LONGEST_SESSION],
        resumed=_table(detection, "speakerdiarization").get("audiooffsetms") not in (None, 0, "0"),
        assess_pronunciation="pronunciationassessment" in enrichment,
    )


_PROFANITY = {
    "masked": Profanity.MASKED, "removed": Profanity.REMOVED, "tags": Profanity.TAGGED, "tagged": Profanity.TAGGED,
    "raw": Profanity.RAW, "none": Profanity.RAW,
}  # fmt: skip


def profanity_option(name: object) -> Profanity | None:
    """Read what is to become of offensive words, as each interface names it; ``None`` where nothing is said.

    Raises
    ------
    FrameError
        The name is unknown.
    """
    if not isinstance(name, str) or not name:
        return None
    if name.lower() not in _PROFANITY:
        raise FrameError(f"profanity is one of {', '.join(_PROFANITY)}, not {name[:40]!r}")
    return _PROFANITY[name.lower()]


def _mode(*named: str) -> Mode:
    for text in named:
        for mode in Mode:
            if mode.value in text.lower():
                return mode
    return Mode.CONVERSATION


def _targets(query: Query, context: Mapping[str, Any]) -> tuple[str, ...]:
    found = _strings(_table(context, "translation"), "targetlanguages", MOST_TARGETS)
    found += _strings(_table(context, "translationcontext"), "to", MOST_TARGETS)
    found += [tag for value in query.get("to", []) for tag in value.split(",") if tag]
    if len(found) > 3 * MOST_TARGETS:
        raise FrameError(f"at most {MOST_TARGETS} target languages can be asked for")
    return tuple(dict.fromkeys(found))


def _speech(query: Query, context: Mapping[str, Any], targets: tuple[str, ...]) -> tuple[str | None, str]:
    """Return the target to speak and the voice asked for.

    Some clients give every target the one voice, so the target is the one whose language the voice speaks.
    """
    translation = _table(context, "translation")
    wanted = _text(_table(translation, "onsuccess"), "action").lower() == "synthesize"
    features = {f.strip().lower() for value in query.get("features", []) for f in value.split(",")}
    wanted = wanted or "texttospeech" in features or _first(query, "requirevoice").lower() == "true"
    if not wanted or not targets:
        return None, ""
    synthesis = _table(context, "synthesis")
    voices = {k: v for k, v in _table(synthesis, "defaultvoices").items() if isinstance(v, str)}
    voice = next(iter(voices.values()), "") or _first(query, "voice")
    asked = _strings(synthesis, "synthesizedlanguages", MOST_TARGETS) or [
        t for t in targets if voice and _language(voice) == _language(t)
    ]
    spoken = next((t for t in targets if t.lower() in {a.lower() for a in asked}), targets[0])
    return spoken, voices.get(spoken.lower(), "") or voice


def _language(tag: str) -> str:
    return tag.split("-", 1)[0].lower()


def _end_silence(query: Query, detection: Mapping[str, Any], described: Mapping[str, Any], mode: Mode) -> float | None:
    segmentation = _table(described, "segmentation") or _table(detection, "segmentation")
    trailing = (
        detection.get("trailingsilencetimeout"),
        described.get("trailingsilencetimeout"),
        _first(query, "endsilencetimeoutms"),
    )
    return _seconds(
        segmentation.get("segmentationsilencetimeoutms"),
        _first(query, "segmentationsilencetimeoutms"),
        *(trailing if mode is Mode.INTERACTIVE else ()),
    )


def _diarize(detection: Mapping[str, Any]) -> bool:
    if "speakerdiarization" not in detection:
        return False
    mode = _text(_table(detection, "speakerdiarization"), "mode").lower()
    if mode not in {"", "none", "anonymous"}:
        raise FrameError(f"speakers are told apart, not known by name: diarization is 'Anonymous', not {mode[:40]!r}")
    return mode != "none"


def _phrases(context: Mapping[str, Any]) -> Iterator[str]:
    groups = _table(context, "dgi").get("groups")
    count = 0
    for group in groups if isinstance(groups, list) else ():
        items = group.get("items") if isinstance(group, dict) else None
        for item in items if isinstance(items, list) else ():
            text = item.get("text") if isinstance(item, dict) else None
            if isinstance(text, str) and text.strip():
                count += 1
                if count > MOST_PHRASES:
                    raise FrameError(f"a phrase list holds at most {MOST_PHRASES} phrases")
                yield text.strip()


def _table(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _first(query: Query, key: str) -> str:
    return next(iter(query.get(key, [])), "")


def _strings(values: Mapping[str, Any], key: str, most: int) -> list[str]:
    value = values.get(key)
    found = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    if len(found) > most:
        raise FrameError(f"{key}: at most {most} can be asked for")
    return found


def _seconds(*values: object) -> float | None:
    """Return the first of several numbers of milliseconds that is one."""
    for value in values:
        try:
            number = float(str(value))
        except ValueError:
            continue
        if 0 < number <= 3_600_000:
            return number / 1000
    return None
