"""Whole recordings: decoded from any format PyAV reads, and transcribed channel by channel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from device.audio.decoding import AudioInfo
from device.audio.files import probe, read_blocks
from device.config import Profanity
from device.engines.scheduler import Priority
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Error, Event, Final, Samples, SpokenWord
from device.server.errors import HttpError
from device.server.service import Conversation, Service

BLOCK = 0.5
"""Seconds that are fed at once."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in one channel of a recording, and how many seconds it lasted."""

    finals: tuple[Final, ...]
    duration: float


class Recording:
    """A recording on disk.

    Parameters
    ----------
    path
        The file; its own name is in no message.
    longest
        Seconds that it may last.

    Raises
    ------
    HttpError
        It is no audio, or lasts longer.
    """

    def __init__(self, path: Path, longest: float) -> None:
        self.path, self._longest = path, longest
        try:
            self.info: AudioInfo = probe(path)
        except DragomanError as error:
            raise self._unreadable(error) from None
        self._check(self.info.duration or 0.0)

    def check_channel(self, number: int) -> None:
        """Refuse a channel that is not there.

        Raises
        ------
        HttpError
            The recording has fewer channels.
        """
        if not 0 <= number < self.info.channels:
            raise HttpError(400, f"there is no channel {number}: the recording has {self.info.channels}")

    def blocks(self, channel: int | None) -> Iterator[Samples]:
        """Yield one channel, or the mean of all, as 16 kHz mono.

        Raises
        ------
        HttpError
            It cannot be decoded, or is longer than allowed.
        """
        heard = 0.0
        try:
            for block in read_blocks(self.path, BLOCK, channel):
                heard += len(block) / 16_000
                self._check(heard)
                yield block
        except HttpError:
            raise
        except DragomanError as error:
            raise self._unreadable(error) from None

    def _check(self, seconds: float) -> None:
        if seconds > self._longest:
            raise HttpError(400, f"the recording is longer than the {self._longest:g} s that are allowed")

    def _unreadable(self, error: DragomanError) -> HttpError:
        reason = str(error).replace(f"{self.path}: ", "").replace(str(self.path), "the recording")
        return HttpError(400, f"the audio cannot be read: {reason}", "InvalidAudioFormat")


async def transcribe(
    service: Service, language: str, recording: Recording, channel: int | None = None,
    profanity: Profanity | None = None, phrases: Sequence[str] = (), *, words: bool = False, people: int | None = None,
) -> Transcript:  # fmt: skip
    """Return every utterance in one channel, or in the mean of all, by the same interpreter as live speech.

    Parameters
    ----------
    service
        What is shared.
    language
        A primary subtag that is recognised.
    recording, channel
        What to hear.
    profanity
        What becomes of offensive words; by default as the owner set it.
    phrases
        What is likely to be said.
    words
        Whether the times of words are wanted even where another model has to find them.
    people
        How many people are told apart at most, 0 where nobody knows; by default they are not.

    Raises
    ------
    DragomanError
        The recording cannot be decoded or an utterance cannot be recognised.
    """
    finals: list[Final] = []
    failures: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Final):
            finals.append(event)
        elif isinstance(event, Error) and event.code == "recognition":
            failures.append(event.text)

    settings = service.conversation_settings(
        language, partials=False, profanity=profanity, phrases=tuple(phrases), people=people
    )
    conversation = Conversation(service, settings, hear, live=False)
    try:
        await conversation.open()
        blocks = recording.blocks(channel)
        while (block := await service.work(next, blocks, None)) is not None:
            await conversation.feed(block)
        await conversation.finish()
    except (asyncio.CancelledError, DragomanError):
        conversation.abandon()
        raise
    if failures:
        raise DragomanError(failures[0])
    if words:
        finals = await _with_words(service, language, recording, channel, finals)
    return Transcript(tuple(finals), conversation.heard)


async def _with_words(
    service: Service, language: str, recording: Recording, channel: int | None, finals: Sequence[Final]
) -> list[Final]:
    """Find the words of finals that have none, in the sound; nothing where something in the text may be hidden."""
    missing = [final for final in finals if not final.words]
    aligner = await service.work(service.engines.aligner, language) if missing else None
    if aligner is None or service.settings.text.redact:
        return list(finals)
    found: dict[str, tuple[SpokenWord, ...]] = {}
    sounds = _cut(recording.blocks(channel), [(final.start, final.end) for final in missing])
    for final in missing:
        samples = await service.work(next, sounds, None)
        if samples is None:
            break
        job = service.engines.scheduler.submit(Priority.AHEAD, aligner.align, samples, language, final.text)
        if job is not None:
            heard = await asyncio.wrap_future(job)
            found[final.utterance] = tuple(
                SpokenWord(w.text, final.start + w.start, final.start + w.end, w.confidence) for w in heard
            )
    return [replace(final, words=found.get(final.utterance, final.words)) for final in finals]


def _cut(blocks: Iterator[Samples], spans: Sequence[tuple[float, float]]) -> Iterator[Samples]:
    """Yield the samples of each of several stretches, which come in order; in seconds."""
    kept, first = np.zeros(0, np.float32), 0
    for start, end in spans:
        begin, stop = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        while first + len(kept) < stop and (block := next(blocks, None)) is not None:
            if first + len(kept) <= begin:
                kept, first = kept[:0], first + len(kept)
            kept = np.concatenate([kept, block])
        kept, first = kept[max(0, begin - first) :], max(first, begin)
        yield kept[: stop - first]
