"""Speech in the formats that Azure's programs ask for by name, written piece by piece.

PCM, A-law and µ-law are written here; MP3, Opus, FLAC and G.722 by the encoders that PyAV carries.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

import av
import numpy as np

from device.audio.resample import Resampler
from device.audio.wav import to_pcm16
from device.errors import DragomanError
from device.events import Samples
from device.server.wave import wave_header

DEFAULT: Final = "riff-24khz-16bit-mono-pcm"


class OutputFormatError(DragomanError):
    """A format that cannot be written; the message lists those that can."""


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """One format.

    Attributes
    ----------
    name
        As Azure names it.
    rate
        Sample rate in Hz.
    codec, container
        Of PyAV; ``codec`` is ``pcm``, ``alaw`` or ``mulaw`` where samples are written as they are.
    riff
        Whether a WAVE header comes first.
    bitrate
        Bits a second; 0 leaves it to the encoder.
    media_type
        For ``Content-Type``.
    """

    name: str
    rate: int
    codec: str
    container: str = ""
    riff: bool = False
    bitrate: int = 0
    media_type: str = "audio/basic"


def _formats() -> dict[str, OutputFormat]:
    found = []
    for rate, text in ((8000, "8khz"), (16000, "16khz"), (22050, "22050hz"), (24000, "24khz"), (44100, "44100hz"),
                       (48000, "48khz")):  # fmt: skip
        found.append(OutputFormat(f"raw-{text}-16bit-mono-pcm", rate, "pcm"))
        found.append(OutputFormat(f"riff-{text}-16bit-mono-pcm", rate, "pcm", riff=True, media_type="audio/x-wav"))
    for law in ("alaw", "mulaw"):
        found.append(OutputFormat(f"raw-8khz-8bit-mono-{law}", 8000, law))
        found.append(OutputFormat(f"riff-8khz-8bit-mono-{law}", 8000, law, riff=True, media_type="audio/x-wav"))
    for khz, rates in ((16, (32, 64, 128)), (24, (48, 96, 160)), (48, (96, 192))):
        found += [
            OutputFormat(
                f"audio-{khz}khz-{kbit}kbitrate-mono-mp3", khz * 1000, "libmp3lame", "mp3", bitrate=kbit * 1000,
                media_type="audio/mpeg",
            )
            for kbit in rates
        ]  # fmt: skip
    ogg = "audio/ogg; codecs=opus"
    found += [
        OutputFormat(f"ogg-{khz}khz-16bit-mono-opus", khz * 1000, "libopus", "ogg", media_type=ogg)
        for khz in (16, 24, 48)
    ]
    found += [
        OutputFormat(f"audio-{khz}khz-16bit-{kbit}kbps-mono-opus", khz * 1000, "libopus", "ogg", bitrate=kbit * 1000,
                     media_type=ogg)
        for khz, kbit in ((16, 32), (24, 24), (24, 48))
    ]  # fmt: skip
    webm = "audio/webm; codecs=opus"
    found += [
        OutputFormat(f"webm-{khz}khz-16bit-mono-opus", khz * 1000, "libopus", "webm", media_type=webm)
        for khz in (16, 24)
    ]
    found.append(
        OutputFormat("webm-24khz-16bit-24kbps-mono-opus", 24000, "libopus", "webm", bitrate=24000, media_type=webm)
    )
    found += [
        OutputFormat(f"audio-{khz}khz-16bit-mono-flac", khz * 1000, "flac", "flac", media_type="audio/flac")
        for khz in (24, 48)
    ]
    found.append(OutputFormat("g722-16khz-64kbps", 16000, "g722", "g722", media_type="audio/G722"))
    return {item.name: item for item in found}


FORMATS: Final = _formats()


def output_format(name: str) -> OutputFormat:
    """Return the format of that name.

    Raises
    ------
    OutputFormatError
        There is none, or no encoder of it.
    """
    found = FORMATS.get(name.strip().lower())
    if found is None:
        raise OutputFormatError(f"audio cannot be written as {name[:60]!r}; formats: {', '.join(FORMATS)}")
    return found


class Encoder:
    """Writes one stream.

    Parameters
    ----------
    wanted
        The format.
    size
        Samples that will come, where that is known: a WAVE header then tells its true length.
    """

    def __init__(self, wanted: OutputFormat, size: int | None = None) -> None:
        self.format = wanted
        self._resampler: Resampler | None = None
        self._rate = 0
        self._sink = _Sink()
        self._container: Any = None
        self._pts = 0
        if wanted.container:
            options = {"write_xing": "0", "id3v2_version": "0"} if wanted.container == "mp3" else {}
            if wanted.container == "webm":
                options = {"live": "1"}
            self._container = av.open(self._sink, "w", format=wanted.container, options=options)
            self._stream = self._container.add_stream(wanted.codec, rate=wanted.rate)
            self._stream.layout = "mono"
            if wanted.bitrate:
                self._stream.bit_rate = wanted.bitrate
        elif wanted.riff:
            kind, bits = {"pcm": (1, 16), "alaw": (6, 8), "mulaw": (7, 8)}[wanted.codec]
            length = 0 if size is None else size * bits // 8
            self._sink.write(wave_header(wanted.rate, length, kind=kind, bits=bits))

    def encode(self, samples: Samples, rate: int) -> bytes:
        """Return the bytes that are ready after ``samples`` at ``rate``; the rate may change between calls."""
        if self._resampler is None or rate != self._rate:
            if self._resampler is not None:
                self._write(self._resampler.flush())
            self._resampler, self._rate = Resampler(rate, self.format.rate), rate
        self._write(self._resampler.process(samples))
        return self._sink.take()

    def finish(self) -> bytes:
        """Return the last bytes."""
        if self._resampler is not None:
            self._write(self._resampler.flush())
        if self._container is not None:
            for packet in self._stream.encode(None):
                self._container.mux(packet)
            self._container.close()
        return self._sink.take()

    def _write(self, samples: Samples) -> None:
        if not len(samples):
            return
        if self._container is None:
            self._sink.write(_plain(self.format.codec, samples))
            return
        pcm = np.frombuffer(to_pcm16(samples), np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.pts = self.format.rate, self._pts
        self._pts += len(samples)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


class _Sink(io.RawIOBase):
    """Collects what a muxer writes; it cannot be sought in, so that nothing is written twice."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Return true."""
        return True

    def write(self, data: Any) -> int:
        """Keep ``data``."""
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data, self._parts = b"".join(self._parts), []
        return data


def _plain(codec: str, samples: Samples) -> bytes:
    if codec == "pcm":
        return to_pcm16(samples)
    value = np.clip(np.round(samples.astype(np.float64) * 32767), -32768, 32767).astype(np.int32)
    return _alaw(value) if codec == "alaw" else _mulaw(value)


def _mulaw(value: np.ndarray[Any, np.dtype[np.int32]]) -> bytes:
    """Encode 16-bit values (ITU-T G.711)."""
    size = np.minimum(np.abs(value), 32635) + 132
    exponent = np.floor(np.log2(size)).astype(np.int32) - 7
    code = (exponent << 4) | ((size >> (exponent + 3)) & 15)
    return bytes((~(code | np.where(value < 0, 0x80, 0)) & 0xFF).astype(np.uint8))


def _alaw(value: np.ndarray[Any, np.dtype[np.int32]]) -> bytes:
    """Encode 16-bit values (ITU-T G.711)."""
    size = np.minimum(np.where(value < 0, -value - 1, value), 32767)
    exponent = np.maximum(np.floor(np.log2(np.maximum(size, 1))).astype(np.int32) - 7, 0)
    mantissa = np.where(exponent == 0, size >> 4, size >> (exponent + 3)) & 15
    code = (exponent << 4) | mantissa | np.where(value < 0, 0, 0x80)
    return bytes(((code ^ 0x55) & 0xFF).astype(np.uint8))
