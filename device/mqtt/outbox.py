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
import dataclasses
import errno
import itertools
import json
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from device.errors import DragomanError

_LOG = logging.getLogger(__name__)

SCHEMA = 1
ROW_OVERHEAD = 64
"""Bytes that a row is taken to cost beside its topic, payload and properties."""
MOST_ACKNOWLEDGED = 5000
"""Acknowledged entries that are kept until they are purged; the oldest go when there are more."""
RETRY_SECONDS = 1.0
"""Shortest time between two attempts to write to a disk that refused."""
RETRIES_LEFT_OUT = 30
"""How much longer it is between two attempts to replace a damaged file, which reads all of it."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL,
    retain INTEGER NOT NULL, kind TEXT NOT NULL, properties TEXT NOT NULL, size INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS waiting ON entries (id) WHERE acknowledged = 0;
CREATE INDEX IF NOT EXISTS diagnostics ON entries (id) WHERE kind = 'diagnostic' AND acknowledged = 0;
CREATE TABLE IF NOT EXISTS retained (topic TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_MAKE = f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;"
_COLUMNS = "id, topic, payload, qos, retain, kind, properties"
_INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
_SPOILT = f"""
SELECT count(*) FROM entries WHERE typeof(topic) != 'text' OR typeof(payload) != 'blob' OR qos NOT IN (1, 2)
    OR retain NOT IN (0, 1) OR kind NOT IN ('transcript', 'diagnostic') OR acknowledged NOT IN (0, 1)
    OR NOT json_valid(properties)
    OR size != length(CAST(topic AS BLOB)) + length(payload) + length(CAST(properties AS BLOB)) + {ROW_OVERHEAD}
"""
"""Counts the rows that nothing of ours has written: SQLite's own check finds no flipped bit within a value."""

Property = str | int
"""Value of an MQTT property that is kept with an entry."""


class Kind(StrEnum):
    """What an entry is worth when the outbox is full."""

    TRANSCRIPT = "transcript"
    """Never dropped."""
    DIAGNOSTIC = "diagnostic"
    """The oldest make room for transcripts."""


class OutboxFull(DragomanError):  # noqa: N818 - it names the state, as queue.Full does
    """The configured size is reached and nothing less valuable is left to drop; the entry was not taken."""


class OutboxLocked(DragomanError):  # noqa: N818
    """Another process works with this outbox."""


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
        return len(self.topic.encode()) + len(self.payload) + len(_dump(self.properties)) + ROW_OVERHEAD


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
        self.memory_bytes = memory_bytes
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
        self._memory: deque[Entry] = deque()
        self._memory_used = 0
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
        return self._disk_bytes + self._memory_used

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
                    f"SELECT {_COLUMNS} FROM entries WHERE acknowledged = 0"
                    " AND topic NOT IN (SELECT value FROM json_each(?))"
                    " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT 1"
                )
                try:
                    row = self._connection.execute(query, (_dump([*skip_topics]), _dump([*skipped]))).fetchone()
                    if row is not None:
                        return _entry(row)
                except (sqlite3.Error, ValueError) as error:
                    self._failed(error)
                    if attempt == 1 and _is_damage(error):
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
            for entry in self._memory:
                if entry.id == entry_id:
                    self._memory.remove(entry)
                    self._memory_used -= entry.size
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

    def retained_topics(self) -> list[str]:
        """Topics noted by :meth:`remember_retained`, also by a process that died since."""
        with self._lock:
            if self._connection is None:
                return []
            try:
                return _retained(self._connection)
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
        if not self._forget_diagnostics(missing):
            raise OutboxFull(
                f"the outbox {self.path} is full ({self.depth} messages, {self.max_bytes >> 20} MiB):"
                f" connect the broker or raise mqtt.outbox_mb"
            )
        return victims

    def _forget_diagnostics(self, missing: int) -> bool:
        """Drop the oldest diagnostics in memory to gain ``missing`` bytes; False where they do not suffice."""
        victims: list[Entry] = []
        for entry in self._memory:
            if missing <= 0:
                break
            if entry.kind is Kind.DIAGNOSTIC:
                victims.append(entry)
                missing -= entry.size
        if missing > 0:
            return False
        for entry in victims:
            self._memory.remove(entry)
            self._memory_used -= entry.size
        self.evicted += len(victims)
        return True

    def _insert(self, entries: list[Entry], victims: list[tuple[int, int]]) -> bool:
        """Write ``entries`` durably in one transaction; False when the disk refused (see :attr:`problem`)."""
        for attempt in (1, 2):
            connection = self._connection
            if connection is None:
                return False
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("DELETE FROM entries WHERE id = ?", [(v[0],) for v in victims])
                connection.executemany(_INSERT, [_row(entry) for entry in entries])
                connection.execute("COMMIT")
            except (sqlite3.Error, ValueError) as error:
                with contextlib.suppress(sqlite3.Error, ValueError):
                    connection.execute("ROLLBACK")
                self._failed(error)
                if _is_damage(error) and attempt == 1:
                    victims = []
                    continue  # the file was replaced by a new one
                return False
            self._disk_bytes += sum(e.size for e in entries) - sum(v[1] for v in victims)
            self._disk_depth += len(entries) - len(victims)
            self.evicted += len(victims)
            return True
        return False

    def _keep_in_memory(self, entry: Entry) -> None:
        if not self._forget_diagnostics(self._memory_used + entry.size - self.memory_bytes):
            raise OutboxFull(f"{self.problem}; the memory for {len(self._memory)} messages is used up too")
        self._memory.append(entry)
        self._memory_used += entry.size

    def _write_memory(self) -> None:
        """Write the entries in memory behind those on disk, when the disk may be tried again."""
        if not self._memory or time.monotonic() < self._retry_at:
            return
        if self._connection is None and not self._reopen():
            return
        if self._insert(list(self._memory), []):
            self._memory.clear()
            self._memory_used = 0
            self.problem = None

    def _write_acknowledgements(self) -> None:
        if not self._unwritten or self._connection is None or time.monotonic() < self._retry_at:
            return
        statement = (
            "UPDATE entries SET acknowledged = 1 WHERE id IN (SELECT value FROM json_each(?)) RETURNING id, size"
        )
        rows = self._execute_lazily(statement, (_dump([*self._unwritten]),))
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
        if self._execute_lazily(statement, (_dump(numbers),)) is not None:
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
        if _is_damage(error):
            self._replace_damaged(error)
            return
        reason = error.strerror if isinstance(error, OSError) else str(error)
        self._note(f"{self.path} cannot be written ({reason}): {_remedy(error)}; transcripts wait in memory")

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
            if isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_BUSY:
                raise OutboxLocked(
                    f"{self.path} is in use by another process: stop it, or set mqtt.outbox to another file"
                ) from error
            self._failed(error)

    def _open(self) -> None:
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        fresh = _fresh(self.path)
        if self.path.exists():
            fresh.unlink(missing_ok=True)
        elif fresh.exists():  # the plug was pulled between the two names of a replaced file
            fresh.rename(self.path)
        else:  # what people said is the owner's business only
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = _connected(self.path)
        self._connection = connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 1048576")
        if (verdict := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != b"ok":
            raise ValueError(verdict.decode(errors="replace").splitlines()[0])
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            self._disconnect()
            raise DragomanError(f"{self.path} was written by a newer Dragoman: update this one or move the file")
        connection.executescript(_MAKE)
        if spoilt := connection.execute(_SPOILT).fetchone()[0]:
            raise ValueError(f"{spoilt} rows are not what was written")
        connection.execute("UPDATE entries SET acknowledged = 0 WHERE acknowledged = 1")
        _sync_folder(folder)
        row = connection.execute("SELECT coalesce(max(id), 0), coalesce(sum(size), 0), count(*) FROM entries")
        last, self._disk_bytes, self._disk_depth = row.fetchone()
        self._next_id = max(self._next_id, last + 1)
        for index, entry in enumerate(self._memory):
            if entry.id < 0:
                self._memory[index] = dataclasses.replace(entry, id=self._next_id)
                self._renumbered[entry.id] = self._next_id
                self._next_id += 1

    def _replace_damaged(self, error: Exception) -> None:
        """Move a damaged file out of the way, and go on with a new one that has what is readable of it."""
        self._disconnect()
        self._disk_bytes = self._disk_depth = 0
        try:
            aside, recovered = _replace(self.path)
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


def _connected(path: Path) -> sqlite3.Connection:
    """Open a file for this process alone; text comes as bytes, for what is damaged may be no UTF-8."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    connection.text_factory = bytes
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".fresh")


def _replace(path: Path) -> tuple[Path, int]:
    """Put a new file with all that is readable into a damaged one's place.

    Return where the damaged one is, and how many entries were readable. The new file is complete on the disk before
    the old one loses its name, and what needs it comes first: unplugged at any moment, `Outbox` finds one of the two.
    """
    entries, topics = _salvage(path)
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)
    try:
        os.close(os.open(fresh, os.O_CREAT | os.O_WRONLY, 0o600))
        with contextlib.closing(_connected(fresh)) as connection:
            connection.executescript(_MAKE)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, [_row(entry) for entry in entries])
            connection.executemany("INSERT INTO retained VALUES (?)", [(topic,) for topic in topics])
            connection.execute("COMMIT")
        _sync_folder(path.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%fZ')}")
    for suffix in ("-wal", "-journal", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    fresh.rename(path)
    _sync_folder(path.parent)
    return aside, len(entries)


def _salvage(path: Path) -> tuple[list[Entry], list[str]]:
    """Read the entries and retained topics of a damaged file that can be read, from the front and from the back."""
    found: dict[int, Entry] = {}
    topics: list[str] = []
    with contextlib.suppress(sqlite3.Error, ValueError), contextlib.closing(_connected(path)) as connection:
        for order in ("ASC", "DESC"):
            with contextlib.suppress(sqlite3.Error):
                for row in connection.execute(f"SELECT {_COLUMNS} FROM entries ORDER BY id {order}"):
                    with contextlib.suppress(ValueError):
                        entry = _entry(row)
                        if entry.id in found and order == "DESC":
                            break  # the whole middle is known
                        found.setdefault(entry.id, entry)
        topics = _retained(connection)
    return [found[number] for number in sorted(found)], topics


def _retained(connection: sqlite3.Connection) -> list[str]:
    return [topic.decode() for (topic,) in connection.execute("SELECT topic FROM retained ORDER BY topic")]


def _row(entry: Entry) -> tuple[int, str, bytes, int, bool, str, str, int]:
    properties = _dump(entry.properties)
    return (
        entry.id, entry.topic, entry.payload, entry.qos, entry.retain, entry.kind.value, properties, entry.size,
    )  # fmt: skip


def _entry(row: tuple[int, bytes, bytes, int, int, bytes, bytes]) -> Entry:
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


def _dump(value: Mapping[str, Property] | Sequence[str | int]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _is_damage(error: Exception) -> bool:
    """Whether an error means that the file is damaged: SQLite's says so, or is no text itself, or a row is none."""
    return isinstance(error, ValueError) or (isinstance(error, sqlite3.Error) and _code(error) in _DAMAGED)


def _code(error: Exception) -> int:
    """Return SQLite's primary result code of an error, 0 where there is none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _remedy(error: Exception) -> str:
    """Say what to do about a disk that does not take what is written."""
    if isinstance(error, OSError):
        full, denied = error.errno in (errno.ENOSPC, errno.EDQUOT), error.errno in (errno.EACCES, errno.EPERM)
        misplaced = error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG)
    else:
        full, denied = _code(error) == sqlite3.SQLITE_FULL, _code(error) == sqlite3.SQLITE_PERM
        misplaced = _code(error) == sqlite3.SQLITE_CANTOPEN
    if full:
        return "free some space"
    if misplaced:
        return "no folder can be made there, set state_directory or mqtt.outbox to another place"
    if denied:
        return "let this user write there, or set state_directory or mqtt.outbox to another place"
    return "make the disk writable, or repair it"


def _sync_folder(folder: Path) -> None:
    """Make the names of new files durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
