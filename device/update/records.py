"""What is written down of updates, in two small files of JSON: the one on trial, and what became of the others."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar, get_origin, get_type_hints

from device.modelstore.files import write_atomically


@dataclass
class Pending:
    """An update that is not decided yet."""

    generation: int
    was: str
    """What the trial is of, for people: the version and where it came from."""
    serial: int = 0
    kind: str = "program"
    tries: int = 0
    before: list[str] = field(default_factory=list)
    """What the health check complained about before."""
    is_rollback: bool = False


@dataclass
class State:
    """What became of updates."""

    highest: dict[str, int] = field(default_factory=dict)
    """The highest serial that was ever good, by kind: nothing older is taken any more."""
    failed: list[int] = field(default_factory=list)
    """Serials of what failed its health check."""
    result: str = ""
    """``installed``, ``rolled back`` or ``failed``; empty before the first update."""
    text: str = ""
    time: str = ""


_T = TypeVar("_T", Pending, State)


def load(path: Path, kind: type[_T]) -> _T | None:
    """Read a small file; a damaged one counts as not there, and what only a newer version knows is passed over."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        known = {
            key: data[key]
            for key, hint in get_type_hints(kind).items()
            if isinstance(data.get(key), get_origin(hint) or hint)
        }
        return kind(**known)
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def store(path: Path, record: Pending | State) -> None:
    """Write a small file: after a power cut there is the old one or the new one."""
    write_atomically(path, json.dumps(asdict(record), indent=1).encode())
