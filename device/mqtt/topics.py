"""The topic table as data, and the messages that say each event of the house on it.

Payloads are JSON objects in UTF-8 with a ``schema`` number, named as ``dragoman --json`` names them; only
``availability`` is a bare word. With ``text = "none"`` no message carries what was said.
"""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import topic_matches_sub as matches

from device.config import Redaction
from device.errors import DragomanError
from device.events import Error, Event, Final, Partial, PartialTranslation, State, Translation
from device.mqtt.entry import Kind

if TYPE_CHECKING:
    from device.text.redaction import Redactor

SCHEMA = 1
"""Version of every payload; raised when a reader of the old one would misread the new one."""
LONGEST_LEVEL = 64
"""Characters of one topic level; MQTT allows 65,535 bytes for a whole topic."""
PARTIAL_EXPIRY = 5
"""Seconds after which a broker no longer delivers a partial."""
EVENT_EXPIRY = 10
"""Seconds after which a button press or an answer is too old to act upon."""

ONLINE = b"online"
OFFLINE = b"offline"


class Lane(StrEnum):
    """How a message reaches the broker."""

    RETAINED = "retained"
    """The newest value of the topic, sent again after every reconnect."""
    DURABLE = "durable"
    """Through the outbox, in order, kept until the broker acknowledges."""
    VOLATILE = "volatile"
    """Now or not at all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the topic table."""

    name: str
    """Below ``<base>/<device>/``; ``{}`` stands for a language, an id or a name."""
    qos: int
    lane: Lane
    expiry: int | None = None
    """Message expiry in seconds."""
    kind: Kind = Kind.TRANSCRIPT


AVAILABILITY = Row("availability", 1, Lane.RETAINED)
STATE = Row("state", 1, Lane.RETAINED)
ALERT = Row("alert/{}", 1, Lane.RETAINED)
TRANSCRIPT_PARTIAL = Row("transcript/partial", 0, Lane.VOLATILE, PARTIAL_EXPIRY)
TRANSCRIPT_FINAL = Row("transcript/final", 1, Lane.DURABLE)
TRANSLATION = Row("translation/{}", 1, Lane.DURABLE)
TRANSLATION_PARTIAL = Row("translation/{}/partial", 0, Lane.VOLATILE, PARTIAL_EXPIRY)
EVENT_BUTTON = Row("event/button", 1, Lane.VOLATILE, EVENT_EXPIRY)
EVENT_ERROR = Row("event/error", 1, Lane.DURABLE, kind=Kind.DIAGNOSTIC)
DIAG = Row("diag/{}", 0, Lane.VOLATILE)
REPLY = Row("reply/{}", 1, Lane.VOLATILE, EVENT_EXPIRY)
"""What a command without Response-Topic came to, below its own name: ``reply/cmd/translate``."""

PUBLISHED = (
    AVAILABILITY,
    STATE,
    ALERT,
    TRANSCRIPT_PARTIAL,
    TRANSCRIPT_FINAL,
    TRANSLATION,
    TRANSLATION_PARTIAL,
    EVENT_BUTTON,
    EVENT_ERROR,
    DIAG,
    REPLY,
)
"""Everything the device says."""

SUBSCRIBED = ("set/+", "cmd/+")
"""Everything the device hears, at QoS 1."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to publish; ``properties`` are named as in paho's ``Properties``."""

    topic: str
    payload: bytes
    qos: int
    lane: Lane
    kind: Kind = Kind.TRANSCRIPT
    expiry: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


JSON_PROPERTIES: Mapping[str, str | int] = {"PayloadFormatIndicator": 1, "ContentType": "application/json"}


class Topics:
    """Builds the messages of one device.

    Parameters
    ----------
    base, device
        What every topic begins with; ``base`` may have several levels, ``device`` None takes the host's name.
    with_text
        False keeps what was said out of every message.
    redact
        What is taken out of the text on some topics: kinds by topic filter below the device.

    Raises
    ------
    DragomanError
        Where a level cannot be part of a topic.
    """

    def __init__(
        self,
        base: str,
        device: str | None = None,
        *,
        with_text: bool = True,
        redact: Mapping[str, Iterable[Redaction]] | None = None,
    ) -> None:
        self.base = "/".join(_checked("mqtt.base", part) for part in base.split("/"))
        self.device = _checked("mqtt.device", device) if device is not None else level(socket.gethostname())
        self.with_text = with_text
        self._redact = dict(redact or {})
        self._redactors: dict[str, Redactor] = {}
        self.subscriptions = tuple(self.prefix + name for name in SUBSCRIBED)
        """The filters of what the device hears: its own commands, and what a room adds."""

    @property
    def prefix(self) -> str:
        """``<base>/<device>/``."""
        return f"{self.base}/{self.device}/"

    def topic(self, row: Row, name: str = "") -> str:
        """Return the full topic of ``row``; ``name`` fills its placeholder, encoded where it must be."""
        return self.prefix + row.name.replace("{}", "/".join(level(part) for part in name.split("/")))

    def message(self, row: Row, document: Mapping[str, Any], name: str = "") -> Message:
        """Return ``document`` as a message on ``row``, with ``schema`` and the time of day."""
        body = {"schema": SCHEMA, **document, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        properties = dict(JSON_PROPERTIES)
        if row.expiry is not None:
            properties["MessageExpiryInterval"] = row.expiry
        return Message(self.topic(row, name), encode(body), row.qos, row.lane, row.kind, row.expiry, properties)

    def event(self, event: Event) -> Message | None:
        """Return what is said about ``event``; None for events that have no topic."""
        match event:
            case Final():
                return self._said(TRANSCRIPT_FINAL, event)
            case Translation():
                return self._said(TRANSLATION, event, event.language)
            case Partial():
                return self._said(TRANSCRIPT_PARTIAL, event, growing=True)
            case PartialTranslation():
                return self._said(TRANSLATION_PARTIAL, event, event.language, growing=True)
            case Error():
                return self.message(EVENT_ERROR, self._document(event))
        return None

    def state(
        self,
        state: State,
        directions: Sequence[tuple[str, Sequence[str]]],
        *,
        direction: int,
        volume: float,
        muted: bool,
        mode: str | None,
        problems: Sequence[str] = (),
    ) -> Message:
        """Return the device's state; ``directions`` are pairs of a source language and its targets."""
        document = {
            "state": str(state),
            "direction": direction,
            "directions": [{"source": source, "targets": list(targets)} for source, targets in directions],
            "volume": round(volume, 3),
            "muted": muted,
            "mode": mode,
            "problems": list(problems),
        }
        return self.message(STATE, {key: value for key, value in document.items() if value is not None})

    def button(self, name: str, action: str) -> Message:
        """Return what a button did: ``press``, ``release``, ``hold``, ``double_press``."""
        return self.message(EVENT_BUTTON, {"type": "button", "name": name, "action": action})

    def alert(self, alert_id: str, text: str | None) -> Message:
        """Return an alert, or with None the empty message that clears it."""
        if text is None:
            return Message(self.topic(ALERT, alert_id), b"", ALERT.qos, ALERT.lane)
        return self.message(ALERT, {"type": "alert", "id": alert_id, "text": text}, alert_id)

    def diag(self, name: str, value: Any) -> Message:
        """Return one measurement; a mapping becomes the document, anything else its ``value``."""
        return self.message(DIAG, dict(value) if isinstance(value, Mapping) else {"value": value}, name)

    def _said(
        self, row: Row, event: Final | Translation | Partial | PartialTranslation, name: str = "", *,
        growing: bool = False,
    ) -> Message:  # fmt: skip
        """Return what was said as a message, without what its topic is not to tell."""
        document = self._document(event)
        if self._redact and "text" in document:
            if isinstance(event, Final):
                # A translation must not tell what the transcript would have hidden, even where that one is whole.
                self._redactor("").hide_said(event.text, event.language)
            redactor = self._redactor(self.topic(row, name).removeprefix(self.prefix))
            document["text"] = redactor.hide_said(event.text, event.language, growing=growing)
            if document["text"] != event.text:
                document.pop("words", None)
        return self.message(row, document, name)

    def _redactor(self, topic: str) -> Redactor:
        """Return what hides on a topic; "" stands for all of them."""
        from device.text.redaction import Redactor  # numbering plans are large, and few ask for them

        if topic not in self._redactors:
            patterns = [pattern for pattern in self._redact if not topic or matches(pattern, topic)]
            kinds = {kind for pattern in patterns for kind in self._redact[pattern]}
            self._redactors[topic] = Redactor(kinds, self._redactor("").memory if topic else None)
        return self._redactors[topic]

    def _document(self, event: Event) -> dict[str, Any]:
        document = event.to_dict()
        if not self.with_text:
            for said in ("text", "words"):
                document.pop(said, None)
        return document


def encode(document: Mapping[str, Any]) -> bytes:
    """Return ``document`` as JSON in UTF-8; NaN and infinity become null, half surrogates ``?``."""
    text = json.dumps(_finite(document), ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", errors="replace")


def level(name: str) -> str:
    """Return ``name`` as one topic level: what MQTT or a reader would misread is percent-encoded."""
    encoded = re.sub(r"[^\w.~:@-]|%", _percent, name) or "%00"
    return re.sub(r"%[0-9A-F]?$", "", encoded[:LONGEST_LEVEL])


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", errors="replace"))


def _checked(key: str, name: str) -> str:
    """Refuse a configured level that cannot be one, naming what is wrong with it."""
    if not name:
        raise DragomanError(f"{key} is empty: give it a name such as 'kitchen'")
    if len(name) > LONGEST_LEVEL:
        raise DragomanError(f"{key} is {len(name)} characters long: at most {LONGEST_LEVEL} are allowed")
    if bad := re.search(r"[^\w.~:@-]", name):
        raise DragomanError(
            f"{key} = {name!r} holds {bad[0]!r}, which cannot be part of a topic: use letters, digits and - _ . ~ : @"
        )
    return name


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_finite(item) for item in value]
    return value
