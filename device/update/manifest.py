"""What a release consists of: ``manifest.json``, which the owner signs and which names every file by its SHA-256."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from device.errors import DragomanError

FORMAT = 1
PRODUCT = "dragoman"
NAME = "release.json"
"""The manifest's name in an installed version's folder."""
MACHINES = ("x86_64", "aarch64")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~-]{0,63}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file; with ``link``, a symbolic link to that relative path."""

    sha256: str = ""
    size: int = 0
    executable: bool = False
    link: str | None = None

    @property
    def blob(self) -> str:
        """The name of its bytes within a bundle; the same bytes are there once."""
        return f"{self.sha256}{'-x' if self.executable else ''}"


@dataclass(frozen=True)
class Manifest:
    """A release: program, models, or both.

    A release replaces only one with a lower ``serial``; program and models are numbered apart.
    """

    version: str
    serial: int
    machine: str
    """``x86_64`` or ``aarch64``; models alone are for ``any``."""
    code: Mapping[str, Entry] = field(default_factory=dict)
    models: Mapping[str, Entry] = field(default_factory=dict)
    """Files by ``<model id>/<name>``, and catalogue entries by ``catalogue.d/<model id>.toml``."""
    notes: str = ""

    @property
    def kind(self) -> str:
        """``program``, with or without models, or ``models``."""
        return "program" if self.code else "models"

    @property
    def files(self) -> dict[str, Entry]:
        """Every distinct file by the name of its bytes."""
        return {entry.blob: entry for entry in (*self.code.values(), *self.models.values()) if entry.link is None}

    def encode(self) -> bytes:
        """Return the manifest as it is signed: the same release always gives the same bytes."""
        document = {"format": FORMAT, "product": PRODUCT, **asdict(self)}
        return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def decode(data: bytes) -> Manifest:
    """Read a manifest and check every field, for what is signed may still be a mistake.

    Raises
    ------
    DragomanError
        What is wrong with it.
    """
    try:
        document = json.loads(data)
        if document["product"] != PRODUCT:
            raise DragomanError(f"this is a release of {str(document['product'])[:40]!r}, not of {PRODUCT}")
        if document["format"] != FORMAT:
            raise DragomanError(f"this release has format {document['format']}: install a newer {PRODUCT} by hand")
        found = Manifest(
            version=_checked(document["version"], _VERSION),
            serial=_whole(document["serial"]),
            machine=_one_of(document["machine"], (*MACHINES, "any")),
            code=_entries(document["code"], links=True),
            models=_entries(document["models"], links=False),
            notes=str(document.get("notes", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DragomanError(f"the release's manifest is damaged: {error}") from None
    if not found.code and not found.models:
        raise DragomanError("the release is empty")
    return found


def read(folder: Path) -> Manifest:
    """Read the manifest of an installed version.

    Raises
    ------
    DragomanError
        It is missing or damaged.
    """
    try:
        return decode((folder / NAME).read_bytes())
    except OSError as error:
        raise DragomanError(f"{folder / NAME}: {error.strerror}") from None


def _entries(values: dict[str, dict[str, Any]], *, links: bool) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for path, value in values.items():
        _safe(path, PurePosixPath(path))
        if value.get("link") is not None:
            if not links:
                raise ValueError(f"{path!r} may not be a link")
            entry = Entry(link=str(value["link"]))
            _safe(f"{path} -> {entry.link}", _joined(PurePosixPath(path).parent, str(entry.link)))
        else:
            size = _whole(value["size"])
            entry = Entry(_checked(value["sha256"], _SHA256), size, value["executable"] is True)
        entries[path] = entry
    files = set(entries)
    for path in files:
        if any(str(parent) in files for parent in PurePosixPath(path).parents):
            raise ValueError(f"{path!r} lies below a file")
    return entries


def _safe(name: str, path: PurePosixPath) -> None:
    """Refuse what would be outside of the release's folder, or written in two ways."""
    bad = path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name or "\\" in name
    if bad or (" -> " not in name and str(path) != name):
        raise ValueError(f"{name[:80]!r} is no path within a release")


def _joined(folder: PurePosixPath, link: str) -> PurePosixPath:
    parts = list(folder.parts)
    for part in PurePosixPath(link).parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def _checked(value: object, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{str(value)[:80]!r} is not what it should be")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{str(value)[:80]!r} is no number")
    return value


def _one_of(value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{str(value)[:80]!r} is none of {', '.join(known)}")
    return str(value)
