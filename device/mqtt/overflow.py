"""What the outbox keeps in memory while the disk refuses it."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator

from device.mqtt.entry import Entry, Kind


class Overflow:
    """Entries in the order of insertion, behind all that are on the disk; whoever owns it holds a lock.

    Parameters
    ----------
    limit
        Bytes of all entries together.
    """

    def __init__(self, limit: int) -> None:
        self.used = 0
        """Bytes of the entries."""
        self._limit = limit
        self._entries: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def room_for(self, entry: Entry) -> int | None:
        """Make room for ``entry``; return how many diagnostics were dropped, None where it cannot be had."""
        return self.forget_diagnostics(self.used + entry.size - self._limit)

    def append(self, entry: Entry) -> None:
        """Keep an entry, for which there is room."""
        self._entries.append(entry)
        self.used += entry.size

    def remove(self, entry_id: int) -> bool:
        """Drop an entry; False where it is not here."""
        for entry in self._entries:
            if entry.id == entry_id:
                self._drop(entry)
                return True
        return False

    def clear(self) -> None:
        """Drop all: they are on the disk now."""
        self._entries.clear()
        self.used = 0

    def forget_diagnostics(self, missing: int) -> int | None:
        """Drop the oldest diagnostics to gain ``missing`` bytes; return how many, None where they do not suffice."""
        victims: list[Entry] = []
        for entry in self._entries:
            if missing <= 0:
                break
            if entry.kind is Kind.DIAGNOSTIC:
                victims.append(entry)
                missing -= entry.size
        if missing > 0:
            return None
        for entry in victims:
            self._drop(entry)
        return len(victims)

    def number(self, next_id: int, renumbered: dict[int, int]) -> int:
        """Give those with a makeshift (negative) number one from ``next_id`` on, and return the next free one.

        ``renumbered`` receives what became of the old numbers, which somebody may know.
        """
        for index, entry in enumerate(self._entries):
            if entry.id < 0:
                self._entries[index] = dataclasses.replace(entry, id=next_id)
                renumbered[entry.id] = next_id
                next_id += 1
        return next_id

    def _drop(self, entry: Entry) -> None:
        self._entries.remove(entry)
        self.used -= entry.size
