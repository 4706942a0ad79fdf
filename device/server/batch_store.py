"""Batch transcriptions on disk: what was asked for, how far it is, and what came of it, across restarts."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from device.errors import DragomanError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS transcription (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL, created TEXT NOT NULL, acted TEXT NOT NULL, status TEXT NOT NULL,
    definition TEXT NOT NULL, sources TEXT NOT NULL, expires TEXT
);
CREATE TABLE IF NOT EXISTS result (
    transcription TEXT NOT NULL REFERENCES transcription (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, id TEXT NOT NULL, created TEXT NOT NULL, error TEXT, body TEXT,
    PRIMARY KEY (transcription, number)
);
"""
REPORT = "report"
"""The id of every transcription's report."""


class StoreError(DragomanError):
    """Transcriptions cannot be kept or read at the moment: the disk is full, or fails."""


class Status(StrEnum):
    """How far a transcription is, as Azure writes it."""

    NOT_STARTED = "NotStarted"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Job:
    """One transcription: a definition as it was sent, and the recordings it names."""

    id: str
    created: str
    acted: str
    status: Status
    definition: Mapping[str, Any]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one recording: a body, or why there is none."""

    id: str
    number: int
    created: str
    error: str | None
    body: str | None


class BatchStore:
    """The transcriptions of one device. Safe to use from several threads; another process is kept out.

    Parameters
    ----------
    path
        The database; it is made where it is missing.

    Raises
    ------
    DragomanError
        It cannot be opened, is damaged, or another process works with it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=0, check_same_thread=False, isolation_level=None)
            self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            self._base.execute("PRAGMA foreign_keys = ON")
            self._base.executescript(_SCHEMA)
            path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise DragomanError(
                    f"{path} is in use by another server: stop it, or give this one a state_directory of its own"
                ) from None
            raise DragomanError(f"{path}: the batch transcriptions cannot be kept: {error}") from None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._base.close()

    def add(self, definition: Mapping[str, Any], sources: tuple[str, ...]) -> Job:
        """Keep a new transcription."""
        job = Job(str(uuid.uuid4()), _now(), _now(), Status.NOT_STARTED, definition, sources)
        with self._transaction() as base:
            base.execute(
                "INSERT INTO transcription SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, NULL "
                "FROM transcription",
                (job.id, job.created, job.acted, job.status, json.dumps(definition), json.dumps(sources)),
            )
        return job

    def get(self, job_id: str) -> Job | None:
        """Return a transcription."""
        return next(iter(self._jobs("WHERE id = ?", job_id)), None)

    def page(self, skip: int, top: int) -> list[Job]:
        """Return some of all transcriptions, oldest first."""
        return self._jobs("ORDER BY number LIMIT ? OFFSET ?", top, skip)

    def change(self, job_id: str, changes: Mapping[str, Any]) -> Job | None:
        """Change keys of a transcription's definition."""
        with self._transaction() as base:
            job = self.get(job_id)
            if job is None:
                return None
            definition = json.dumps({**job.definition, **changes})
            base.execute(
                "UPDATE transcription SET definition = ?, acted = ? WHERE id = ?", (definition, _now(), job_id)
            )
        return self.get(job_id)

    def delete(self, job_id: str) -> bool:
        """Forget a transcription and its results; false where there is none."""
        with self._transaction() as base:
            return base.execute("DELETE FROM transcription WHERE id = ?", (job_id,)).rowcount > 0

    def take(self) -> Job | None:
        """Begin the oldest transcription that waits."""
        with self._transaction() as base:
            found = self._jobs("WHERE status = ? ORDER BY number LIMIT 1", Status.NOT_STARTED)
            if not found:
                return None
            base.execute(
                "UPDATE transcription SET status = ?, acted = ? WHERE id = ?", (Status.RUNNING, _now(), found[0].id)
            )
        return self.get(found[0].id)

    def give_back(self) -> None:
        """Let what was begun be taken again: the program that began it has ended."""
        with self._transaction() as base:
            base.execute("UPDATE transcription SET status = ? WHERE status = ?", (Status.NOT_STARTED, Status.RUNNING))

    def finish(self, job_id: str, status: Status, lives: timedelta | None) -> None:
        """Note the end of a transcription, and when it may be forgotten."""
        expires = (datetime.now(UTC) + lives).isoformat() if lives is not None else None
        with self._transaction() as base:
            base.execute(
                "UPDATE transcription SET status = ?, acted = ?, expires = ? WHERE id = ?",
                (status, _now(), expires, job_id),
            )

    def expire(self) -> None:
        """Forget what has lived as long as was asked for."""
        with self._transaction() as base:
            base.execute("DELETE FROM transcription WHERE expires < ?", (datetime.now(UTC).isoformat(),))

    def add_result(self, job_id: str, number: int, body: Mapping[str, Any] | None, error: str | None) -> None:
        """Keep what came of one recording; nothing happens where the transcription was deleted meanwhile."""
        text = None if body is None else json.dumps(body, ensure_ascii=False)
        with self._transaction() as base:
            base.execute(
                "INSERT OR REPLACE INTO result SELECT id, ?, ?, ?, ?, ? FROM transcription WHERE id = ?",
                (number, str(uuid.uuid4()), _now(), error, text, job_id),
            )

    def results(self, job_id: str) -> list[Result]:
        """Return what came of a transcription's recordings so far, in their order."""
        query = "SELECT id, number, created, error, body FROM result WHERE transcription = ? ORDER BY number"
        return [Result(*row) for row in self._rows(query, job_id)]

    def _jobs(self, where: str, *values: Any) -> list[Job]:
        query = f"SELECT id, created, acted, status, definition, sources FROM transcription {where}"
        return [
            Job(id_, created, acted, Status(status), json.loads(definition), tuple(json.loads(sources)))
            for id_, created, acted, status, definition, sources in self._rows(query, *values)
        ]

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._base.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"the batch transcriptions cannot be read: {error}") from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._base.execute("BEGIN IMMEDIATE")
                yield self._base
                self._base.execute("COMMIT")
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):  # where there is nothing to take back
                    self._base.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"the batch transcriptions cannot be kept: {error}") from None
                raise


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
