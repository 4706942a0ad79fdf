"""The outbox's file: opened and checked, and when it is damaged, replaced by one with all that is readable of it."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from device.errors import DragomanError
from device.modelstore.files import sync
from device.mqtt.entry import ROW_OVERHEAD, Entry, from_row, to_row

SCHEMA = 1
"""Version of the tables; a newer one is left alone."""
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
COLUMNS = "id, topic, payload, qos, retain, kind, properties"
INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
_SPOILT = f"""
SELECT count(*) FROM entries WHERE typeof(topic) != 'text' OR typeof(payload) != 'blob' OR qos NOT IN (1, 2)
    OR retain NOT IN (0, 1) OR kind NOT IN ('transcript', 'diagnostic') OR acknowledged NOT IN (0, 1)
    OR NOT json_valid(properties)
    OR size != length(CAST(topic AS BLOB)) + length(payload) + length(CAST(properties AS BLOB)) + {ROW_OVERHEAD}
"""
"""Counts the rows that nothing of ours has written: SQLite's own check finds no flipped bit within a value."""


def opened(path: Path) -> sqlite3.Connection:
    """Open the file for this process alone, or make it; every entry in it waits.

    Raises
    ------
    OSError, sqlite3.Error
        The disk refuses, or another process has the file.
    ValueError
        It is damaged; see :func:`is_damage`.
    DragomanError
        A newer version has written it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = _fresh(path)
    if path.exists():
        fresh.unlink(missing_ok=True)
    elif fresh.exists():  # the plug was pulled between the two names of a replaced file
        fresh.rename(path)
    else:  # what people said is the owner's business only
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(contextlib.closing(_connected(path)))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 1048576")
        if (verdict := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != b"ok":
            raise ValueError(verdict.decode(errors="replace").splitlines()[0])
        if connection.execute("PRAGMA user_version").fetchone()[0] > SCHEMA:
            raise DragomanError(f"{path} was written by a newer Dragoman: update this one or move the file")
        connection.executescript(_MAKE)
        if spoilt := connection.execute(_SPOILT).fetchone()[0]:
            raise ValueError(f"{spoilt} rows are not what was written")
        connection.execute("UPDATE entries SET acknowledged = 0 WHERE acknowledged = 1")
        sync(path.parent)
        stack.pop_all()
    return connection


def _connected(path: Path) -> sqlite3.Connection:
    """Open a file for this process alone; text comes as bytes, for what is damaged may be no UTF-8."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    connection.text_factory = bytes
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".fresh")


def replace(path: Path) -> tuple[Path, int]:
    """Put a new file with all that is readable into a damaged one's place.

    Return where the damaged one is, and how many entries were readable. The new file is complete on the disk before
    the old one loses its name, and what needs it comes first: unplugged at any moment, `Outbox` finds one of the two.
    """
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)
    try:
        os.close(os.open(fresh, os.O_CREAT | os.O_WRONLY, 0o600))
        with contextlib.closing(_connected(path)) as old, contextlib.closing(_connected(fresh)) as new:
            new.executescript(_MAKE)
            new.execute("BEGIN IMMEDIATE")
            readable = new.executemany(INSERT, map(to_row, _salvaged(old))).rowcount
            new.executemany("INSERT INTO retained VALUES (?)", [(topic,) for topic in {*_salvaged_topics(old)}])
            new.execute("COMMIT")
        sync(path.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%fZ')}")
    for suffix in ("-wal", "-journal", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    fresh.rename(path)
    sync(path.parent)
    return aside, max(0, readable)


def _salvaged(connection: sqlite3.Connection) -> Iterator[Entry]:
    """Read the entries of a damaged file that can be read, one by one, from the front and then from the back."""
    last, first = 0, 1 << 63
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.Error, ValueError):
            for row in connection.execute(f"SELECT {COLUMNS} FROM entries WHERE id > ? ORDER BY id {order}", (last,)):
                with contextlib.suppress(ValueError):
                    entry = from_row(row)
                    if last < entry.id < first:  # each once, whatever order the damage makes of them
                        last, first = (entry.id, first) if order == "ASC" else (last, entry.id)
                        yield entry


def _salvaged_topics(connection: sqlite3.Connection) -> list[str]:
    try:
        return retained_in(connection)
    except (sqlite3.Error, ValueError):
        return []


def retained_in(connection: sqlite3.Connection) -> list[str]:
    """Return the topics of messages that the broker may hold, in the order of their names."""
    return [topic.decode() for (topic,) in connection.execute("SELECT topic FROM retained ORDER BY topic")]


def is_damage(error: Exception) -> bool:
    """Whether an error means that the file is damaged: SQLite's says so, or is no text itself, or a row is none."""
    return isinstance(error, ValueError) or (isinstance(error, sqlite3.Error) and code(error) in _DAMAGED)


def code(error: Exception) -> int:
    """Return SQLite's primary result code of an error, 0 where there is none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def remedy(error: Exception) -> str:
    """Say what to do about a disk that does not take what is written."""
    if isinstance(error, OSError):
        full, denied = error.errno in (errno.ENOSPC, errno.EDQUOT), error.errno in (errno.EACCES, errno.EPERM)
        misplaced = error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG)
    else:
        full, denied = code(error) == sqlite3.SQLITE_FULL, code(error) == sqlite3.SQLITE_PERM
        misplaced = code(error) == sqlite3.SQLITE_CANTOPEN
    if full:
        return "free some space"
    if misplaced:
        return "no folder can be made there, set state_directory or mqtt.outbox to another place"
    if denied:
        return "let this user write there, or set state_directory or mqtt.outbox to another place"
    return "make the disk writable, or repair it"
