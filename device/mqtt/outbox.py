"""The durable outbox: what must reach the broker, kept on disk until the broker has acknowledged it.

One SQLite file in write-ahead mode. ``synchronous=FULL`` makes a commit fsync the log once, so an entry is
on the disk when :meth:`Outbox.put` returns; a rollback journal would pay two or three fsyncs for the same
promise (https://sqlite.org/wal.html). Acknowledgements are committed without fsync: one that a power cut takes
back only sends an entry again, and delivery is at least once anyway. ``locking_mode=EXCLUSIVE`` keeps a second
process out.

An acknowledged entry stays in the file until it is purged. Those of a process that died are waiting again when
the next one opens the file, for nobody knows whether the broker lived long enough to pass them on.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from device.errors import DragomanError
from device.mqtt.entry import Entry, Kind, Property, dump, from_row, to_row
from device.mqtt.outbox_file import COLUMNS, INSERT, code, is_damage, opened, remedy, replace, retained_in
from device.mqtt.overflow import Overflow

_LOG = logging.getLogger(__name__)

MOST_ACKNOWLEDGED = 5000
"""Acknowledged entries that are kept until they are purged; the oldest go when there are more."""
RETRY_SECONDS = 1.0
"""Shortest time between two attempts to write to a disk that refused."""
RETRIES_LEFT_OUT = 30
"""How much longer it is between two attempts to replace a damaged file, which reads all of it."""


class OutboxFull(DragomanError):  # noqa: N818 - it names the state, as queue.Full does
    """The configured size is reached and nothing less valuable is left to drop; the entry was not taken."""


class OutboxLocked(DragomanError):  # noqa: N818
    """Another process works with this outbox."""


class Outbox:
    """A bounded, durable queue in the order of insertion; every method may be called from any thread.

    Parameters
    ----------
    path
        The file; its folder is made. A damaged file is set aside (:attr:`set_aside`), what can still be read
        of it is taken over, and a new one is begun.
    max_bytes
        Limit of all entries together; see :meth:`put`.
    memory_bytes
        Limit of the entries that are kept in memory while the disk refuses writes.

    Raises
    ------
    OutboxLocked
        Another process has the file.
    """

    def __init__(self, path: Path, max_bytes: int, memory_bytes: int = 4 << 20) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.problem: str | None = None
        """Why entries are not on disk at the moment, as a line for a person; None when all is well."""
        self.set_aside: Path | None = None
        """Where a damaged file was moved to, if that happened."""
        self.recovered = 0
        """Entries that were read back from the damaged file."""
        self.evicted = 0
        """Diagnostics that gave way to newer entries."""
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._next_id = -(1 << 40)
        """Negative until the file was open once: which numbers are taken is not known before."""
        self._renumbered: dict[int, int] = {}
        self._disk_bytes = 0
        self._disk_depth = 0
        self._memory = Overflow(memory_bytes)
        self._acknowledged: deque[tuple[float, int, int]] = deque()
        """When, id and size of the acknowledged entries that are still in the file."""
        self._unwritten: set[int] = set()
        """Ids whose acknowledgement the disk refused so far."""
        self._retry_at = 0.0
        self._unremembered: set[str] = set()
        """Retained topics that the disk refused to note so far."""
        with self._lock:
            self._try_open()

    @property
    def depth(self) -> int:
        """Number of entries that wait."""
        return max(0, self._disk_depth + len(self._memory) - len(self._unwritten))

    @property
    def bytes_used(self) -> int:
        """Bytes of all waiting entries, as they count against the limit."""
        return self._disk_bytes + self._memory.used

    def put(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        kind: Kind = Kind.TRANSCRIPT,
        properties: Mapping[str, Property] | None = None,
    ) -> int:
        """Append an entry and return its id; it survives a crash and a power cut from then on.

        When the limit is reached, the oldest diagnostics are dropped (and counted in :attr:`evicted`). While
        the disk refuses writes the entry is kept in memory, in order, :attr:`problem` says so, and later
        calls of any method write it as soon as the disk lets them.

        Raises
        ------
        OutboxFull
            There is no room; the entry was not taken.
        """
        with self._lock:
            if self._closed:
                raise DragomanError(f"{self.path}: the outbox is closed")
            if self._connection is None:
                self._reopen()
            entry = Entry(self._next_id, topic, bytes(payload), qos, retain, kind, dict(properties or {}))
            victims = self._make_room(entry)
            self._write_memory()
            if self._memory or not self._insert([entry], victims):
                self._keep_in_memory(entry)
            self._next_id += 1
            return entry.id

    def next(self, skip_topics: Collection[str] = (), skip_ids: Collection[int] = ()) -> Entry | None:
        """Return the oldest entry that is neither acknowledged nor to be skipped; None when there is none."""
        with self._lock:
            self._write_memory()
            skipped = {*skip_ids, *self._unwritten}
            for attempt in (1, 2):
                if self._connection is None or self._disk_depth == 0:
                    break
                query = (
                    f"SELECT {COLUMNS} FROM entries WHERE acknowledged = 0"
                    " AND topic NOT IN (SELECT value FROM json_each(?))"
                    " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT 1"
                )
                try:
                    row = self._connection.execute(query, (dump([*skip_topics]), dump([*skipped]))).fetchone()
                    if row is not None:
                        return from_row(row)
                except (sqlite3.Error, ValueError) as error:
                    self._failed(error)
                    if attempt == 1 and is_damage(error):
                        continue  # the file was replaced by a new one
                break
            for entry in self._memory:
                if entry.topic not in skip_topics and entry.id not in skipped:
                    return entry
            return None

    def acknowledge(self, entry_id: int) -> None:
        """Note that the broker has an entry: it waits no longer. One that is no longer there is ignored."""
        with self._lock:
            if self._closed:
                return
            entry_id = self._renumbered.pop(entry_id, entry_id)
            if self._memory.remove(entry_id):
                return
            self._unwritten.add(entry_id)
            self._write_acknowledgements()
            if len(self._acknowledged) > MOST_ACKNOWLEDGED:
                self._purge(len(self._acknowledged) - MOST_ACKNOWLEDGED // 2)

    def purge(self, seconds: float) -> None:
        """Delete the entries that were acknowledged more than ``seconds`` ago."""
        with self._lock:
            oldest = time.monotonic() - seconds
            self._purge(sum(1 for moment, _, _ in self._acknowledged if moment <= oldest))

    def doubt(self) -> None:
        """Let the acknowledged entries that were not purged wait again, in their old places."""
        with self._lock:
            if self._connection is None or not self._acknowledged:
                return
            try:
                self._connection.execute("UPDATE entries SET acknowledged = 0 WHERE acknowledged = 1")
            except (sqlite3.Error, ValueError) as error:
                self._failed(error)
                return
            self._disk_depth += len(self._acknowledged)
            self._disk_bytes += sum(size for _, _, size in self._acknowledged)
            self._acknowledged.clear()

    def remember_retained(self, topic: str) -> None:
        """Note that the broker may hold a retained message that must not outlive its cause."""
        with self._lock:
            self._unremembered.add(topic)
            self._write_retained()

    def forget_retained(self, topic: str) -> None:
        """Take back :meth:`remember_retained`: the broker has nothing there any more, or another device's message."""
        with self._lock:
            self._unremembered.discard(topic)
            self._execute_lazily("DELETE FROM retained WHERE topic = ?", (topic,))

    def retained_topics(self) -> list[str]:
        """Topics noted by :meth:`remember_retained`, also by a process that died since."""
        with self._lock:
            if self._connection is None:
                return []
            try:
                return retained_in(self._connection)
            except (sqlite3.Error, ValueError) as error:
                self._failed(error)
                return []

    def retry(self) -> None:
        """Try to write what is kept in memory, if some is; call it now and then."""
        with self._lock:
            if self._closed:
                return
            if self._connection is None:
                self._reopen()
            self._write_memory()
            self._write_acknowledgements()
            self._write_retained()
            if self._connection is not None and not self._memory and not self._unwritten:
                self.problem = None

    def close(self) -> None:
        """Write what can be written, purge, and let the file go. Entries that are only in memory are lost."""
        with self._lock:
            if self._closed:
                return
            self._retry_at = 0.0
            self.retry()
            self._purge(len(self._acknowledged))
            self._closed = True
            if self._memory:
                _LOG.error("%d messages could not be written to %s and are lost", len(self._memory), self.path)
            self._disconnect()

    def _make_room(self, entry: Entry) -> list[tuple[int, int]]:
        """Drop diagnostics in memory, and return (id, size) of those on disk that must go, for ``entry`` to fit."""
        missing = self.bytes_used + entry.size - self.max_bytes
        victims: list[tuple[int, int]] = []
        if missing > 0 and self._connection is not None:
            query = "SELECT id, size FROM entries WHERE kind = 'diagnostic' AND acknowledged = 0 ORDER BY id"
            try:
                for victim in self._connection.execute(query):
                    victims.append(victim)
                    missing -= victim[1]
                    if missing <= 0:
                        break
            except (sqlite3.Error, ValueError) as error:
                self._failed(error)
        if (forgotten := self._memory.forget_diagnostics(missing)) is None:
            raise OutboxFull(
                f"the outbox {self.path} is full ({self.depth} messages, {self.max_bytes >> 20} MiB):"
                f" connect the broker or raise mqtt.outbox_mb"
            )
        self.evicted += forgotten
        return victims

    def _insert(self, entries: list[Entry], victims: list[tuple[int, int]]) -> bool:
        """Write ``entries`` durably in one transaction; False when the disk refused (see :attr:`problem`)."""
        for attempt in (1, 2):
            connection = self._connection
            if connection is None:
                return False
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("DELETE FROM entries WHERE id = ?", [(v[0],) for v in victims])
                connection.executemany(INSERT, [to_row(entry) for entry in entries])
                connection.execute("COMMIT")
            except (sqlite3.Error, ValueError) as error:
                with contextlib.suppress(sqlite3.Error, ValueError):
                    connection.execute("ROLLBACK")
                self._failed(error)
                if is_damage(error) and attempt == 1:
                    victims = []
                    continue  # the file was replaced by a new one
                return False
            self._disk_bytes += sum(e.size for e in entries) - sum(v[1] for v in victims)
            self._disk_depth += len(entries) - len(victims)
            self.evicted += len(victims)
            return True
        return False

    def _keep_in_memory(self, entry: Entry) -> None:
        if (forgotten := self._memory.room_for(entry)) is None:
            raise OutboxFull(f"{self.problem}; the memory for {len(self._memory)} messages is used up too")
        self.evicted += forgotten
        self._memory.append(entry)

    def _write_memory(self) -> None:
        """Write the entries in memory behind those on disk, when the disk may be tried again."""
        if not self._memory or time.monotonic() < self._retry_at:
            return
        if self._connection is None and not self._reopen():
            return
        if self._insert(list(self._memory), []):
            self._memory.clear()
            self.problem = None

    def _write_acknowledgements(self) -> None:
        if not self._unwritten or self._connection is None or time.monotonic() < self._retry_at:
            return
        statement = (
            "UPDATE entries SET acknowledged = 1 WHERE id IN (SELECT value FROM json_each(?)) RETURNING id, size"
        )
        rows = self._execute_lazily(statement, (dump([*self._unwritten]),))
        if rows is None:
            return
        now = time.monotonic()
        self._acknowledged.extend((now, number, size) for number, size in rows)
        self._disk_bytes -= sum(size for _, size in rows)
        self._disk_depth -= len(rows)
        self._unwritten.clear()

    def _purge(self, count: int) -> None:
        """Delete the ``count`` entries that were acknowledged first."""
        if count == 0 or self._connection is None:
            return
        numbers = [number for _, number, _ in itertools.islice(self._acknowledged, count)]
        statement = "DELETE FROM entries WHERE acknowledged = 1 AND id IN (SELECT value FROM json_each(?))"
        if self._execute_lazily(statement, (dump(numbers),)) is not None:
            for _ in range(count):
                self._acknowledged.popleft()

    def _write_retained(self) -> None:
        if not self._unremembered or self._connection is None or time.monotonic() < self._retry_at:
            return
        topics = [(topic,) for topic in self._unremembered]
        try:
            self._connection.executemany("INSERT OR IGNORE INTO retained VALUES (?)", topics)
        except (sqlite3.Error, ValueError) as error:
            self._failed(error)
            return
        self._unremembered.clear()

    def _execute_lazily(self, statement: str, values: tuple[Any, ...]) -> list[Any] | None:
        """Execute without waiting for the disk, and return the rows; None when it failed."""
        connection = self._connection
        if connection is None:
            return None
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            return connection.execute(statement, values).fetchall()
        except (sqlite3.Error, ValueError) as error:
            self._failed(error)
            return None
        finally:
            with contextlib.suppress(sqlite3.Error, ValueError):
                connection.execute("PRAGMA synchronous = FULL")

    def _failed(self, error: sqlite3.Error | OSError | ValueError) -> None:
        """Note why the disk refused; replace a file that turned out to be damaged."""
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if is_damage(error):
            self._replace_damaged(error)
            return
        reason = error.strerror if isinstance(error, OSError) else str(error)
        self._note(f"{self.path} cannot be written ({reason}): {remedy(error)}; transcripts wait in memory")

    def _note(self, problem: str) -> None:
        """Tell a problem, in the log once."""
        if self.problem is None:
            _LOG.error("%s", problem)
        self.problem = problem

    def _reopen(self) -> bool:
        if self._closed or time.monotonic() < self._retry_at:
            return False
        try:
            self._try_open()
        except DragomanError as error:  # whoever took the file meanwhile may let it go
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._note(f"{error}; transcripts wait in memory")
        return self._connection is not None

    def _try_open(self) -> None:
        try:
            self._open()
        except (OSError, sqlite3.Error, ValueError) as error:
            self._disconnect()
            self._disk_bytes = self._disk_depth = 0
            if isinstance(error, sqlite3.Error) and code(error) == sqlite3.SQLITE_BUSY:
                raise OutboxLocked(
                    f"{self.path} is in use by another process: stop it, or set mqtt.outbox to another file"
                ) from error
            self._failed(error)

    def _open(self) -> None:
        self._connection = connection = opened(self.path)
        row = connection.execute("SELECT coalesce(max(id), 0), coalesce(sum(size), 0), count(*) FROM entries")
        last, self._disk_bytes, self._disk_depth = row.fetchone()
        self._next_id = self._memory.number(max(self._next_id, last + 1), self._renumbered)

    def _replace_damaged(self, error: Exception) -> None:
        """Move a damaged file out of the way, and go on with a new one that has what is readable of it."""
        self._disconnect()
        self._disk_bytes = self._disk_depth = 0
        try:
            aside, recovered = replace(self.path)
            self._open()
        except (OSError, sqlite3.Error, ValueError) as failure:
            self._disconnect()
            self._retry_at = time.monotonic() + RETRIES_LEFT_OUT * RETRY_SECONDS
            self._note(f"{self.path} is damaged and cannot be replaced ({failure}); transcripts wait in memory")
            return
        self._retry_at = 0.0
        self.set_aside = aside
        self.recovered += recovered
        self._acknowledged.clear()
        self._unwritten.clear()
        _LOG.error(
            "%s was damaged (%s): set aside as %s, %d messages read back", self.path, error, aside.name, recovered
        )

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error, ValueError):
                self._connection.close()
        self._connection = None
