"""Measures how well people are told apart, and what it costs.

    python -m tools.bench_speakers [--folder build/voices] [--conversations 8] [--output build/bench-speakers.json]

Conversations are put together from recordings of people who never met, one clip after the other with short pauses;
two more are real: a telephone call with its published annotation, and two people on a stage. Each goes through the
whole device as a recording does. Telephone prompts are CC-BY-SA 3.0, LibriVox is in the public domain; they are fetched
from Debian's packages and kept out of the repository. A source that cannot be had is left out and named.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soxr

from device.config import DirectionSettings, PartialSettings, Settings, SpeakerSettings, SpeechSettings
from device.engines.registry import Engines
from device.events import SAMPLE_RATE, Event, Final, Samples
from device.interpreter import Interpreter
from tools.speech_corpus import decode, unpack

VOICES: Mapping[str, tuple[str, str, str]] = {
    "reader, male": ("pip", "moonshine-voice==0.0.73", "moonshine_voice/assets/two_cities.wav"),
    "reader, female": ("deb", "pocketsphinx-testdata", "usr/share/pocketsphinx/test/data/librivox/*.wav"),
    "English prompts": ("deb", "asterisk-core-sounds-en-g722", "usr/share/asterisk/sounds/*/*.g722"),
    "French prompts": ("deb", "asterisk-core-sounds-fr-g722", "usr/share/asterisk/sounds/*/*.g722"),
    "Italian prompts": ("deb", "asterisk-core-sounds-it-g722", "usr/share/asterisk/sounds/*/*.g722"),
    "Russian prompts": ("deb", "asterisk-core-sounds-ru-g722", "usr/share/asterisk/sounds/*/*.g722"),
    "Italian prompts, another": ("deb", "asterisk-prompt-it-menardi-wav", "usr/share/asterisk/sounds/**/*.wav"),
}
"""Who talks: kind of package, package, files. (The Spanish prompts are spoken by the one who speaks the English.)"""
CALL = ("pip", "pyannote.audio==3.3.2", "pyannote/audio/sample/sample.*")
STAGE = ("pip", "moonshine-voice==0.0.73", "moonshine_voice/assets/endgame_nagg_nell.wav")
STAGE_TURNS = (
    (0.0, 0.95, "A"), (2.4, 3.35, "A"), (3.95, 4.25, "B"), (4.85, 8.1, "A"), (8.7, 11.4, "B"), (12.0, 14.05, "A"),
    (14.6, 17.0, "B"), (17.6, 18.9, "A"), (20.4, 21.95, "A"), (22.5, 23.15, "B"), (23.7, 27.4, "A"),
)  # fmt: skip
"""Who says what in that scene, in seconds, by ear."""
CLIP = (0.9, 8.0)
"""Seconds of a clip: what is shorter is no turn, what is longer is cut."""
FRAME = 0.01


@dataclass(frozen=True)
class Conversation:
    """A recording, and who talks when in it."""

    name: str
    samples: Samples
    turns: Sequence[tuple[float, float, str]]


def clips(folder: Path) -> tuple[dict[str, list[Samples]], list[str]]:
    """Return everybody's clips at one level, and which packages could not be had."""
    found: dict[str, list[Samples]] = {}
    missing = []
    for voice, source in VOICES.items():
        try:
            paths = _files(folder, source)
        except (OSError, subprocess.CalledProcessError):
            missing.append(source[1])
            continue
        order = random.Random(0)
        order.shuffle(paths)
        parts = [part for path in paths[:60] for part in _parts(_at_16k(path))]
        found[voice] = [part * np.float32(0.05 / max(float(np.sqrt(np.mean(part**2))), 1e-6)) for part in parts]
    return found, missing


def _files(folder: Path, source: tuple[str, str, str]) -> list[Path]:
    kind, name, pattern = source
    where = folder / name
    if not where.exists():
        where.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            inside = Path(scratch) / "unpacked"
            inside.mkdir()
            unpack({"kind": kind, "name": name}, inside)
            inside.rename(where)
    return sorted(where.glob(pattern))


def _at_16k(path: Path) -> Samples:
    samples, rate = decode(path)
    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE), np.float32)


def _parts(samples: Samples) -> list[Samples]:
    """Cut the silence off both ends, and what is long into clips; beeps and music are no speech."""
    loud = np.flatnonzero(np.abs(samples) > 0.05 * np.abs(samples).max(initial=1e-9))
    samples = samples[loud[0] : loud[-1]] if len(loud) else samples[:0]
    shortest, longest = (round(seconds * SAMPLE_RATE) for seconds in CLIP)
    cut = [samples[first : first + longest] for first in range(0, len(samples), longest)]
    return [part for part in cut if len(part) >= shortest and _flatness(part) > 0.001]


def _flatness(samples: Samples) -> float:
    """Return the spectral flatness of what a telephone carries: a beep's is next to 0."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    power = power[round(len(samples) * 200 / SAMPLE_RATE) : round(len(samples) * 3400 / SAMPLE_RATE)] + 1e-12
    return float(np.exp(np.mean(np.log(power))) / np.mean(power))


def put_together(voices: Mapping[str, list[Samples]], people: int, seconds: float, seed: int) -> Conversation:
    """Let ``people`` of the voices take turns, with 0.1 to 0.7 s between them, in the faint noise of a room."""
    chance = random.Random(seed)
    who = chance.sample(sorted(voices), people)
    parts, turns, at, last = [], [], 0.5, ""
    parts.append(np.zeros(round(at * SAMPLE_RATE), np.float32))
    while at < seconds:
        last = chance.choice([voice for voice in who if voice != last] or who)
        clip = chance.choice(voices[last])
        pause = chance.uniform(0.1, 0.7)
        parts += [clip, np.zeros(round(pause * SAMPLE_RATE), np.float32)]
        turns.append((at, at + len(clip) / SAMPLE_RATE, last))
        at = sum(map(len, parts)) / SAMPLE_RATE
    samples = np.concatenate(parts)
    noise = np.random.default_rng(seed).standard_normal(len(samples)).astype(np.float32) * np.float32(3e-4)
    return Conversation(f"{people} people, {seed}", samples + noise, turns)


def recorded(folder: Path) -> list[Conversation]:
    """Return the real conversations."""
    found = []
    (stage,) = _files(folder, STAGE)
    found.append(Conversation("on a stage", _at_16k(stage), STAGE_TURNS))
    lines, sound = _files(folder, CALL)
    fields = [line.split() for line in lines.read_text("utf-8").splitlines()]
    turns = [(float(f[3]), float(f[3]) + float(f[4]), f[7]) for f in fields]
    found.append(Conversation("telephone call", _at_16k(sound), turns))
    return found


class Listener:
    """Interprets conversations as recordings, and notes who said what."""

    def __init__(self) -> None:
        settings = Settings(
            directions=(DirectionSettings(source="en", targets=()),),
            speakers=SpeakerSettings(enabled=True),
            speech=SpeechSettings(enabled=False),
            partials=PartialSettings(enabled=False),
        )
        self._settings = settings
        self.engines = Engines.open(settings)

    def hear(self, conversation: Conversation, most: int = 0) -> list[tuple[float, float, int | None]]:
        """Return the finals' times and speakers."""
        finals: list[tuple[float, float, int | None]] = []

        def take(event: Event) -> None:
            if isinstance(event, Final):
                finals.append((event.start, event.end, event.speaker))

        settings = self._settings.model_copy(update={"speakers": SpeakerSettings(enabled=True, most=most)})
        interpreter = Interpreter(self.engines, settings, take)
        interpreter.begin_turn(hands_free=True)
        for first in range(0, len(conversation.samples), SAMPLE_RATE):
            interpreter.feed(conversation.samples[first : first + SAMPLE_RATE])
            interpreter.keep_up()
        interpreter.close()
        return finals


def judge(conversation: Conversation, finals: Sequence[tuple[float, float, int | None]]) -> dict[str, float]:
    """Compare finals with who really talked, where just one did: shares of that time, best pairing of names.

    ``confused`` is the part of the diarization error rate that is about who; ``missed`` is in no final.
    """
    count = round(len(conversation.samples) / SAMPLE_RATE / FRAME) + 1
    names = sorted({who for _, _, who in conversation.turns})
    truth = np.zeros((len(names), count), np.bool_)
    for start, end, who in conversation.turns:
        truth[names.index(who), round(start / FRAME) : round(end / FRAME)] = True
    alone = truth.sum(axis=0) == 1
    numbers = sorted({who for _, _, who in finals if who is not None})
    told = np.zeros((len(numbers) + 1, count), np.bool_)
    for start, end, number in finals:
        told[numbers.index(number) if number is not None else -1, round(start / FRAME) : round(end / FRAME)] = True
    both = (truth & alone).astype(np.float64) @ told.T.astype(np.float64)
    columns = max(len(names), len(numbers))
    pairs = np.zeros((len(names), columns))
    pairs[:, : len(numbers)] = both[:, : len(numbers)]
    right = max(pairs[range(len(names)), list(chosen)].sum() for chosen in permutations(range(columns), len(names)))
    covered = float((alone & told.any(axis=0)).sum())
    return {
        "people": len(names),
        "found": len(numbers),
        "confused": round(1 - float(right) / max(covered, 1), 3),
        "missed": round(1 - covered / max(float(alone.sum()), 1), 3),
    }


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/voices"), help="where recordings are kept")
    parser.add_argument("--conversations", type=int, default=8, help="how many are put together")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each is")
    parser.add_argument("--seed", type=int, default=100, help="the first one's")
    parser.add_argument("--output", type=Path, default=Path("build/bench-speakers.json"))
    options = parser.parse_args()
    voices, missing = clips(options.folder)
    for name in missing:
        print(f"could not fetch {name}")
    listener = Listener()
    rows: list[dict[str, Any]] = []
    conversations = recorded(options.folder) + [
        put_together(voices, 1 + number % 4, options.seconds, options.seed + number)
        for number in range(options.conversations)
    ]
    for conversation in conversations:
        for most in (0, len({who for _, _, who in conversation.turns})):
            rows.append(
                {"name": conversation.name, "told": most, **judge(conversation, listener.hear(conversation, most))}
            )
            print(rows[-1])
    figures: dict[str, Any] = {"rows": rows}
    by_count: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_count["people known" if row["told"] else "nobody says how many"].append(row)
    for name, group in by_count.items():
        figures[name] = {
            "confused": round(float(np.mean([row["confused"] for row in group])), 3),
            "median": median(row["confused"] for row in group),
            "right number of people": f"{sum(row['found'] == row['people'] for row in group)} of {len(group)}",
        }
        print(name, figures[name])
    meter = listener.engines.meter
    figures["rtf"] = round(meter.cpu["speakers"] / max(meter.audio["speakers"], 1e-9), 4)
    figures["rtf recognition"] = round(meter.cpu["asr"] / max(meter.audio["asr"], 1e-9), 4)
    print(f"processor time over the speech: {figures['rtf']} (recognition {figures['rtf recognition']})")
    listener.engines.close()
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
