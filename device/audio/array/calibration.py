"""Corrections of the differences between an array's channels, measured once and kept in a file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.audio.array.stft import FREQUENCIES
from device.errors import DragomanError
from device.modelstore.files import write_atomically
from device.wording import counted


@dataclass(frozen=True)
class Calibration:
    """What to do to each microphone so that all are alike; in the order of the geometry's microphones."""

    geometry: str
    gains: tuple[float, ...]
    """Factors, negative where the polarity is inverted."""
    delays: tuple[float, ...]
    """Seconds by which each microphone's signal comes late."""
    dead: tuple[int, ...] = ()
    """Microphones that must not be used."""

    def correction(self, size: int) -> NDArray[np.complex64]:
        """Return the factors for spectra, of shape ``(microphones, bins)``.

        Raises
        ------
        DragomanError
            It was measured for another number of microphones.
        """
        if len(self.gains) != size or len(self.delays) != size:
            raise DragomanError(
                f"the calibration is for {counted(len(self.gains), 'microphone')}, but the array has {size}; "
                "run `dragoman devices calibrate` again"
            )
        turn = np.exp(2j * np.pi * np.outer(self.delays, FREQUENCIES))
        return np.asarray(np.array(self.gains)[:, None] * turn, np.complex64)

    def save(self, path: Path) -> None:
        """Write the file; its folder is made where it is missing.

        Raises
        ------
        DragomanError
            It cannot be written.
        """
        lines = [
            "# Written by `dragoman devices calibrate`; in the order of the geometry's microphones.",
            f'geometry = "{self.geometry}"',
            f"gains = [{', '.join(f'{gain:.5f}' for gain in self.gains)}]",
            f"delays = [{', '.join(f'{delay:.9f}' for delay in self.delays)}]",
            f"dead = [{', '.join(str(microphone) for microphone in self.dead)}]",
        ]
        data = ("\n".join(lines) + "\n").encode()
        try:
            if path.exists() and not path.is_file():
                path.write_bytes(data)  # /dev/null must not be replaced by a file
            else:
                write_atomically(path.resolve(), data)
        except OSError as error:
            raise DragomanError(f"{path} cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read the file.

        Raises
        ------
        DragomanError
            It cannot be read, or is no calibration.
        """
        try:
            table = tomllib.loads(path.read_text("utf-8"))
            found = cls(
                str(table["geometry"]),
                tuple(float(gain) for gain in table["gains"]),
                tuple(float(delay) for delay in table["delays"]),
                tuple(int(microphone) for microphone in table.get("dead", [])),
            )
        except OSError as error:
            raise DragomanError(f"cannot read the calibration {path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DragomanError(f"{path} is not a calibration; run `dragoman devices calibrate` again") from error
        if not np.all(np.isfinite([*found.gains, *found.delays])):
            raise DragomanError(f"{path} has values that are not finite; run `dragoman devices calibrate` again")
        return found
