"""Where the microphones of an array are, and which channel each of them is.

Azimuth is in degrees, 0 along +x, 90 along +y, seen from above; positions are in metres from the array's centre.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.errors import DragomanError, UsageError

SPEED_OF_SOUND = 343.0
"""In m/s, at 20 °C."""

_LIMIT = 2.0
"""A position farther from the centre than this, in metres, is taken for millimetres."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Lights on the array's own board, evenly round a circle."""

    first: float
    """Azimuth of the first light, in degrees."""
    clockwise: bool
    """Whether the next one follows clockwise, seen from above."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """An array of microphones behind one capture device."""

    name: str
    title: str
    source: str
    """Where the positions were taken from."""
    positions: NDArray[np.float64]
    """Of shape ``(microphones, 3)``, in metres."""
    channels: tuple[int, ...]
    """The capture channel of each microphone."""
    input_channels: int
    """Channels that the capture device delivers."""
    loopback: tuple[int, ...] = ()
    """Capture channels that carry what is being played."""
    ring: Ring | None = None
    """Where the board's lights are, if it has a ring of them."""

    @property
    def size(self) -> int:
        """How many microphones there are."""
        return len(self.channels)

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """Distance between each two microphones in metres, of shape ``(microphones, microphones)``."""
        gaps = self.positions[:, None] - self.positions[None]
        return np.asarray(np.linalg.norm(gaps, axis=-1), np.float64)

    @cached_property
    def axis(self) -> float | None:
        """Azimuth of the line that all microphones stand on, in [0, 180), or None where they span a plane.

        A linear array cannot tell front from back: it only knows azimuths on one side of this line.
        """
        flat = self.positions[:, :2] - self.positions[:, :2].mean(0)
        _, strength, directions = np.linalg.svd(flat)
        if self.size > 2 and len(strength) > 1 and strength[1] > 0.1 * strength[0]:
            return None
        return float(np.degrees(np.arctan2(directions[0, 1], directions[0, 0])) % 180)

    def delays(self, azimuths: NDArray[np.float64] | float, elevation: float = 0.0) -> NDArray[np.float64]:
        """Seconds by which a far source's sound reaches each microphone earlier than the centre.

        Returns
        -------
        delays
            Of shape ``(azimuths, microphones)``.
        """
        angles = np.radians(np.atleast_1d(np.asarray(azimuths, float)))
        up = np.radians(elevation)
        towards = np.stack(
            [np.cos(angles) * np.cos(up), np.sin(angles) * np.cos(up), np.full_like(angles, np.sin(up))], -1
        )
        return np.asarray(towards @ self.positions.T / SPEED_OF_SOUND)

    def subset(self, microphones: Sequence[int]) -> Geometry:
        """Return the array that is left when only these microphones are used."""
        keep = list(microphones)
        return Geometry(
            self.name,
            self.title,
            self.source,
            self.positions[keep],
            tuple(self.channels[m] for m in keep),
            self.input_channels,
            self.loopback,
            self.ring,
        )


def linear(name: str, spacing: float, count: int) -> Geometry:
    """Return ``count`` microphones in a row along the x axis, ``spacing`` metres apart."""
    x = (np.arange(count) - (count - 1) / 2) * spacing
    positions = np.stack([x, np.zeros(count), np.zeros(count)], -1)
    return Geometry(name, name, "computed", positions, tuple(range(count)), count)


def available() -> dict[str, Path]:
    """Return the geometries that come with the program: name to file, sorted by name."""
    return {path.stem: path for path in sorted(_folder().glob("*.toml"))}


def load_geometry(name: str | Path) -> Geometry:
    """Read a geometry by its name, or from a TOML file of one's own.

    Raises
    ------
    DragomanError
        There is no such geometry, or the file is not one.
    """
    known = available()
    path = known.get(str(name), Path(name))
    if str(name) not in known and path.suffix != ".toml":
        raise UsageError(f"no array geometry named {name!r}; choose one of {', '.join(known)}, or a .toml file")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DragomanError(f"cannot read the array geometry {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DragomanError(f"{path} is not TOML: {error}") from error
    return parse_geometry(table, path.stem, str(path))


def parse_geometry(table: Mapping[str, Any], name: str, where: str = "array geometry") -> Geometry:
    """Check and return a geometry given as a table (see ``firmware_config/arrays``).

    Raises
    ------
    DragomanError
        Something is missing or wrong; the message says what and in ``where``.
    """
    unknown = set(table) - {"title", "source", "channels", "loopback", "microphones", "ring"}
    if unknown:
        raise DragomanError(f"{where}: unknown key {min(unknown)!r}")
    microphones = table.get("microphones")
    if not isinstance(microphones, list) or not microphones:
        raise DragomanError(f"{where}: needs at least one [[microphones]] table")
    positions, channels = [], []
    for number, microphone in enumerate(microphones, 1):
        position, channel = _microphone(microphone, f"{where}: microphone {number}")
        positions.append(position)
        channels.append(channel)
    loopback = table.get("loopback", [])
    if not isinstance(loopback, list) or not all(_is_channel(c) for c in loopback):
        raise DragomanError(f"{where}: loopback must be a list of channel numbers")
    used = [*channels, *loopback]
    if len(set(used)) < len(used):
        raise DragomanError(f"{where}: a channel is used twice")
    count = table.get("channels", max(used) + 1)
    if not _is_channel(count) or count <= max(used):
        raise DragomanError(f"{where}: channels must be a number above the highest channel, {max(used)}")
    return Geometry(
        name,
        str(table.get("title", name)),
        str(table.get("source", "unknown")),
        np.array(positions, float),
        tuple(channels),
        int(count),
        tuple(loopback),
        _ring(table["ring"], where) if "ring" in table else None,
    )


def _ring(table: object, where: str) -> Ring:
    if not isinstance(table, Mapping) or set(table) != {"first_azimuth", "clockwise"}:
        raise DragomanError(f"{where}: ring needs exactly first_azimuth and clockwise")
    first, clockwise = table["first_azimuth"], table["clockwise"]
    if not isinstance(first, int | float) or isinstance(first, bool) or not isinstance(clockwise, bool):
        raise DragomanError(f"{where}: ring: first_azimuth must be degrees and clockwise true or false")
    return Ring(float(first), clockwise)


def _microphone(table: object, where: str) -> tuple[list[float], int]:
    if not isinstance(table, Mapping) or set(table) != {"channel", "position"}:
        raise DragomanError(f"{where}: needs exactly a channel and a position")
    position, channel = table["position"], table["channel"]
    if not _is_channel(channel):
        raise DragomanError(f"{where}: channel must be a number from 0")
    if (
        not isinstance(position, list)
        or len(position) != 3
        or not all(isinstance(x, int | float) and not isinstance(x, bool) for x in position)
    ):
        raise DragomanError(f"{where}: position must be three numbers in metres")
    if not all(abs(x) <= _LIMIT for x in position):
        raise DragomanError(f"{where}: position {position} is not in metres")
    return [float(x) for x in position], channel


def _is_channel(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _folder() -> Path:
    package = Path(__file__).resolve().parents[2]
    installed = package / "_data" / "firmware_config" / "arrays"
    return installed if installed.is_dir() else package.parent / "firmware_config" / "arrays"
