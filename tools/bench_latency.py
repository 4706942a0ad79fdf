"""How long after the end of speech something is read and heard: the interpreter, and the plain way beside it.

The end of speech is where the device is told of it: the end of the recording, at which the button is let go. With an
open microphone nobody tells, and it is the end of the last word.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from device.config import Settings
from device.engines.registry import Engines
from device.events import SAMPLE_RATE, Event, Final, Speech, Translation, UtteranceEnded
from device.interpreter import Interpreter
from device.translation import TextTranslator
from tools.bench_recordings import Utterance

RELEASE = 0.3
"""Seconds after the last word at which a person lets go of the button."""
PATIENCE = 60.0


@dataclass(frozen=True)
class Timing:
    """Seconds from the end of speech."""

    final: float
    translation: float
    audio: float


@dataclass
class Load:
    """Processor seconds of interpreting, in all and inside the engines."""

    total: float = 0.0
    engines: float = 0.0

    @property
    def outside(self) -> float:
        """Share that was not spent in the engines."""
        return 1 - self.engines / self.total


@dataclass
class Scene:
    """One way of talking to the device, and what was measured of it."""

    name: str
    trailing: float | None
    """Seconds after the last word at which the turn ends; None for an open microphone."""
    ours: list[Timing] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median time to the first sound over that of the plain way."""
        return statistics.median(t.audio for t in self.ours) / statistics.median(self.plain)

    @property
    def ratio_after_last_word(self) -> float:
        """The same counted from the last word: both ways wait alike for the button, which is nobody's merit."""
        waited = self.trailing or 0.0
        return (statistics.median(t.audio for t in self.ours) + waited) / (statistics.median(self.plain) + waited)


NATURAL, HARD = 0, 1
"""Which scenes are which: a button let go as people do it, and with the last word, so that no time is left."""


def scenes() -> list[Scene]:
    """Return what is measured."""
    return [
        Scene(f"button up {RELEASE:g} s after the last word", RELEASE),
        Scene("button up with the last word", 0.0),
        Scene("open microphone", None),
    ]


def measure(
    engines: Engines, settings: Settings, spoken: Sequence[Utterance], scenes: Sequence[Scene], repeats: int
) -> Load:
    """Fill in the scenes, ours and the plain way turn about; return what the processor had to do for ours."""
    load = Load()
    silence = settings.endpoint.silence
    for repeat in range(repeats):
        for number, utterance in enumerate(spoken):
            for scene in scenes:
                trailing = silence if scene.trailing is None else scene.trailing
                heard = utterance.released_after(trailing)
                ours_first = (repeat + number) % 2 == 0
                for ours in (ours_first, not ours_first):
                    if ours:
                        scene.ours.append(interpret(engines, settings, heard, load, scene.trailing is None))
                    else:
                        waited = trailing if scene.trailing is None else 0.0
                        scene.plain.append(waited + plainly(engines, settings, heard))
    return load


def interpret(
    engines: Engines, settings: Settings, utterance: Utterance, load: Load, open_microphone: bool = False
) -> Timing:
    """Play an utterance to an interpreter at its own pace and return when the answers came."""
    events: list[Event] = []
    answered = threading.Event()

    def sink(event: Event) -> None:
        events.append(event)
        if isinstance(event, UtteranceEnded):
            answered.set()

    interpreter = Interpreter(engines, settings, sink)
    before = (time.process_time(), sum(engines.meter.cpu.values()))
    interpreter.begin_turn(hands_free=open_microphone)
    began = time.monotonic()
    block = 512
    silence = np.zeros(block, np.float32)
    fed = 0
    while fed < len(utterance.samples) or (open_microphone and not answered.is_set()):
        piece = utterance.samples[fed : fed + block]
        if not len(piece):
            piece = silence
        fed += len(piece)
        time.sleep(max(0.0, began + fed / SAMPLE_RATE - time.monotonic()))
        interpreter.feed(piece)
    interpreter.close(PATIENCE)
    load.total += time.process_time() - before[0]
    load.engines += sum(engines.meter.cpu.values()) - before[1]

    end = utterance.speech_end if open_microphone else len(utterance.samples) / SAMPLE_RATE

    def when(kind: type[Event]) -> float:
        return next((e.emitted for e in events if isinstance(e, kind)), float("nan")) - end

    return Timing(when(Final), when(Translation), when(Speech))


def plainly(engines: Engines, settings: Settings, utterance: Utterance) -> float:
    """Record all, then recognise, then translate, then speak all of it; return when its first sound could be heard.

    The same models with the same number of threads; seconds from the end of the recording.
    """
    direction = settings.directions[0]
    target = direction.targets[0]
    recognizer, voice = engines.recognizer(direction.source), engines.synthesizer(target)
    (translator,) = TextTranslator.for_targets(engines, direction.source, [target])
    began = time.monotonic()
    heard = recognizer.session(direction.source).recognize(utterance.samples, final=True)
    translated = translator.translate(heard.text)
    for _ in voice.stream(translated.text):
        pass
    return time.monotonic() - began


def summary(values: Iterable[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile."""
    numbers = np.array(list(values))
    return float(np.median(numbers)), float(np.percentile(numbers, 95))
