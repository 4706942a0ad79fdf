"""The front end: from the channels of a capture device to one clean channel for the recogniser.

    channels → mended → array → high-pass → echo canceller → noise suppression → gain → out

Sample i of all that comes out belongs to sample i (at 16 kHz) of all that went in: stages hold samples back, none
shifts them. A stage that is switched off is not there, and with all of them off one channel passes through untouched.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from device.audio.alerts import Alert
from device.audio.array.calibration import Calibration
from device.audio.array.geometry import Geometry, linear, load_geometry, parse_geometry
from device.audio.array.health import ArrayHealth
from device.audio.array.processor import LATENCY, ArrayProcessor
from device.audio.array.sectors import Sector, Sectors
from device.audio.array.stft import HOP
from device.audio.resample import Resampler
from device.audio.stages.agc import AutomaticGain
from device.audio.stages.base import Stage
from device.audio.stages.faults import made_finite
from device.audio.stages.highpass import HighPass
from device.config.frontend import ArraySettings, FrontendSettings
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from device.audio.stages.echo import EchoCanceller

_PLAIN = linear("microphone", 0.0, 1)
_PLAYING = 1e-4
"""RMS of the playback from which the device counts as talking."""
_PLAYED = int(0.3 * SAMPLE_RATE)
"""Samples after the playback during which its echo is still around."""
_CONFIDENT = 0.15
"""An azimuth less certain than this is not told."""


@dataclass(frozen=True, slots=True)
class FrontendOutput:
    """What one block brought."""

    samples: Samples
    """Mono, 16 kHz; nothing, the block's share, or more."""
    azimuth: float | None = None
    """Where the talker is, in degrees, as far as it is known."""
    confidence: float = 0.0
    """Of the azimuth: 0 to 1."""
    look: int | None = None
    """Index of the configured look that talked last."""
    alerts: tuple[Alert, ...] = field(default=())
    """Faults that began or ended."""


class Frontend:
    """Processes one capture stream. Not safe for use by several threads at once.

    Parameters
    ----------
    settings
        Which stages there are.
    geometry
        The array, see ``array_geometry``; None takes the first channel.
    input_rate
        Sample rate of the blocks in Hz; anything but 16 kHz is resampled here.
    channels
        Channels of the blocks. Where the geometry needs more, the missing ones are reported and done without.
    denoiser
        The file of the GTCRN model, needed where the settings ask for it.

    Raises
    ------
    DragomanError
        The settings ask for something that is not there, or that does not fit the array.
    """

    def __init__(
        self,
        settings: FrontendSettings,
        geometry: Geometry | None = None,
        input_rate: int = SAMPLE_RATE,
        channels: int = 1,
        denoiser: Path | None = None,
    ) -> None:
        if channels < 1:
            raise DragomanError(f"the front end needs at least one channel, not {channels}")
        self.settings = settings
        self.channels = channels
        self._resampler = None if input_rate == SAMPLE_RATE else Resampler(input_rate, SAMPLE_RATE, channels)
        self._geometry = geometry
        self._array: ArrayProcessor | None = None
        self._health: ArrayHealth | None = None
        self._unusable: frozenset[int] = frozenset()
        self._missing: frozenset[int] = frozenset()
        if geometry is not None:
            self._missing = frozenset(m for m, channel in enumerate(geometry.channels) if channel >= channels)
            self._health = ArrayHealth(geometry, self._missing)
            if geometry.size > 1:
                calibration = _calibration(settings.array, geometry)
                self._unusable = frozenset(calibration.dead if calibration else ())
                self._array = _array(settings.array, geometry, calibration)
        self._mended: tuple[list[int], NDArray[np.float32]] | None = None
        self._echo: EchoCanceller | None = None
        self._gain: AutomaticGain | None = None
        self._stages = self._build(settings, denoiser)
        if self._health is None and self._stages:
            # A plain microphone is watched as well, but not where nothing at all is asked for.
            self._health = ArrayHealth(_PLAIN)
        self._since_playing = _PLAYED
        self._spent: dict[str, float] = {}
        self._seconds = 0.0

    @property
    def passes_through(self) -> bool:
        """Whether every stage is switched off."""
        return not (self._geometry or self._stages or self._resampler)

    @property
    def latency(self) -> float:
        """Seconds by which samples come out late at worst, a resampler not counted."""
        held = LATENCY if self._array else 0
        whole = HOP if self._array else 1
        for stage in self._stages:
            # Frames that come whole into a stage of the same frame need not wait.
            held += stage.latency + (stage.frame - 1 if stage.frame % whole or whole < stage.frame else 0)
            whole = max(whole, stage.frame)
        return held / SAMPLE_RATE

    def process(self, block: NDArray[np.float32], playback: Samples | None = None) -> FrontendOutput:
        """Take a block of shape ``(frames, channels)``, or ``(frames,)`` of one channel.

        Parameters
        ----------
        block
            What was captured.
        playback
            What was played meanwhile, mono, 16 kHz and as long as the block; None for silence.

        Raises
        ------
        ValueError
            The block has another number of channels than was said.
        """
        if block.ndim == 1:
            block = block[:, None]
        if block.shape[1] != self.channels:
            raise ValueError(f"the block has {block.shape[1]} channels, not {self.channels}")
        if self.passes_through:
            return FrontendOutput(block[:, 0])
        if self._resampler:
            block = self._resampler.process(block if self.channels > 1 else block[:, 0]).reshape(-1, self.channels)
        return self._process(block, playback)

    def flush(self) -> Samples:
        """Return what is held back, so that as much has come out as went in; the next block begins a new stream."""
        outputs = []
        if self._resampler:
            outputs.append(self._process(self._resampler.flush().reshape(-1, self.channels), None).samples)
        if self._array:
            outputs.append(self._run(self._stages, self._array.flush()))
        for index, stage in enumerate(self._stages):
            outputs.append(self._run(self._stages[index + 1 :], stage.flush()))
        return np.concatenate([*outputs, np.zeros(0, np.float32)])

    def speech(self, active: bool) -> None:
        """Take the voice activity detector's verdict on the newest output: noise is learnt only where nobody talks.

        Without any verdict nothing is learnt, and the array's reference microphone is heard.
        """
        if self._array:
            self._array.speech(active)
        if self._gain:
            self._gain.speech(active)
        if self._echo:
            self._echo.speech(active)

    @property
    def echo_reduction_db(self) -> float:
        """How far the device's own voice has been lowered of late: enough for full duplex, or not.

        0 without an echo canceller, and until something was played while nobody talked.
        """
        return self._echo.reduction_db if self._echo else 0.0

    def reset(self) -> None:
        """Begin a new stream. What was learnt of the room is kept, what was held back is dropped."""
        if self._array:
            self._array.reset()
        for stage in self._stages:
            stage.reset()
        self._since_playing = _PLAYED

    def costs(self) -> dict[str, float]:
        """Return the share of real time that each stage has taken so far, by its name."""
        return {name: spent / max(self._seconds, 1e-9) for name, spent in self._spent.items()}

    def _build(self, settings: FrontendSettings, denoiser: Path | None) -> list[Stage]:
        stages: list[Stage] = []
        if settings.highpass:
            stages.append(HighPass())
        if settings.echo.enabled:
            self._echo = _echo_canceller(settings.echo.method)
            stages.append(self._echo)
        if settings.noise.method == "webrtc":
            from device.audio.stages.noise_webrtc import WebRtcNoiseSuppressor

            stages.append(WebRtcNoiseSuppressor(settings.noise.level))
        elif settings.noise.method == "gtcrn":
            from device.audio.stages.noise_gtcrn import GtcrnNoiseSuppressor

            if denoiser is None:
                raise DragomanError(
                    f"noise suppression by GTCRN needs its model; run `dragoman models pull {settings.noise.model}`"
                )
            stages.append(GtcrnNoiseSuppressor(denoiser))
        if settings.gain.enabled:
            self._gain = AutomaticGain(settings.gain.target)
            stages.append(self._gain)
        return stages

    def _process(self, block: NDArray[np.float32], playback: Samples | None) -> FrontendOutput:
        self._seconds += len(block) / SAMPLE_RATE
        begun = time.perf_counter()
        block, broken = made_finite(block)
        alerts: list[Alert] = []
        microphones = self._microphones(block)
        samples = np.ascontiguousarray(microphones[:, 0])
        if self._health:
            if broken is not None:
                self._health.note_broken(self._of_microphones(broken))
            alerts = self._health.check(microphones)
            if self._array:
                alerts += self._health.swapped(self._array.swapped)
            samples = np.ascontiguousarray(microphones[:, self._health.usable[0]])
        self._count("input", begun)
        self._hear_playback(block, playback)
        if self._array and self._health:
            begun = time.perf_counter()
            self._mend(self._array, self._health)
            samples = self._array.process(microphones * self._health.signs)
            self._count("array", begun)
        samples = self._run(self._stages, samples)
        direction = self._array.direction if self._array else None
        sure = direction is not None and direction.confidence >= _CONFIDENT
        return FrontendOutput(
            samples,
            direction.azimuth if direction and sure else None,
            direction.confidence if direction else 0.0,
            self._array.look if self._array else None,
            tuple(alerts),
        )

    def _run(self, stages: list[Stage], samples: Samples) -> Samples:
        for stage in stages:
            begun = time.perf_counter()
            samples = stage.process(samples)
            self._count(stage.name, begun)
        return samples

    def _count(self, name: str, begun: float) -> None:
        self._spent[name] = self._spent.get(name, 0.0) + time.perf_counter() - begun

    def _microphones(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pick the microphones out of the device's channels; missing ones are silent."""
        if self._geometry is None:
            return block[:, :1]
        if not self._missing:
            return block[:, list(self._geometry.channels)]
        out = np.zeros((len(block), self._geometry.size), np.float32)
        for microphone, channel in enumerate(self._geometry.channels):
            if microphone not in self._missing:
                out[:, microphone] = block[:, channel]
        return out

    def _of_microphones(self, broken: NDArray[np.bool_]) -> NDArray[np.bool_]:
        channels = self._geometry.channels if self._geometry else (0,)
        return np.array([c < len(broken) and bool(broken[c]) for c in channels])

    def _mend(self, array: ArrayProcessor, health: ArrayHealth) -> None:
        """Leave damaged microphones out of the array, and turn inverted ones round, when something changed."""
        usable = [m for m in health.usable if m not in self._unusable] or health.usable
        state = (usable, health.signs)
        if self._mended is None and len(usable) == array.geometry.size and (state[1] > 0).all():
            self._mended = state
        if self._mended is None or self._mended[0] != usable or not np.array_equal(self._mended[1], state[1]):
            self._mended = state
            array.use(usable)

    def _hear_playback(self, block: NDArray[np.float32], playback: Samples | None) -> None:
        """Tell the echo canceller what was played, and keep the array still meanwhile."""
        loopback = [c for c in self._geometry.loopback if c < self.channels] if self._geometry else []
        if loopback and self.settings.echo.loopback:
            playback = block[:, loopback].mean(axis=1)
        played = np.zeros(len(block), np.float32) if playback is None else playback[: len(block)]
        if self._echo:
            self._echo.played(np.pad(played, (0, len(block) - len(played))))
        loud = len(played) > 0 and float(np.sqrt(np.mean(played**2))) > _PLAYING
        self._since_playing = 0 if loud else self._since_playing + len(block)
        if self._array:
            self._array.freeze(self._since_playing < _PLAYED)


def array_geometry(settings: ArraySettings) -> Geometry | None:
    """Return the geometry that the settings name or describe; None for a plain microphone.

    Raises
    ------
    DragomanError
        There is no such geometry, or it is wrong.
    """
    if settings.microphones:
        return parse_geometry(settings.table(), "custom", "frontend.array.microphones")
    return load_geometry(settings.geometry) if settings.geometry is not None else None


def _echo_canceller(method: str) -> EchoCanceller:
    if method == "webrtc":
        from device.audio.stages.echo_webrtc import WebRtcEchoCanceller

        return WebRtcEchoCanceller()
    from device.audio.stages.echo_kalman import KalmanEchoCanceller

    return KalmanEchoCanceller()


def _calibration(settings: ArraySettings, geometry: Geometry) -> Calibration | None:
    if settings.calibration is None:
        return None
    calibration = Calibration.load(settings.calibration)
    if calibration.geometry != geometry.name:
        raise DragomanError(
            f"{settings.calibration} is for the array {calibration.geometry}, not {geometry.name}; "
            "run `dragoman devices calibrate` again"
        )
    return calibration


def _array(settings: ArraySettings, geometry: Geometry, calibration: Calibration | None) -> ArrayProcessor:
    looks = tuple(Sector(look.azimuth, look.width) for look in settings.looks)
    excluded = tuple(Sector(sector.azimuth, sector.width) for sector in settings.exclude)
    return ArrayProcessor(
        geometry,
        settings.beamformer,
        calibration=calibration,
        sectors=Sectors(looks, excluded),
        azimuth=settings.azimuth,
        postfilter=settings.postfilter,
    )
