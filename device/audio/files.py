"""Reading recordings of any kind. Reading streams: three hours take no more memory than three seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.audio.decoding import AudioInfo, MultiChannel, Warn, open_recording
from device.audio.downmix import Downmix
from device.audio.resample import Resampler
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Tell what kind of recording a file is, without decoding it.

    Raises
    ------
    DragomanError
        The file is missing, not readable, not a recording, or its header cannot be true.
    """
    with open_recording(Path(path)) as decoder:
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
    with open_recording(Path(path)) as decoder:
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
        The only channel to listen to, counted from 0; by default the mean of all channels, those that run against
        the loudest turned round.

    Raises
    ------
    DragomanError
        Nothing could be read from the file, or it has no such channel.
    """
    with open_recording(Path(path)) as decoder:
        info = decoder.info
        if channel is not None and not 0 <= channel < info.channels:
            raise DragomanError(f"{path} has no channel {channel}: its channels are 0 to {info.channels - 1}")
        resampler = Resampler(info.rate, SAMPLE_RATE)
        downmix = Downmix(info.channels, info.rate)

        def mono() -> Iterator[Samples]:
            for part in decoder.read(on_warning):
                mixed = downmix.mix(part) if channel is None else part[:, channel]
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
