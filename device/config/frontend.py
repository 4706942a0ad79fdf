"""Settings of the audio front end."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from device.config.section import Section
from device.config.values import UserPath


class MicrophoneSettings(Section):
    """One microphone of an array of one's own."""

    channel: int = Field(ge=0, le=31)
    """Its capture channel, from 0."""
    position: tuple[float, float, float]
    """Metres from the array's centre: x, y, z."""


class SectorSettings(Section):
    """An arc of azimuths around its middle, in degrees."""

    azimuth: float = Field(ge=-360, le=360)
    width: float = Field(default=60.0, gt=0, le=360)


class LookSettings(SectorSettings):
    """Where one party of the conversation sits."""

    direction: int = Field(default=0, ge=0, le=1)
    """Which of the configured directions, that is which language, is spoken there."""


class ArraySettings(Section):
    """The microphone array."""

    geometry: str | None = None
    """Name of an array from ``firmware_config/arrays``, or the path of such a file; none uses the first channel."""
    microphones: tuple[MicrophoneSettings, ...] = Field(default=(), max_length=16)
    """The microphones of an array of one's own, instead of ``geometry``."""
    loopback: tuple[int, ...] = ()
    """With ``microphones``: the capture channels that carry what is being played."""
    beamformer: Literal["auto", "mvdr", "gev", "superdirective", "delay-and-sum", "single"] = "auto"
    azimuth: float | None = Field(default=None, ge=-360, le=360)
    """Where the talker is, if he never moves; else it is measured."""
    postfilter: bool = True
    """Lower the noise that the beamformer leaves by up to 6 dB."""
    looks: tuple[LookSettings, ...] = Field(default=(), max_length=2)
    """Where the parties of the conversation sit; sound from elsewhere is noise."""
    exclude: tuple[SectorSettings, ...] = Field(default=(), max_length=8)
    """Where sound is never meant for the device, its own loudspeaker say."""
    calibration: UserPath | None = None
    """The file that ``dragoman devices calibrate`` wrote."""

    @model_validator(mode="after")
    def _one_geometry(self) -> ArraySettings:
        if self.geometry is not None and self.microphones:
            raise ValueError("give either geometry or microphones, not both")
        return self

    def table(self) -> dict[str, Any]:
        """Return the microphones as the table of a geometry file."""
        microphones = [{"channel": m.channel, "position": list(m.position)} for m in self.microphones]
        return {"title": "custom", "source": "settings", "loopback": list(self.loopback), "microphones": microphones}


class EchoSettings(Section):
    """Removing the device's own voice from what it hears."""

    enabled: bool = False
    method: Literal["kalman", "webrtc"] = "kalman"
    """An adaptive filter that lets people talk over the device's voice, or WebRTC's AEC3, which does not."""
    loopback: bool = True
    """Prefer the array's own loopback channel, where it has one, to what the player reports."""


class NoiseSettings(Section):
    """Noise suppression behind the array."""

    method: Literal["off", "webrtc", "gtcrn"] = "off"
    level: int = Field(default=1, ge=0, le=3)
    """WebRTC: by at most 6, 12, 18 or 21 dB."""
    model: str = "denoise-gtcrn"
    """GTCRN: its catalogue id."""


class GainSettings(Section):
    """Automatic gain."""

    enabled: bool = False
    target: float = Field(default=-24.0, ge=-40, le=-10)
    """RMS of speech, dB below full scale."""


class FrontendSettings(Section):
    """What happens to the sound between the microphones and the recogniser; each stage can be switched off."""

    array: ArraySettings = ArraySettings()
    highpass: bool = True
    """Remove DC and rumble below 80 Hz."""
    echo: EchoSettings = EchoSettings()
    noise: NoiseSettings = NoiseSettings()
    gain: GainSettings = GainSettings()
