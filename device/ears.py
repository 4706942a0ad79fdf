"""From the microphones to one clean channel: builds the front end when the device is known, and tells it who talks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from device.audio.frontend import Frontend, FrontendOutput, array_geometry
from device.audio.outputs import Tap
from device.audio.reference import PlaybackReference
from device.audio.reports import AudioReport
from device.audio.resample import Resampler
from device.config import EndpointSettings
from device.config.frontend import FrontendSettings
from device.engines.registry import Engines
from device.events import SAMPLE_RATE, Samples
from device.utterance import FRAME

FULL_DUPLEX_DB = 15.0
"""Echo reduction from which the device can listen while it speaks …"""
HALF_DUPLEX_DB = 10.0
"""… and below which it no longer can: lower, so that nobody who talks is cut off and on."""


class Ears:
    """One capture stream's way to the interpreter.

    Parameters
    ----------
    settings
        The front end.
    endpoint
        For the voice activity detector that tells the front end when to learn what noise is.
    engines
        Gives that detector, and the noise suppression's model.
    deliver
        Receives what was heard, 16 kHz mono, with its direction where that is known.
    alert
        Raises an alert (id and text), or with None clears it.
    """

    def __init__(
        self,
        settings: FrontendSettings,
        endpoint: EndpointSettings,
        engines: Engines,
        deliver: Callable[[FrontendOutput], None],
        alert: Callable[[str, str | None], None],
    ) -> None:
        self._settings, self._deliver, self._alert = settings, deliver, alert
        self.geometry = array_geometry(settings.array)
        """The array; None for a plain microphone."""
        self._denoiser = None
        if settings.noise.method == "gtcrn":
            self._denoiser = engines.folder(settings.noise.model) / "gtcrn.onnx"
        # Only what learns from the room needs to be told who talks.
        learns = self.geometry is not None or settings.echo.enabled or settings.gain.enabled
        self._vad = engines.vad(endpoint) if learns else None
        self._rest = np.zeros(0, np.float32)
        self._frontend: Frontend | None = None
        self._full_duplex = False
        self._resampler: Resampler | None = None
        self._reference = PlaybackReference() if settings.echo.enabled else None

    @property
    def tap(self) -> Tap | None:
        """What the speaker must tell, for the echo canceller; None without one."""
        return None if self._reference is None else self._reference.played

    @property
    def full_duplex(self) -> bool:
        """Whether the device's own voice is removed well enough to listen while it speaks."""
        return self._full_duplex

    def open(self, report: AudioReport) -> None:
        """Take note of a device that was found: its rate and channels hold from here on."""
        known = self._frontend
        if known is None or known.channels != report.channels:
            self._frontend = Frontend(self._settings, self.geometry, SAMPLE_RATE, report.channels, self._denoiser)
        self._resampler = None if report.rate == SAMPLE_RATE else Resampler(report.rate, SAMPLE_RATE, report.channels)

    def hear(self, block: NDArray[np.float32]) -> None:
        """Take one block of shape ``(frames, channels)`` at the device's own rate."""
        frontend = self._frontend
        if frontend is None:
            return
        if self._resampler is not None:
            block = self._resampler.process(block if block.shape[1] > 1 else block[:, 0]).reshape(-1, block.shape[1])
        if not len(block):
            return
        playback = self._reference.take(len(block)) if self._reference is not None else None
        output = frontend.process(block, playback)
        needed = HALF_DUPLEX_DB if self._full_duplex else FULL_DUPLEX_DB
        self._full_duplex = frontend.echo_reduction_db >= needed
        for alert in output.alerts:
            self._alert(f"microphone-{alert.channel}-{alert.fault}", alert.text if alert.active else None)
        if len(output.samples):
            self._teach(frontend, output.samples)
            self._deliver(output)

    def _teach(self, frontend: Frontend, samples: Samples) -> None:
        """Tell the front end, for the newest whole frame, whether somebody talks."""
        if self._vad is None:
            return
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // FRAME * FRAME
        for start in range(0, whole, FRAME):
            frontend.speech(self._vad.is_speech(samples[start : start + FRAME]))
        self._rest = samples[whole:]
