"""Reading recordings of any kind, and writing WAV files that are whole at every moment.

WAV, AIFF and their like are read by libsndfile, everything compressed by FFmpeg's libraries, which find
their way past damage. Both stream: a recording of three hours takes no more memory than one of three
seconds.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import av
import av.error
import av.logging
import numpy as np
import soundfile
from numpy.typing import NDArray

from device.audio.resample import Resampler
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples

Warn = Callable[[str], None]
"""Receives one line about a recording that could be read only in part."""

MultiChannel = NDArray[np.float32]
"""Audio of shape ``(frames, channels)``."""

_RATES = range(1_000, 768_001)
_CHANNELS = range(1, 65)
_DECODED_BLOCK = 0.5
"""Seconds that are decoded at a time."""
_FORMATS = "aac,ac3,adts,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_WAV_LIMIT = 0xFFFF_FFFF - _WAV_HEADER.size
"""Most bytes of samples: a WAV file's sizes have 32 bits."""

av.logging.set_level(None)


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a recording's header says."""

    path: Path
    duration: float | None
    """Seconds, where the format tells them before everything is decoded."""
    rate: int
    channels: int
    codec: str


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Tell what kind of recording a file is, without decoding it.

    Raises
    ------
    DragomanError
        The file is missing, not readable, not a recording, or its header cannot be true.
    """
    with _open(Path(path)) as decoder:
        return decoder.info


def read_multichannel(
    path: str | os.PathLike[str], block: float = 0.032, on_warning: Warn | None = None
) -> Iterator[MultiChannel]:
    """Read a recording as blocks of shape ``(frames, channels)`` at its own sample rate.

    Parameters
    ----------
    path
        The recording.
    block
        Seconds of a block; the last one is shorter.
    on_warning
        Told, in one line, when the recording ends before its header says. What could be read is given all
        the same.

    Raises
    ------
    DragomanError
        Nothing could be read from the file; the message says why.
    """
    with _open(Path(path)) as decoder:
        frames = max(1, round(block * decoder.info.rate))
        yield from _cut(decoder.read(on_warning), frames)


def read_blocks(
    path: str | os.PathLike[str],
    block: float = 0.032,
    channel: int | None = None,
    on_warning: Warn | None = None,
) -> Iterator[Samples]:
    """Read a recording as blocks of 16 kHz mono samples in [-1, 1].

    Parameters
    ----------
    path, block, on_warning
        As for `read_multichannel`.
    channel
        The only channel to listen to, counted from 0; by default the mean of all channels.

    Raises
    ------
    DragomanError
        Nothing could be read from the file, or it has no such channel.
    """
    with _open(Path(path)) as decoder:
        info = decoder.info
        if channel is not None and not 0 <= channel < info.channels:
            raise DragomanError(f"{path} has no channel {channel}: its channels are 0 to {info.channels - 1}")
        resampler = Resampler(info.rate, SAMPLE_RATE)

        def mono() -> Iterator[Samples]:
            for part in decoder.read(on_warning):
                mixed = part.mean(axis=1) if channel is None else part[:, channel]
                yield np.clip(resampler.process(mixed), -1.0, 1.0)
            yield np.clip(resampler.flush(), -1.0, 1.0)

        yield from _cut(mono(), max(1, round(block * SAMPLE_RATE)))


def _cut(parts: Iterator[NDArray[np.float32]], frames: int) -> Iterator[NDArray[np.float32]]:
    """Cut a stream of parts of any length into blocks of ``frames``, the last one shorter."""
    rest: NDArray[np.float32] | None = None
    for part in parts:
        joined = part if rest is None or not len(rest) else np.concatenate([rest, part])
        whole = len(joined) - len(joined) % frames
        for at in range(0, whole, frames):
            yield joined[at : at + frames]
        rest = joined[whole:]
    if rest is not None and len(rest):
        yield rest


class _Decoder:
    """An open recording; ``decode`` gives parts of shape ``(frames, channels)`` of any length."""

    info: AudioInfo
    expected: int | None = None
    """Frames that the header promises, where it does."""
    damaged: bool = False
    """Whether ``decode`` met something that it could not decode."""

    def decode(self) -> Iterator[MultiChannel]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def read(self, on_warning: Warn | None) -> Iterator[MultiChannel]:
        """Give what can be decoded, made finite and bounded; refuse a recording without a single sample."""
        frames = 0
        for part in self.decode():
            frames += len(part)
            yield np.clip(np.nan_to_num(part, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
        info = self.info
        if frames == 0:
            lost = self.damaged or self.expected
            what = "is damaged: no sample of it can be read" if lost else "holds no audio"
            raise DragomanError(f"{info.path} {what}")
        # A tenth of a second is allowed for the padding that lossy formats count differently.
        if self.damaged or (self.expected is not None and frames < self.expected - info.rate // 10):
            read = frames / info.rate
            promised = f" of {self.expected / info.rate:.1f} s" if self.expected else ""
            if on_warning is not None:
                on_warning(f"{info.path} is cut short or damaged: only {read:.1f} s{promised} could be read")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _SoundFile(_Decoder):
    """A recording that libsndfile reads."""

    def __init__(self, path: Path, promised_bytes: int | None) -> None:
        self._file = soundfile.SoundFile(os.fsencode(path))
        file = self._file
        self.info = AudioInfo(
            path, None, file.samplerate, file.channels, f"{file.format.lower()} {file.subtype.lower()}"
        )
        try:
            _check(self.info)
        except DragomanError:
            file.close()
            raise
        self.expected = file.frames
        if promised_bytes is not None and (held := path.stat().st_size) and file.frames:
            # libsndfile mends the length of a file that was cut; the header still tells what was recorded.
            self.expected = max(file.frames, round(file.frames * promised_bytes / held))
        self.info = AudioInfo(path, file.frames / file.samplerate, file.samplerate, file.channels, self.info.codec)

    def decode(self) -> Iterator[MultiChannel]:
        frames = max(1, round(self.info.rate * _DECODED_BLOCK))
        try:
            while len(part := self._file.read(frames, dtype="float32", always_2d=True)):
                yield part
        except soundfile.SoundFileError:
            self.damaged = True

    def close(self) -> None:
        self._file.close()


class _Container(_Decoder):
    """A recording that FFmpeg's libraries read."""

    def __init__(self, path: Path) -> None:
        # Opened as a file object and with named formats, so that no playlist or address in it is followed.
        self._file: IO[bytes] = path.open("rb")
        try:
            self._container: Any = av.open(self._file, options={"format_whitelist": _FORMATS})
        except BaseException:
            self._file.close()
            raise
        try:
            if not self._container.streams.audio:
                raise DragomanError(f"{path} holds no audio")
            self._stream = self._container.streams.audio[0]
            context = self._stream.codec_context
            if context is None:
                raise DragomanError(f"{path} is in a format that is not known here")
            # Kept, because the decoder's own follows the recording.
            self._layout = av.AudioLayout(context.layout.name) if context.layout.nb_channels else None
            duration = self._duration()
            self.info = AudioInfo(path, duration, context.sample_rate or 0, context.channels or 0, context.name)
            _check(self.info)
            if duration is not None:
                self.expected = round(duration * self.info.rate)
        except BaseException:
            self.close()
            raise

    def _duration(self) -> float | None:
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._container.duration is None else self._container.duration / av.time_base

    def decode(self) -> Iterator[MultiChannel]:
        convert = self._converter()
        kind = None
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self.damaged = True
                continue
            for frame in frames:
                # Recordings joined end to end may change rate or channels on the way.
                if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
                    convert = self._converter()
                for packed in convert.resample(frame):
                    yield packed.to_ndarray().reshape(-1, self.info.channels)

    def _converter(self) -> Any:
        """Return what makes interleaved floats of frames, with the rate and the channels that the header tells.

        Not planar ones: PyAV 18 reads past the end of planar frames that have more than eight channels.
        """
        return av.AudioResampler(format="flt", layout=self._layout, rate=self.info.rate)

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except av.error.FFmpegError:
            self.damaged = True

    def close(self) -> None:
        self._container.close()
        self._file.close()


def _open(path: Path) -> _Decoder:
    """Open a recording with whichever library reads it, or say in one line why none does."""
    head = _head(path)
    if head[:4] in {b"RIFF", b"RF64", b"RIFX", b"FORM", b".snd", b"caff", b"riff"}:
        with contextlib.suppress(soundfile.SoundFileError):
            return _SoundFile(path, _promised_bytes(head))
    try:
        return _Container(path)
    except (av.error.FFmpegError, ValueError):
        raise DragomanError(f"{path} is not a recording that can be read ({_why(head)})") from None


def _head(path: Path) -> bytes:
    """Return the first bytes of a recording, or raise what is wrong with the file itself."""
    try:
        if path.is_dir():
            raise DragomanError(f"{path} is a directory, not a recording: name the files in it")
        if path.exists() and not path.is_file():
            raise DragomanError(f"{path} is not a regular file: save the audio to a file first")
        with path.open("rb") as file:
            head = file.read(4096)
    except FileNotFoundError:
        raise DragomanError(f"{path}: no such file") from None
    except OSError as error:
        raise DragomanError(f"{path} cannot be read: {error.strerror}") from None
    if not head:
        raise DragomanError(f"{path} is empty (0 bytes)")
    return head


def _promised_bytes(head: bytes) -> int | None:
    """Return how long a WAV or AIFF file says that it is; streams say 0 or all ones, which is no promise."""
    if head[:4] not in {b"RIFF", b"FORM"} or len(head) < 8:
        return None
    size = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big") + 8
    return size if 8 < size < 0x7FFF_0000 else None


def _check(info: AudioInfo) -> None:
    if info.rate not in _RATES:
        raise DragomanError(f"{info.path} says that it has {info.rate} samples a second: its header is damaged")
    if info.channels not in _CHANNELS:
        raise DragomanError(f"{info.path} says that it has {info.channels} channels: its header is damaged")


def _why(head: bytes) -> str:
    with contextlib.suppress(UnicodeDecodeError):
        # A character may be cut at the end of what was read.
        if head[: len(head) - 3].decode("utf-8").isprintable() or all(c in b"\t\n\r" or c >= 32 for c in head):
            return "it is text"
    if head[:4] in {b"RIFF", b"FORM", b"fLaC", b"OggS"}:
        return "its header is damaged or incomplete"
    if head[4:8] == b"ftyp":
        return "its index is missing: the end of the file was cut off"
    return "it has no header of a known audio format; raw samples must first be wrapped as WAV"


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
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _cannot_write(path, error) from None


class WavWriter:
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
        self.path = Path(path)
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
            raise DragomanError(f"{self.path} is full: a WAV file holds at most 4 GiB")
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
            raise _cannot_write(self.path, error) from None

    def _write_header(self) -> None:
        self._file.seek(0)
        _write_all(self._file, _wav_header(self.rate or SAMPLE_RATE, 1, self._bytes))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _write_all(file: IO[bytes], data: bytes) -> None:
    """Write every byte; an unbuffered file may take only a part of them at a time."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _cannot_write(path: str | os.PathLike[str], error: OSError) -> DragomanError:
    return DragomanError(f"{path} cannot be written: {error.strerror or error}")
