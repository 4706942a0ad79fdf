"""Measure the array front end on simulated rooms with real recorded speech, and what it does to the word error rate.

    python -m tools.bench_array --speech build/speech

Writes one record a row to ``build/bench-array.json`` and prints the table. Everything is streamed in blocks of 32 ms;
the voice activity detector listens to the beamformer's own output, as on the device, and starts from nothing in every
room. Gains are exact: the beamformer's weights are applied to talker and noise apart. They are taken against the
microphone with the best signal-to-noise ratio, and so is the word error rate before.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# Figures are for one core; the libraries read this when they are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click
import numpy as np
from numpy.typing import NDArray

from device.audio.array.beamformers import Weights
from device.audio.array.doa import Direction, angle_between
from device.audio.array.geometry import Geometry, load_geometry
from device.audio.array.processor import ArrayProcessor
from device.audio.array.stft import Analysis, Synthesis
from device.audio.frontend import Frontend
from device.config import EndpointSettings
from device.config.frontend import EchoSettings, FrontendSettings, GainSettings
from device.engines.asr_moonshine import load as load_recognizer
from device.engines.protocols import Recognizer, VoiceActivity
from device.engines.vad_silero import load as load_vad
from device.events import SAMPLE_RATE, Samples
from device.modelstore.store import ModelStore
from tools.simulate_room import Mismatch, Room, Scene, simulate, true_azimuth
from tools.speech_corpus import Utterance, load_corpus

BLOCK = 512
LEAD = 2.0
"""Seconds of the room before the first word."""
PAUSE = 1.0
PLACES = 6
"""Different places of talker, noise and array in each kind of room."""
PADDING = 0.25
METHODS = ("delay-and-sum", "superdirective", "mvdr", "gev", "auto", "auto+postfilter", "frontend")
"""Every beamformer, and the whole front end; less telling cases are measured with fewer."""


@dataclass(frozen=True)
class Case:
    """One kind of situation."""

    geometry: str
    rt60: float
    noise: str
    snr_db: float = 5.0
    mismatch: Mismatch | None = None
    methods: tuple[str, ...] = ("auto", "auto+postfilter")

    @property
    def room(self) -> str:
        """Name of the room in the table."""
        return f"RT60 {self.rt60:g} s" + (", mismatched" if self.mismatch else "")


CASES = (
    *(
        Case("i2s-4mic-square", rt60, noise, methods=METHODS)
        for rt60 in (0.2, 0.4)
        for noise in ("point", "babble", "none")
    ),
    *(Case("i2s-4mic-square", 0.4, noise) for noise in ("fan", "music", "talker")),
    Case("i2s-4mic-square", 0.4, "point", mismatch=Mismatch(1.0, 10e-6)),
    Case("i2s-4mic-square", 0.7, "point"),
    *(
        Case(geometry, 0.4, noise, methods=("auto+postfilter",))
        for geometry in (
            "respeaker-2mic", "respeaker-4mic", "respeaker-usb-4mic", "respeaker-6mic", "uma-8",
            "i2s-2mic-60mm", "i2s-2mic-100mm", "i2s-4mic-linear",
        )
        for noise in ("point", "babble")
    ),
)  # fmt: skip


@dataclass
class Session:
    """One place, with several utterances said one after the other."""

    scene: Scene
    azimuth: float
    spans: list[tuple[int, int]]
    texts: list[str]

    @property
    def spoken(self) -> NDArray[np.bool_]:
        """Marks the samples of the utterances."""
        marks = np.zeros(len(self.scene.talker), bool)
        for start, end in self.spans:
            marks[start:end] = True
        return marks


@dataclass
class Heard:
    """What came out of one session."""

    output: Samples
    talker: Samples | None
    noise: Samples | None
    errors: list[float]
    seconds: float
    lag: int


@dataclass(frozen=True)
class Row:
    """One record of the benchmark."""

    geometry: str
    room: str
    noise: str
    method: str
    snr_gain_db: float | None
    sisdr_gain_db: float | None
    wer_before: float
    wer_after: float
    doa_error_deg: float | None
    rtf: float
    delay_ms: float
    utterances: int


class Bench:
    """Runs cases with one recogniser and one kind of detector."""

    def __init__(self, recognizer: Recognizer, vad: Callable[[], VoiceActivity], corpus: Sequence[Utterance]) -> None:
        self._recognizer = recognizer
        self._vad = vad
        self._corpus = corpus

    def run(self, case: Case, methods: Sequence[str], places: int = PLACES) -> Iterator[Row]:
        """Measure every method in one kind of situation."""
        geometry = load_geometry(case.geometry)
        sessions = [self._session(case, geometry, place, places) for place in range(places)]
        best = [_best_channel(session) for session in sessions]
        before = self._word_error_rate(
            [(session, session.scene.mixture[:, b]) for session, b in zip(sessions, best, strict=True)]
        )
        yield Row(
            case.geometry, case.room, case.noise, "best-channel", 0.0, 0.0, before, before, None, 0.0, 0.0,
            sum(len(session.texts) for session in sessions),
        )  # fmt: skip
        for method in methods:
            heard = [self._listen(session, geometry, method) for session in sessions]
            yield self._row(case, method, sessions, best, heard, before)

    def _session(self, case: Case, geometry: Geometry, place: int, places: int) -> Session:
        random = np.random.default_rng([place, 11])
        chosen = self._corpus[place::places]
        azimuth = float(random.uniform(0, 360))
        room = Room(
            case.rt60,
            azimuth,
            float(random.uniform(0.7, 1.3)),
            float((azimuth + random.uniform(60, 300)) % 360),
            float(random.uniform(1.5, 2.5)),
            place,
        )
        pieces = [np.zeros(int(LEAD * SAMPLE_RATE), np.float32)]
        spans, at = [], len(pieces[0])
        for utterance in chosen:
            spans.append((at, at + len(utterance.samples)))
            pieces += [utterance.samples, np.zeros(int(PAUSE * SAMPLE_RATE), np.float32)]
            at += len(utterance.samples) + int(PAUSE * SAMPLE_RATE)
        others = [utterance.samples for utterance in self._corpus if utterance not in chosen]
        scene = simulate(
            geometry,
            np.concatenate(pieces),
            room,
            case.noise,
            case.snr_db,
            material=others,
            mismatch=case.mismatch,
        )
        return Session(scene, true_azimuth(geometry, azimuth), spans, [u.text for u in chosen])

    def _listen(self, session: Session, geometry: Geometry, method: str) -> Heard:
        processor = _make(geometry, method)
        vad = self._vad()
        mixture = session.scene.mixture
        spoken = session.spoken
        pending = np.zeros(0, np.float32)
        outputs, errors = [], []
        seconds, fed, lag = 0.0, 0, 0
        for start in range(0, len(mixture) - BLOCK + 1, BLOCK):
            block = mixture[start : start + BLOCK]
            # The thread's own time: what one core takes, whoever else uses the machine.
            begun = time.thread_time()
            out = processor.process(block)
            seconds += time.thread_time() - begun
            outputs.append(out)
            fed += len(block)
            lag = max(lag, fed - sum(map(len, outputs)))
            pending = np.concatenate([pending, out])
            while len(pending) >= vad.frame:
                processor.speech(vad.is_speech(pending[: vad.frame]))
                pending = pending[vad.frame :]
            if spoken[start] and processor.direction:
                errors.append(angle_between(processor.direction.azimuth, session.azimuth))
        weights = np.stack(processor.trace) if processor.trace else None
        return Heard(
            np.concatenate(outputs),
            None if weights is None else _apart(session.scene.talker, weights),
            None if weights is None else _apart(session.scene.noise, weights),
            errors,
            seconds,
            lag,
        )

    def _row(
        self,
        case: Case,
        method: str,
        sessions: Sequence[Session],
        best: Sequence[int],
        heard: Sequence[Heard],
        before: float,
    ) -> Row:
        gains, sisdr = [], []
        for session, channel, out in zip(sessions, best, heard, strict=True):
            count = len(out.output)
            spoken = session.spoken[:count]
            talker, noise = session.scene.talker[:count, channel], session.scene.noise[:count, channel]
            reference = session.scene.talker[:count, 0]
            if out.talker is not None and out.noise is not None and case.noise != "none":
                gains.append(_snr(out.talker[spoken], out.noise[spoken]) - _snr(talker[spoken], noise[spoken]))
            sisdr.append(
                _sisdr(reference[spoken], out.output[spoken]) - _sisdr(talker[spoken], (talker + noise)[spoken])
            )
        errors = np.concatenate([out.errors for out in heard])
        seconds = sum(len(session.scene.talker) for session in sessions) / SAMPLE_RATE
        return Row(
            case.geometry,
            case.room,
            case.noise,
            method,
            round(float(np.mean(gains)), 2) if gains else None,
            round(float(np.mean(sisdr)), 2) if case.noise != "none" else None,
            before,
            self._word_error_rate([(s, out.output) for s, out in zip(sessions, heard, strict=True)]),
            round(float(np.median(errors)), 1) if len(errors) else None,
            round(sum(out.seconds for out in heard) / seconds, 4),
            round(_delay(load_geometry(case.geometry), method) * 1000, 1),
            sum(len(session.texts) for session in sessions),
        )

    def _word_error_rate(self, outputs: Sequence[tuple[Session, Samples]]) -> float:
        import jiwer

        wanted, got = [], []
        padding = int(PADDING * SAMPLE_RATE)
        for session, output in outputs:
            for (start, end), text in zip(session.spans, session.texts, strict=True):
                samples = np.ascontiguousarray(output[start - padding : end + padding])
                found = self._recognizer.session("en").recognize(samples, final=True)
                wanted.append(normalise(text))
                got.append(normalise(found.text))
        return round(float(jiwer.wer(wanted, got)), 4)


_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def normalise(text: str) -> str:
    """Return the words alone, in lower case, digits and titles spelt out."""
    text = re.sub(r"\bmr\b\.?", "mister", text.lower().replace("\u2019", "'"))
    text = re.sub(r"\d", lambda match: f" {_DIGITS[int(match[0])]} ", text)
    return " ".join(re.sub(r"[^a-z' ]", " ", text).split())


def _best_channel(session: Session) -> int:
    spoken = session.spoken
    talker, noise = session.scene.talker[spoken], session.scene.noise[spoken]
    return int(np.argmax([_snr(talker[:, m], noise[:, m]) for m in range(talker.shape[1])]))


def _apart(sound: NDArray[np.float32], weights: NDArray[np.complex64]) -> Samples:
    """Send one component through the weights that the mixture was given."""
    spectra = Analysis(sound.shape[1]).push(sound)[: len(weights)]
    return Synthesis().push((spectra * weights.conj().transpose(0, 2, 1)).sum(1))


class _Whole:
    """The whole front end, every stage that the device would use, looking like the array alone."""

    def __init__(self, geometry: Geometry) -> None:
        settings = FrontendSettings(echo=EchoSettings(enabled=True), gain=GainSettings(enabled=True))
        alone = dataclasses.replace(geometry, channels=tuple(range(geometry.size)), loopback=())
        self._frontend = Frontend(settings, alone, channels=geometry.size)
        self._random = np.random.default_rng(0)
        self.trace: list[Weights] | None = None
        self.direction: Direction | None = None

    def process(self, block: NDArray[np.float32]) -> Samples:
        # Something is played, too quiet to freeze the array: the echo canceller must work as hard as ever.
        played = (1e-5 * self._random.standard_normal(len(block))).astype(np.float32)
        out = self._frontend.process(block, played)
        self.direction = None if out.azimuth is None else Direction(out.azimuth, out.confidence)
        return out.samples

    def speech(self, active: bool) -> None:
        self._frontend.speech(active)


def _make(geometry: Geometry, method: str) -> ArrayProcessor | _Whole:
    if method == "frontend":
        return _Whole(geometry)
    name, _, option = method.partition("+")
    processor = ArrayProcessor(geometry, name, postfilter=option == "postfilter")
    processor.trace = []
    return processor


def _delay(geometry: Geometry, method: str) -> float:
    """Return how late the output is at worst, in seconds, measured sample by sample."""
    processor = _make(geometry, method)
    given, lag = 0, 0
    for fed in range(1, 2000):
        lag = max(lag, fed - given)
        given += len(processor.process(np.zeros((1, geometry.size), np.float32)))
    return lag / SAMPLE_RATE


def _snr(signal: Samples, noise: Samples) -> float:
    return float(10 * np.log10(np.sum(signal.astype(float) ** 2) / max(np.sum(noise.astype(float) ** 2), 1e-20)))


def _sisdr(reference: Samples, estimate: Samples) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al., ICASSP 2019) in dB."""
    wanted, got = reference.astype(float), estimate.astype(float)
    scaled = wanted * (wanted @ got) / max(wanted @ wanted, 1e-20)
    return float(10 * np.log10(np.sum(scaled**2) / max(np.sum((got - scaled) ** 2), 1e-20)))


def _print(row: Row) -> None:
    gain = "     -" if row.snr_gain_db is None else f"{row.snr_gain_db:6.1f}"
    sisdr = "     -" if row.sisdr_gain_db is None else f"{row.sisdr_gain_db:6.1f}"
    doa = "    -" if row.doa_error_deg is None else f"{row.doa_error_deg:5.1f}"
    click.echo(
        f"{row.geometry:18} {row.room:22} {row.noise:7} {row.method:16} {gain} {sisdr} "
        f"{100 * row.wer_before:6.1f} {100 * row.wer_after:6.1f} {doa} {row.rtf:6.3f} {row.delay_ms:5.1f}"
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--speech", default="build/speech", type=click.Path(file_okay=False, path_type=Path), show_default=True)
@click.option("--output", default="build/bench-array.json", type=click.Path(path_type=Path), show_default=True)
@click.option("--methods", default="", help="Comma-separated, instead of each case's own.")
@click.option("--places", default=PLACES, show_default=True)
@click.option("--only", default="", help="Only cases whose geometry, room and noise contain all of these words.")
@click.option("--asr", default="asr-moonshine-tiny-en", show_default=True)
def main(speech: Path, output: Path, methods: str, places: int, only: str, asr: str) -> None:
    """Run the benchmark."""
    corpus = load_corpus(speech)
    if not corpus:
        raise click.ClickException(f"no speech in {speech}: run `python -m tools.speech_corpus {speech}` first")
    store = ModelStore()
    recognizer = load_recognizer(store.catalogue[asr], store.path(asr), 1)
    silero = store.catalogue["vad-silero"]
    bench = Bench(recognizer, lambda: load_vad(silero, store.path("vad-silero"), EndpointSettings()), corpus)
    click.echo(
        f"{'geometry':18} {'room':22} {'noise':7} {'method':16} {'SNR':>6} {'SISDR':>6} {'WER<':>6} {'WER>':>6} "
        f"{'DOA':>5} {'RTF':>6} {'ms':>5}"
    )
    rows = []
    for case in CASES:
        if all(word in f"{case.geometry} {case.room} {case.noise}" for word in only.split()):
            for row in bench.run(case, methods.split(",") if methods else case.methods, places):
                _print(row)
                rows.append(asdict(row))
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
