"""Audio as it arrives on a socket: a RIFF header whose sizes mean nothing, then samples; and audio as it leaves.

RIFF chunks are told in "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np

from device.audio.resample import Resampler
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples

LONGEST_HEADER = 4096
_COMPRESSED = frozenset({b"OggS", b"#!SI", b"fLaC", b"\x1aE\xdf\xa3"})
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE


class AudioFormatError(DragomanError):
    """Audio that cannot be understood, in one line for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Format:
    """How samples are written: ``kind`` is WAVE's format tag, ``bits`` of one sample of one channel."""

    kind: int = _PCM
    channels: int = 1
    rate: int = SAMPLE_RATE
    bits: int = 16

    def __post_init__(self) -> None:
        known = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64), _ALAW: (8,), _MULAW: (8,)}
        if self.kind not in known:
            raise AudioFormatError(f"WAVE format {self.kind} is not understood; send PCM")
        if self.bits not in known[self.kind]:
            raise AudioFormatError(f"samples of {self.bits} bits are not understood; send 16")
        if not 1 <= self.channels <= 8:
            raise AudioFormatError(f"{self.channels} channels are not understood; send 1 to 8")
        if not 8000 <= self.rate <= 192_000:
            raise AudioFormatError(f"a sample rate of {self.rate} Hz is not understood; send 8000 to 192000")

    @property
    def frame(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8

    def decode(self, data: bytes) -> Samples:
        """Return whole frames as mono float32, the mean of the channels."""
        if self.kind == _FLOAT:
            values = np.nan_to_num(np.frombuffer(data, f"<f{self.bits // 8}")).astype(np.float32).clip(-1, 1)
        elif self.kind in {_ALAW, _MULAW}:
            table = _ALAW_TABLE if self.kind == _ALAW else _MULAW_TABLE
            values = table[np.frombuffer(data, np.uint8)]
        elif self.bits == 8:
            values = np.frombuffer(data, np.uint8).astype(np.float32) / 128 - 1
        elif self.bits == 24:
            raw = np.frombuffer(data, np.uint8).reshape(-1, 3)
            wide = np.zeros((len(raw), 4), np.uint8)
            wide[:, 1:] = raw
            values = wide.view("<i4").reshape(-1).astype(np.float32) / 2**31
        else:
            values = np.frombuffer(data, f"<i{self.bits // 8}").astype(np.float32) / 2 ** (self.bits - 1)
        if self.channels > 1:
            values = values.reshape(-1, self.channels).mean(axis=1)
        return np.asarray(values, np.float32)


def _alaw_table() -> Samples:
    """Return the value of every A-law byte (ITU-T G.711)."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = np.where(exponent == 0, mantissa * 2 + 1, (mantissa * 2 + 33) << np.maximum(exponent - 1, 0)) / 4096
    return np.where(code & 0x80, size, -size).astype(np.float32)


def _mulaw_table() -> Samples:
    """Return the value of every µ-law byte (ITU-T G.711)."""
    code = ~np.arange(256) & 0xFF
    size = (((code & 15) * 2 + 33) << ((code >> 4) & 7)) - 33
    return (np.where(code & 0x80, -size, size) / 8192).astype(np.float32)


_ALAW_TABLE, _MULAW_TABLE = _alaw_table(), _mulaw_table()


class WaveStream:
    """Turns the bytes of a streamed WAVE file into 16 kHz mono samples, chunk by chunk.

    Parameters
    ----------
    headerless
        The format of bytes that begin with no RIFF header; ``None`` refuses them.

    Raises
    ------
    AudioFormatError
        From `feed`: the header is none, or asks for what cannot be done.
    """

    def __init__(self, headerless: Format | None = None) -> None:
        self._headerless = headerless
        self._head = b""
        self._rest = b""
        self.format: Format | None = None
        self._resampler: Resampler | None = None
        self._doubted = False

    def feed(self, data: bytes) -> Samples:
        """Return the samples that ``data`` completes."""
        if self.format is None:
            self._head += data
            parsed = _parse_header(self._head)
            if parsed is None:
                if not self._head or b"RIFF".startswith(self._head[:4]):
                    return np.zeros(0, np.float32)
                if self._headerless is None:
                    raise AudioFormatError("audio begins with a WAVE header")
                parsed = self._headerless, 0
            self.format, start = parsed
            data, self._head = self._head[start:], b""
            self._doubted = (self.format.kind, self.format.bits) == (_PCM, 32)
            self._resampler = Resampler(self.format.rate, SAMPLE_RATE)
        assert self._resampler is not None
        data = self._rest + data
        whole = len(data) // self.format.frame * self.format.frame
        self._rest = data[whole:]
        if self._doubted and any(data[:whole]):
            self._doubted = False
            if _are_floats(data[:whole]):
                self.format = replace(self.format, kind=_FLOAT)
        return self._resampler.process(self.format.decode(data[:whole]))

    def flush(self) -> Samples:
        """Return the end of the stream."""
        return np.zeros(0, np.float32) if self._resampler is None else self._resampler.flush()

    @property
    def empty(self) -> bool:
        """Whether no header has come yet."""
        return self.format is None


def _are_floats(data: bytes) -> bool:
    """Whether 32-bit samples are floats, though the header says integers.

    The JavaScript SDK writes that header before the floats of a file. Integers read as floats are out of range, or
    no numbers, as soon as one of them is negative.
    """
    with np.errstate(invalid="ignore"):
        values = np.abs(np.frombuffer(data, "<f4"))
    return bool(np.all(values <= 1.5)) and bool(np.any(values > 1e-6))


def _format_chunk(chunk: bytes) -> Format:
    if len(chunk) < 16:
        raise AudioFormatError("the WAVE header's format is cut short")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        kind = int.from_bytes(chunk[24:26], "little")
    return Format(kind, channels, rate, bits)


def _parse_header(head: bytes) -> tuple[Format, int] | None:
    """Return the format and where the samples begin; ``None`` while more bytes are needed or there is no RIFF."""
    if head[:4] in _COMPRESSED:
        raise AudioFormatError("compressed audio is not understood here; send PCM with a WAVE header")
    if not head.startswith(b"RIFF"):
        return None
    if len(head) >= 12 and head[8:12] != b"WAVE":
        raise AudioFormatError("the RIFF header is not that of a WAVE file")
    found, at = None, 12
    while len(head) >= at + 8:
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        at += 8
        if name == b"data":
            if found is None:
                raise AudioFormatError("the WAVE header tells no format before its samples")
            return found, at
        if size > LONGEST_HEADER:
            break
        if name == b"fmt " and len(head) >= at + size:
            found = _format_chunk(head[at : at + size])
        at += size + size % 2
    if len(head) > LONGEST_HEADER or at > LONGEST_HEADER:
        raise AudioFormatError("the WAVE header holds no samples")
    return None


def wave_header(rate: int, size: int = 0, *, kind: int = _PCM, bits: int = 16) -> bytes:
    """Return the 44 bytes before mono samples of ``size`` bytes; 0 is written where the size is not known yet."""
    width = bits // 8
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, 1, rate, rate * width, width, bits)
    return struct.pack("<4sI4s", b"RIFF", 36 + size if size else 0, b"WAVE") + fmt + struct.pack("<4sI", b"data", size)
