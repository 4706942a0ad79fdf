"""What is installed of one model: ``.manifest.json`` beside its files.

It holds each file's hash, and the size and modification time that the file had when the hash was read: a
file that still has both is taken to be whole, so opening a model costs a few ``stat`` calls. A file whose
time differs (a copied folder) is read again once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from device.modelstore.files import sha256_of, write_atomically

NAME = ".manifest.json"
_FORMAT = 1
NEVER = -1
"""The time of a file that was found damaged: no file has it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One file as it was when its hash was read; ``mtime`` is in nanoseconds."""

    sha256: str
    size: int
    mtime: int
    origin: str = ""
    """The source that gave it, or the tool and version that made it."""

    def looks_whole(self, path: Path) -> bool:
        """Whether the file still has the recorded size and time."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime)

    def has_size(self, path: Path) -> bool:
        """Whether the file has the recorded size; its time may differ, as that of a copy does."""
        try:
            return path.stat().st_size == self.size
        except OSError:
            return False


def record(path: Path, origin: str, sha256: str | None = None) -> Record:
    """Return the record of a file as it is now, reading it where the hash is not given."""
    status = path.stat()
    return Record(sha256 or sha256_of(path), status.st_size, status.st_mtime_ns, origin)


@dataclass(slots=True)
class Manifest:
    """The records of one model's folder, by file name."""

    files: dict[str, Record] = field(default_factory=dict)
    derived: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a folder's manifest; one that is missing or damaged is an empty one."""
        try:
            data = json.loads((folder / NAME).read_text(encoding="utf-8"))
            if data["format"] != _FORMAT:
                return cls()
            groups = [{name: Record(**entry) for name, entry in data[key].items()} for key in ("files", "derived")]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()
        return cls(*groups)

    def write(self, folder: Path) -> None:
        """Write the manifest durably."""
        data = {
            "format": _FORMAT,
            "files": {name: asdict(entry) for name, entry in sorted(self.files.items())},
            "derived": {name: asdict(entry) for name, entry in sorted(self.derived.items())},
        }
        write_atomically(folder / NAME, json.dumps(data, indent=1).encode())
