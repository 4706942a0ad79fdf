"""The array at work: filter bank, learning of noise and talker, direction, beamformer, fallback.

Sound is learnt from in stretches of fixed length, counted from the stream's start, so the size of the blocks that
come in makes no difference to what goes out. Weights change between two frames; the overlap of the filter bank fades
one into the other, so nothing clicks, whatever they change to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.audio.array.activity import Gate, Lesson
from device.audio.array.beamformers import BEAMFORMERS, Beamformer, Scene, Weights
from device.audio.array.calibration import Calibration
from device.audio.array.covariance import Covariance, RunningCovariance, covariance
from device.audio.array.doa import Direction, DirectionSmoother, SteeredResponse
from device.audio.array.geometry import Geometry
from device.audio.array.noise import NoiseField
from device.audio.array.postfilter import PostFilter
from device.audio.array.sectors import Sector, Sectors
from device.audio.array.stft import BINS, FREQUENCIES, HOP, Analysis, Spectra, Synthesis
from device.audio.array.swaps import SwapFinder
from device.audio.array.transfer import TransferTracker
from device.events import SAMPLE_RATE, Samples

LATENCY = 2 * HOP
"""Samples that are held back at most."""
STRETCH = 8
"""Frames in a stretch: 80 ms."""
SECONDS = STRETCH * HOP / SAMPLE_RATE
NOISE_MEMORY = 4.0
SPEECH_MEMORY = 1.2
_FRESH = 0.16
"""Seconds that an earlier utterance's talker counts for when somebody begins to talk."""
_SPEECH_BAND = (FREQUENCIES > 200) & (FREQUENCIES < 5000)
_WORSE = 0.8
"""Below this share of the reference's signal-to-noise ratio a beam is worse than no beam."""
_JUDGED = 12
"""Stretches of speech in a row that must agree before the algorithm is changed: 1 s."""


@dataclass
class _Talker:
    """What is known of one look's talker."""

    speech: RunningCovariance
    tracker: TransferTracker
    smoother: DirectionSmoother
    transfer: NDArray[np.complex64] | None = None
    presence: NDArray[np.float32] | None = None
    direction: Direction | None = None


class ArrayProcessor:
    """Turns the microphones of one array into one channel.

    Parameters
    ----------
    geometry
        The microphones; ``process`` takes them in this order.
    beamformer
        A name from ``BEAMFORMERS``, or ``auto``: adaptive MVDR, superdirective until noise was heard, and the
        reference microphone where a beam would be worse.
    calibration
        Corrections of gain and delay, applied to the spectra.
    sectors
        Directions that matter.
    azimuth
        Where the talker is, where that is known beforehand; else it is measured.
    postfilter
        Whether a Wiener filter follows the beamformer.
    """

    def __init__(
        self,
        geometry: Geometry,
        beamformer: str = "auto",
        *,
        calibration: Calibration | None = None,
        sectors: Sectors | None = None,
        azimuth: float | None = None,
        postfilter: bool = False,
    ) -> None:
        self.geometry = geometry
        self.beamformer = beamformer
        self.sectors = sectors or Sectors()
        self._fixed = azimuth
        self._correction = calibration.correction(geometry.size) if calibration else None
        self._postfilter = PostFilter() if postfilter else None
        self._informed = False
        self.trace: list[Weights] | None = None
        """Set to a list, it receives the weights of every frame, for measuring tools."""
        self.reset()
        self.use(range(geometry.size))

    def reset(self) -> None:
        """Begin a new stream; what was learnt of room and talker is kept."""
        self._analysis = Analysis(self.geometry.size)
        self._synthesis = Synthesis()
        self._stretch: list[Spectra] = []
        self._frames = 0
        self._taken = self._given = 0
        self._gate: Gate[tuple[Covariance, int | None]] = Gate()
        self._frozen = False
        if self._postfilter:
            self._postfilter.reset()

    def use(self, microphones: Sequence[int]) -> None:
        """Use only these microphones from now on, in ascending order; what was learnt is forgotten."""
        self.microphones = sorted(microphones)
        active = self._gate.active
        self._gate = Gate()
        self._gate.active = active
        self._part = self.geometry.subset(self.microphones)
        size = self._part.size
        self._noise = RunningCovariance(size, NOISE_MEMORY)
        self._field = NoiseField(self._part)
        self._finder = SteeredResponse(self._part) if size > 1 else None
        self._swaps = SwapFinder(self._finder, size) if self._finder else None
        looks = self.sectors.looks or (Sector(0, 360),)
        self._talkers = [self._new_talker() for _ in looks] if size > 1 else []
        self._look = 0
        self._reference = 0
        self._votes = 0
        self._fallen_back = False
        name = "mvdr" if self.beamformer == "auto" else self.beamformer
        self._algorithm: Beamformer = BEAMFORMERS[name if size > 1 else "single"]()
        self._single = BEAMFORMERS["single"]()
        self._ignorant = BEAMFORMERS["superdirective"]()
        self._weights = self._full(self._single.weights(self._scene()))
        if self._fixed is not None:
            self._steer()

    def speech(self, active: bool) -> None:
        """Take the voice activity detector's verdict on the newest output."""
        if active and not self._gate.active:
            for talker in self._talkers:
                talker.speech.doubt(_FRESH)
                talker.smoother.reset()
        self._informed = True
        self._gate.speech(active)

    def freeze(self, frozen: bool) -> None:
        """Learn nothing while ``frozen``: the device itself is talking, and an echo canceller needs a steady path."""
        self._frozen = frozen

    @property
    def direction(self) -> Direction | None:
        """Where the talker is; None as long as nothing is known."""
        if self._fixed is not None:
            return Direction(self._fixed, 1.0)
        return self._talkers[self._look].direction if self._talkers else None

    @property
    def swapped(self) -> list[tuple[int, int]]:
        """Pairs of microphones that seem exchanged."""
        pairs = self._swaps.pairs if self._swaps else []
        return [(self.microphones[one], self.microphones[other]) for one, other in pairs]

    @property
    def look(self) -> int | None:
        """Index of the look that talked last, where looks are configured."""
        return self._look if self.sectors.looks else None

    @property
    def algorithm(self) -> str:
        """Name of the algorithm that is heard now."""
        return "single" if self._fallen_back else self._algorithm.name

    def process(self, samples: NDArray[np.float32]) -> Samples:
        """Take a block of shape ``(samples, microphones)`` and return what can be given out, at most 20 ms late.

        Sample i of all that came out belongs to sample i of all that went in.
        """
        self._taken += len(samples)
        spectra = self._analysis.push(samples)
        if self._correction is not None:
            spectra *= self._correction
        outputs = []
        start = 0
        while start < len(spectra):
            count = min(len(spectra) - start, STRETCH - self._frames)
            part = spectra[start : start + count]
            outputs.append(self._apply(part))
            self._stretch.append(part)
            self._frames += count
            start += count
            if self._frames == STRETCH:
                self._learn(np.concatenate(self._stretch)[:, self.microphones])
                self._stretch, self._frames = [], 0
        if not outputs:
            return np.zeros(0, np.float32)
        out = self._synthesis.push(np.concatenate(outputs))
        self._given += len(out)
        return out

    def flush(self) -> Samples:
        """Return what is held back, so that as much has come out as went in; a new stream begins."""
        missing = self._taken - self._given
        tail = self.process(np.zeros((3 * HOP, self.geometry.size), np.float32))[:missing]
        self.reset()
        return tail

    def _apply(self, spectra: Spectra) -> NDArray[np.complex64]:
        out: NDArray[np.complex64] = (spectra * self._weights.conj().T).sum(1)
        gains = self._postfilter.gains(out) if self._postfilter else None
        if gains is not None:
            out = out * gains
        if self.trace is not None:
            weights = np.repeat(self._weights[None], len(spectra), axis=0)
            self.trace.extend(weights if gains is None else weights * gains[..., None])
        return out

    def _learn(self, spectra: Spectra) -> None:
        if self._finder is None or self._frozen or not self._informed:
            return
        measured = covariance(spectra)
        look, unwanted = self._whose(measured)
        changed = False
        for lesson, (value, owner) in self._gate.sort((measured, look), certain_noise=unwanted):
            changed = True
            if lesson is Lesson.NOISE:
                self._noise.add(value, SECONDS)
                if self._talkers[self._look].speech.seconds:
                    self._field.update(self._noise, self._talkers[self._look].speech)
            else:
                self._hear(value, self._look if owner is None else owner)
        if changed:
            self._steer()

    def _whose(self, measured: Covariance) -> tuple[int | None, bool]:
        """Return the look that the stretch belongs to, and whether it comes from where nobody should talk."""
        if self.sectors.trivial or self._finder is None:
            return None, False
        excess = measured - self._noise.value
        power = np.trace(excess, axis1=1, axis2=2).real / np.maximum(np.trace(measured, axis1=1, axis2=2).real, 1e-30)
        weight = np.clip(power, 0, 1).astype(np.float32)
        direction = self._finder.peak(self._finder.of_covariance(excess, weight))
        loud = float(weight[_SPEECH_BAND].mean()) > 0.3
        return self.sectors.look(direction), loud and self.sectors.unwanted(direction)

    def _hear(self, value: Covariance, look: int) -> None:
        self._look = look
        talker = self._talkers[look]
        talker.speech.add(value, SECONDS)
        self._field.update(self._noise, talker.speech)
        talker.transfer, talker.presence = talker.tracker.update(talker.speech.value, self._field, self._reference)
        assert self._finder is not None
        assert self._swaps is not None
        weight = talker.presence**2
        self._swaps.add(talker.transfer, weight)
        talker.direction = talker.smoother.add(self._finder.of_transfer(talker.transfer, weight))

    def _steer(self) -> None:
        scene = self._scene()
        if self.beamformer == "auto" and not self._noise.seconds:
            weights = self._ignorant.weights(scene)
        else:
            weights = self._algorithm.weights(scene)
        if self.beamformer == "auto":
            weights = self._judge(scene, weights)
        self._weights = self._full(weights)
        if self._postfilter:
            noise = np.einsum("fm,fmn,fn->f", weights.conj(), self._noise.value, weights).real
            self._postfilter.noise = noise.astype(np.float32)

    def _judge(self, scene: Scene, weights: Weights) -> Weights:
        """Fall back on the reference microphone while the beam does worse, by what was learnt of speech and noise."""
        if self._gate.active and scene.noise.seconds > 0.3:
            speech, noise = scene.speech.value[_SPEECH_BAND], scene.noise.value[_SPEECH_BAND]
            part = weights[_SPEECH_BAND]
            beam = _power(part, speech) / max(_power(part, noise), 1e-30)
            alone = _reference_power(speech, scene.reference) / max(_reference_power(noise, scene.reference), 1e-30)
            disagrees = (not np.isfinite(beam) or beam < _WORSE * alone) != self._fallen_back
            self._votes = self._votes + 1 if disagrees else 0
            if self._votes >= _JUDGED:
                self._fallen_back, self._votes = not self._fallen_back, 0
        return self._single.weights(scene) if self._fallen_back else weights

    def _scene(self) -> Scene:
        size = self._part.size
        talker = self._talkers[self._look] if self._talkers else None
        direction = self.direction
        return Scene(
            self._part,
            self._noise,
            self._field,
            talker.speech if talker else RunningCovariance(size, SPEECH_MEMORY),
            self._reference,
            direction.azimuth if direction else None,
            talker.transfer if talker and self._fixed is None else None,
            talker.presence if talker else None,
        )

    def _full(self, weights: Weights) -> Weights:
        """Give the microphones that are not in use a weight of zero."""
        if len(self.microphones) == self.geometry.size:
            return weights
        full = np.zeros((BINS, self.geometry.size), np.complex64)
        full[:, self.microphones] = weights
        return full

    def _new_talker(self) -> _Talker:
        assert self._finder is not None
        size = self._part.size
        return _Talker(RunningCovariance(size, SPEECH_MEMORY), TransferTracker(size), DirectionSmoother(self._finder))


def _power(weights: Weights, value: Covariance) -> float:
    return float(np.einsum("fm,fmn,fn->", weights.conj(), value, weights).real)


def _reference_power(value: Covariance, reference: int) -> float:
    return float(value[:, reference, reference].real.sum())
