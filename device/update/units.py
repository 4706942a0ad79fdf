"""The service manager's files of the version that runs.

The package owns one set. Where a version that came as an update has others, they stand beside, in the folder that the
service manager prefers. They cannot be links into the version's folder: ``systemctl enable`` would follow those, and
tie the service to that version for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from device.modelstore.files import sync, write_atomically


@dataclass(frozen=True)
class Units:
    """The two folders; see systemd.unit(5), "Unit File Load Path"."""

    packaged: Path = Path("/usr/lib/systemd/system")
    preferred: Path = Path("/usr/local/lib/systemd/system")

    def follow(self, code: Path) -> None:
        """Make the service manager's files those of the version in ``code``; called again, it changes nothing."""
        if not (self.packaged / "dragoman.service").exists():
            return  # no package brought us here: whoever did takes care of the service
        wanted = {path.name: path.read_bytes() for path in _units(code / "systemd")}
        for name, data in wanted.items():
            if _bytes(self.packaged / name) == data:
                self._remove(name)
            elif _bytes(self.preferred / name) != data:
                write_atomically(self.preferred / name, data)
        for path in list(_units(self.preferred)):
            if path.name not in wanted:
                self._remove(path.name)

    def _remove(self, name: str) -> None:
        if (path := self.preferred / name).exists():
            path.unlink()
            sync(path.parent)


def _units(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("dragoman*") if path.suffix in {".service", ".timer"})


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
