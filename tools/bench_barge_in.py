"""Measure how well people are understood who talk over the device's own voice.

    python -m tools.bench_barge_in --speech build/speech

In simulated rooms a talker is as loud at the first microphone as the device's loudspeaker. First he talks alone, as in
any conversation; then the device begins to talk and never stops. The loudspeaker is linear, or distorts as small ones
do, by 20 dB below what it plays, which no linear echo canceller can undo.
Prints a row for each front end and loudspeaker, and writes ``build/bench-barge-in.json``: the word error rate without
and with the device's voice, and by how many dB the echo is lowered while nobody else talks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click
import jiwer
import numpy as np
from numpy.typing import NDArray

from device.audio.array.geometry import Geometry, load_geometry
from device.audio.frontend import Frontend
from device.config import EndpointSettings
from device.config.frontend import ArraySettings, EchoSettings, FrontendSettings
from device.engines.asr_moonshine import load as load_recognizer
from device.engines.protocols import Recognizer, VoiceActivity
from device.engines.vad_silero import load as load_vad
from device.events import SAMPLE_RATE, Samples
from device.modelstore.store import ModelStore
from tools.bench_array import BLOCK, PADDING, PAUSE, PLACES, normalise
from tools.simulate_room import SENSOR_NOISE, Room, impulse_responses
from tools.speech_corpus import Utterance, load_corpus

ARRAY = "i2s-4mic-square"
RT60 = 0.3
LEAD = 5.0
"""Seconds during which only the device talks, before the talker talks over it."""
LEVEL = 0.05
"""RMS of the talker at the first microphone."""


@dataclass(frozen=True)
class Row:
    """One record of the benchmark."""

    frontend: str
    loudspeaker: str
    wer_clean: float
    wer: float
    echo_reduction_db: float


@dataclass
class Scene:
    """One place; sounds of shape ``(samples, microphones)``."""

    talker: NDArray[np.float64]
    echoes: dict[str, NDArray[np.float64]]
    noise: NDArray[np.float64]
    played: Samples
    begins: int
    """The sample at which the device begins to talk."""
    spans: list[tuple[int, int, str]]


def loudspeaker(sound: Samples) -> Samples:
    """Distort as a small loudspeaker does: its cone is softer on one side and stops at its ends."""
    driven = sound / max(float(np.abs(sound).max()), 1e-9)
    bent = np.tanh(1.5 * (driven + 0.15 * driven**2))
    gain = float(sound @ bent) / float(bent @ bent)
    return np.asarray(gain * bent, np.float32)


def distortion_db(sound: Samples) -> float:
    """Return how far the residual of ``loudspeaker`` is below what it is given."""
    bent = loudspeaker(sound)
    fitted = float(sound @ bent) / float(sound @ sound) * sound
    return float(10 * np.log10(np.mean(fitted**2) / np.mean((bent - fitted) ** 2)))


def scene(geometry: Geometry, corpus: Sequence[Utterance], place: int, places: int) -> Scene:
    """Return one place in which a share of the corpus is said over the rest of it."""
    random = np.random.default_rng([place, 23])
    first, *rest = corpus[place::places]
    alone = [np.zeros(SAMPLE_RATE, np.float32), first.samples, np.zeros(SAMPLE_RATE, np.float32)]
    begins = sum(map(len, alone))
    pieces, spans = [*alone, np.zeros(int(LEAD * SAMPLE_RATE), np.float32)], []
    at = begins + int(LEAD * SAMPLE_RATE)
    for utterance in rest:
        spans.append((at, at + len(utterance.samples), utterance.text))
        pieces += [utterance.samples, np.zeros(int(PAUSE * SAMPLE_RATE), np.float32)]
        at += len(utterance.samples) + int(PAUSE * SAMPLE_RATE)
    spoken = np.concatenate(pieces)
    others = [utterance.samples for utterance in corpus[place + 1 :: places] or corpus]
    played = np.resize(np.concatenate(others), len(spoken)).astype(np.float32)
    played[:begins] = 0
    room = Room(RT60, float(random.uniform(0, 360)), 0.8, float(random.uniform(0, 360)), seed=place)
    marks = np.concatenate([np.arange(start, end) for start, end, _ in spans])

    def heard(sound: Samples, source: str) -> NDArray[np.float64]:
        responses = impulse_responses(geometry, room, source)
        size = len(sound) + len(responses)
        spectra = np.fft.rfft(sound, size)[:, None] * np.fft.rfft(responses, size, axis=0)
        out = np.fft.irfft(spectra, size, axis=0)[: len(sound)]
        return out * (LEVEL / float(np.sqrt(np.mean(out[marks, 0] ** 2))))

    noise = LEVEL * SENSOR_NOISE * random.standard_normal((len(spoken), geometry.size))
    echoes = {"linear": heard(played, "speaker"), "distorting": heard(loudspeaker(played), "speaker")}
    return Scene(heard(spoken, "talker"), echoes, noise, played, begins, spans)


def listen(frontend: Frontend, vad: VoiceActivity, sound: NDArray[np.float64], played: Samples) -> Samples:
    """Send a stream through the front end in blocks, with the detector listening to its output as on the device."""
    outputs, pending = [], np.zeros(0, np.float32)
    for start in range(0, len(sound), BLOCK):
        block = sound[start : start + BLOCK].astype(np.float32)
        out = frontend.process(block, played[start : start + BLOCK]).samples
        outputs.append(out)
        pending = np.concatenate([pending, out])
        while len(pending) >= vad.frame:
            frontend.speech(vad.is_speech(pending[: vad.frame]))
            pending = pending[vad.frame :]
    return np.concatenate([*outputs, frontend.flush()])


def measure(
    recognizer: Recognizer, vad: Callable[[], VoiceActivity], corpus: Sequence[Utterance], places: int
) -> list[Row]:
    """Return every row."""
    geometry = load_geometry(ARRAY)
    scenes = [scene(geometry, corpus, place, places) for place in range(places)]
    settings = FrontendSettings(echo=EchoSettings(enabled=True), array=ArraySettings(geometry=ARRAY))

    def words(outputs: Sequence[Samples]) -> float:
        wanted, got, padding = [], [], int(PADDING * SAMPLE_RATE)
        for place, output in zip(scenes, outputs, strict=True):
            for start, end, text in place.spans:
                samples = np.ascontiguousarray(output[start - padding : end + padding])
                wanted.append(normalise(text))
                got.append(normalise(recognizer.session("en").recognize(samples, final=True).text))
        return round(float(jiwer.wer(wanted, got)), 4)

    rows = []
    for name, array in (("microphone", None), ("array", geometry)):

        def through(sound: NDArray[np.float64], played: Samples, array: Geometry | None = array) -> Samples:
            size = array.size if array else 1
            return listen(Frontend(settings, array, channels=size), vad(), sound[:, :size], played)

        silent = [np.zeros_like(place.played) for place in scenes]
        clean = words([through(p.talker + p.noise, s) for p, s in zip(scenes, silent, strict=True)])
        for kind in ("linear", "distorting"):
            heard = [through(p.talker + p.echoes[kind] + p.noise, p.played) for p in scenes]
            mixed = words(heard)
            reductions = []
            for place, output in zip(scenes, heard, strict=True):
                end = place.begins + int(LEAD * SAMPLE_RATE)
                alone = slice(end - int(0.4 * LEAD * SAMPLE_RATE), end)
                before, after = place.echoes[kind][alone, 0], output[alone]
                reductions.append(10 * np.log10(np.mean(before**2) / np.mean(after**2)))
            rows.append(Row(name, kind, clean, mixed, round(float(np.mean(reductions)), 1)))
            row = rows[-1]
            click.echo(
                f"{row.frontend:12} {row.loudspeaker:12} {100 * clean:6.1f} {100 * mixed:6.1f} "
                f"{row.echo_reduction_db:6.1f}"
            )
    return rows


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--speech", default="build/speech", type=click.Path(file_okay=False, path_type=Path), show_default=True)
@click.option("--output", default="build/bench-barge-in.json", type=click.Path(path_type=Path), show_default=True)
@click.option("--places", default=PLACES, show_default=True)
@click.option("--utterances", default=0, help="Only the first so many.")
@click.option("--asr", default="asr-moonshine-tiny-en", show_default=True)
def main(speech: Path, output: Path, places: int, utterances: int, asr: str) -> None:
    """Run the benchmark."""
    corpus = load_corpus(speech)[: utterances or None]
    if not corpus:
        raise click.ClickException(f"no speech in {speech}: run `python -m tools.speech_corpus {speech}` first")
    store = ModelStore()
    recognizer = load_recognizer(store.catalogue[asr], store.path(asr), 1)
    silero = store.catalogue["vad-silero"]
    far = distortion_db(np.concatenate([utterance.samples for utterance in corpus]))
    click.echo(f"{len(corpus)} utterances; the distortion is {far:.0f} dB below the loudspeaker's sound")
    click.echo(f"{'front end':12} {'loudspeaker':12} {'WER<':>6} {'WER>':>6} {'ERLE':>6}")
    rows = measure(recognizer, lambda: load_vad(silero, store.path("vad-silero"), EndpointSettings()), corpus, places)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
