"""Writing WAV files that are whole at every moment."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from device.audio.resample import Resampler
from device.closing import Closing
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples

_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_WAV_LIMIT = 0xFFFF_FFFF - _WAV_HEADER.size
"""Most bytes of samples: a WAV file's sizes have 32 bits."""


def to_pcm16(samples: NDArray[np.float32]) -> bytes:
    """Return float samples as little-endian 16-bit PCM, clipped, with anything not finite as silence."""
    finite = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    pcm: bytes = np.rint(np.clip(finite, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
    return pcm


def _wav_header(rate: int, channels: int, data_bytes: int) -> bytes:
    width = 2 * channels
    return _WAV_HEADER.pack(
        b"RIFF", data_bytes + _WAV_HEADER.size - 8, b"WAVE",
        b"fmt ", 16, 1, channels, rate, rate * width, width, 16,
        b"data", data_bytes,
    )  # fmt: skip


def write_wav(path: str | os.PathLike[str], samples: NDArray[np.float32], rate: int) -> None:
    """Write 16-bit WAV atomically: the file is there whole, or as it was before.

    Parameters
    ----------
    path
        Where to; an existing file is replaced.
    samples
        Shape ``(frames,)`` or ``(frames, channels)``.
    rate
        Samples a second.

    Raises
    ------
    DragomanError
        The file cannot be written there, or the disk is full.
    """
    target = Path(path).resolve()
    data = to_pcm16(samples)
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    if len(data) > _WAV_LIMIT:
        raise DragomanError(f"{path} cannot be written: a WAV file holds at most 4 GiB")
    whole = _wav_header(rate, channels, len(data)) + data
    if target.exists() and not target.is_file():
        # /dev/null, a pipe: such a thing must not be replaced by a file.
        try:
            target.write_bytes(whole)
        except OSError as error:
            raise _cannot_write(path, error) from None
        return
    partial = _beside(target)
    try:
        with partial.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _cannot_write(path, error) from None


class WavWriter(Closing):
    """A WAV file that grows and is valid after every ``append``: mono, 16 bits.

    The samples are written first and the sizes in the header after them, so whenever the program dies, or
    the disk fills, everything that was appended before can be played.

    Parameters
    ----------
    path
        Where to; an existing file is replaced by the first append, and kept if there is none.
    rate
        Samples a second; by default those of the first append. Anything else is resampled to it.

    Raises
    ------
    DragomanError
        The file cannot be written there.
    """

    def __init__(self, path: str | os.PathLike[str], rate: int | None = None) -> None:
        self.path = self._named = Path(path)
        self.rate = rate
        self._bytes = 0
        self._kept = self.path.exists()
        try:
            self._file: IO[bytes] = self.path.open("r+b" if self._kept else "w+b", buffering=0)
            if not self._kept or not self.path.is_file():
                self._write_header()
        except OSError as error:
            raise _cannot_write(path, error) from None

    @property
    def duration(self) -> float:
        """Seconds written so far."""
        return self._bytes / 2 / self.rate if self.rate else 0.0

    def append(self, samples: Samples, rate: int) -> None:
        """Add mono samples; on return they are in the file and the file is valid.

        Raises
        ------
        DragomanError
            The disk is full, or the file would exceed 4 GiB. The file holds what it held before.
        """
        if self.rate is None:
            self.rate = rate
        if rate != self.rate:
            resampler = Resampler(rate, self.rate)
            samples = np.concatenate([resampler.process(samples), resampler.flush()])
        data = to_pcm16(samples)
        if self._bytes + len(data) > _WAV_LIMIT:
            raise DragomanError(f"{self._named} is full: a WAV file holds at most 4 GiB")
        end = _WAV_HEADER.size + self._bytes
        try:
            if self._kept and self.path.is_file():
                self._file.truncate(0)
            self._kept = False
            self._file.seek(end)
            _write_all(self._file, data)
            self._bytes += len(data)
            self._write_header()
        except OSError as error:
            self._bytes = end - _WAV_HEADER.size
            with contextlib.suppress(OSError):
                self._file.truncate(end)
                self._write_header()
            raise _cannot_write(self._named, error) from None

    def _write_header(self) -> None:
        self._file.seek(0)
        _write_all(self._file, _wav_header(self.rate or SAMPLE_RATE, 1, self._bytes))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()


class WholeWavWriter(WavWriter):
    """A `WavWriter` for a ``with`` block: the file has its name once the block ended well.

    Until then it grows beside it, hidden; what a killed program left there is removed. Where the block fails or is
    interrupted, or `append` ever failed, nothing of it is left, and an older file of that name is as it was, as it
    also is when nothing was appended. What is no regular file (``/dev/null``, a pipe) is written in place.
    """

    def __init__(self, path: str | os.PathLike[str], rate: int | None = None) -> None:
        target = Path(path)
        self._target: Path | None = None
        if target.exists() and not target.is_file():
            super().__init__(target, rate)
            return
        self._target = target.resolve()
        partial = _beside(self._target)
        try:
            if self._target.exists():
                self._target.open("r+b").close()
            super().__init__(partial, rate)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except (OSError, DragomanError) as error:
            cause = error if isinstance(error, OSError) else error.__context__
            assert isinstance(cause, OSError)
            raise _cannot_write(path, cause) from None
        self._named = target
        self._failed = False

    def append(self, samples: Samples, rate: int) -> None:
        """Add mono samples (see `WavWriter.append`); after a failure the file never gets its name."""
        try:
            super().append(samples, rate)
        except DragomanError:
            self._failed = True
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._target is None:
            self.close()
            return
        try:
            if kind is None and not self._failed and (self.duration or not self._target.exists()):
                os.fsync(self._file.fileno())
                if self._target.exists():
                    self.path.chmod(self._target.stat().st_mode)
                self.path.replace(self._target)
        except OSError as failure:
            raise _cannot_write(self._named, failure) from None
        finally:
            self.close()
            self.path.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    """Return where a file grows until it gets its name, and remove what programs left there that were killed.

    Whoever writes such a file keeps it locked.
    """
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


def _write_all(file: IO[bytes], data: bytes) -> None:
    """Write every byte; an unbuffered file may take only a part of them at a time."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _cannot_write(path: str | os.PathLike[str], error: OSError) -> DragomanError:
    return DragomanError(f"{path} cannot be written: {error.strerror or error}")
