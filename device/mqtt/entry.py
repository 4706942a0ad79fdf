"""One message of the outbox, and the row that it is in the outbox's file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

ROW_OVERHEAD = 64
"""Bytes that a row is taken to cost beside its topic, payload and properties."""

Property = str | int
"""Value of an MQTT property that is kept with an entry."""


class Kind(StrEnum):
    """What an entry is worth when the outbox is full."""

    TRANSCRIPT = "transcript"
    """Never dropped."""
    DIAGNOSTIC = "diagnostic"
    """The oldest make room for transcripts."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message that waits for the broker's acknowledgement; ``id`` grows with every entry."""

    id: int
    topic: str
    payload: bytes
    qos: int
    retain: bool
    kind: Kind
    properties: Mapping[str, Property]

    @property
    def size(self) -> int:
        """Bytes counted against the outbox's limit."""
        return len(self.topic.encode()) + len(self.payload) + len(dump(self.properties)) + ROW_OVERHEAD


def to_row(entry: Entry) -> tuple[int, str, bytes, int, bool, str, str, int]:
    """Return an entry as a row of the file: all of its fields, and its size."""
    properties = dump(entry.properties)
    return (
        entry.id, entry.topic, entry.payload, entry.qos, entry.retain, entry.kind.value, properties, entry.size,
    )  # fmt: skip


def from_row(row: tuple[int, bytes, bytes, int, int, bytes, bytes]) -> Entry:
    """Read a row.

    Raises
    ------
    ValueError
        It is not what was written.
    """
    number, topic, payload, qos, retain, kind, properties = row
    try:
        entry = Entry(
            number, topic.decode(), bytes(payload), qos, bool(retain), Kind(kind.decode()), json.loads(properties)
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"message {number} is not what was written: {error}") from None
    if (
        not 0 < number < 1 << 53 or qos not in (1, 2) or not isinstance(entry.properties, dict)
        or not topic or not {*"#+\0"}.isdisjoint(entry.topic)
    ):  # fmt: skip
        raise ValueError(f"message {number} is not what was written")
    return entry


def dump(value: Mapping[str, Property] | Sequence[str | int]) -> str:
    """Return JSON as it is kept in a row, and given to SQLite."""
    return json.dumps(value, separators=(",", ":"))
