"""Decoders of recordings: which library reads a file, what its header says, and whether it was cut short.

WAV, AIFF and their like are read by libsndfile, everything compressed by FFmpeg's libraries, which find
their way past damage.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import av
import av.error
import av.logging
import numpy as np
import soundfile
from numpy.typing import NDArray

from device.audio.endings import is_part_of_mp3_frame, is_unfinished_ogg
from device.closing import Closing
from device.errors import DragomanError
from device.wording import counted

Warn = Callable[[str], None]
"""Receives one line about a recording that could be read only in part."""

MultiChannel = NDArray[np.float32]
"""Audio of shape ``(frames, channels)``."""

_RATES = range(1_000, 768_001)
_CHANNELS = range(1, 65)
_DECODED_BLOCK = 0.5
"""Seconds that are decoded at a time."""
_FORMATS = "aac,ac3,adts,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"

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


class Decoder(Closing):
    """An open recording; ``decode`` gives parts of shape ``(frames, channels)`` of any length."""

    info: AudioInfo
    expected: int | None = None
    """Frames that the header promises, where it does."""
    damaged: bool = False
    """Whether ``decode`` met something that it could not decode."""

    def decode(self) -> Iterator[MultiChannel]:
        """Give what is in the file as it is."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
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
        missing = self.expected is not None and frames < self.expected - info.rate // 10
        if (self.damaged or missing) and on_warning is not None:
            read = f"{frames / info.rate:.1f} s"
            if missing and self.expected is not None:
                read = f"only {read} of {self.expected / info.rate:.1f} s"
            on_warning(f"{info.path} is cut short or damaged: {read} could be read")


class _SoundFile(Decoder):
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


class _Container(Decoder):
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
        last = b""
        try:
            for packet in self._container.demux(self._stream):
                last = bytes(packet) or last
                yield packet
        except av.error.FFmpegError:
            self.damaged = True
        if self.info.codec.startswith("mp3") and is_part_of_mp3_frame(last):
            self.damaged = True
        if is_unfinished_ogg(self._file):
            self.damaged = True

    def close(self) -> None:
        self._container.close()
        self._file.close()


def open_recording(path: Path) -> Decoder:
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
        rate = counted(info.rate, "sample")
        raise DragomanError(f"{info.path} says that it has {rate} a second: its header is damaged")
    if info.channels not in _CHANNELS:
        raise DragomanError(f"{info.path} says that it has {counted(info.channels, 'channel')}: its header is damaged")


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
