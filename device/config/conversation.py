"""Settings of what is said: models, directions, when an utterance ends, partials, speakers, the device's own voice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from device.config.section import Section
from device.config.values import Language, Languages, UserPath


class ModelSettings(Section):
    """Where models live and which to prefer."""

    directory: UserPath | None = None
    """The model store; by default ``$STATE_DIRECTORY/models`` under systemd, else the user's data folder."""
    offline: bool = False
    """Never fetch; a missing model is an error that names ``dragoman models import``."""
    prefer: dict[str, str] = Field(default_factory=dict)
    """Catalogue ids to use instead of the catalogue's choice, by task and language:
    ``{"asr:en": "asr-moonshine-base-en"}``."""
    voices: dict[str, str] = Field(default_factory=dict)
    """Which voice speaks a language, by its tag: ``{"pt": "tts-piper-pt-faber", "en-GB": "tts-kokoro/bf_emma"}``."""
    threads: int = Field(default=0, ge=0, le=64)
    """Threads of one engine call; 0 chooses 1 up to 3 cores, 2 from 4."""
    workers: int = Field(default=0, ge=0, le=16)
    """Engine calls at once; 0 chooses 2, or 3 from 4 cores."""
    provider: Literal["cpu", "cuda"] = "cpu"
    """What models of sherpa-onnx and CTranslate2 compute on; cuda needs builds of both for it."""


class DirectionSettings(Section):
    """One way of a conversation: who talks in which language, and into which it is translated."""

    source: Language = "en"
    targets: Languages = ("pt",)
    speak: Language | None = None
    """The target that is spoken; by default the first. Empty targets are only transcribed."""
    voice: str | None = None
    """Catalogue id of a voice; by default the best installed one for the spoken target."""


class EndpointSettings(Section):
    """When an utterance begins and ends (seconds)."""

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Silero's speech probability above which a frame is speech."""
    min_speech: float = Field(default=0.25, ge=0.03, le=2)
    """Shorter sounds are not speech."""
    silence: float = Field(default=0.6, ge=0.1, le=10)
    """Silence that ends an utterance when the microphone is open."""
    turn_silence: float = Field(default=2.0, ge=0.1, le=30)
    """Silence that ends an utterance while the button is held or latched."""
    max_utterance: float = Field(default=15.0, ge=3, le=60)
    """An utterance that goes on longer is cut at its quietest point."""
    padding: float = Field(default=0.3, ge=0, le=1)
    """Audio kept before the first frame of speech."""


class PartialSettings(Section):
    """What is shown while somebody talks."""

    enabled: bool = True
    interval: float = Field(default=0.4, ge=0.1, le=5)
    """Seconds of audio between two partials, when the machine keeps up."""
    translate: bool = True
    steady: bool = True
    """Show only that part of a translation that will most likely stay, and a first guess until there is one."""


class SpeakerSettings(Section):
    """Who talks: people are told apart by their voices."""

    enabled: bool = False
    """Number the people of a conversation, and end an utterance where another one goes on. Needs two models."""
    most: int = Field(default=0, ge=0, le=16)
    """How many people there are at most; 0 where nobody knows."""


class SpeechSettings(Section):
    """The device's own voice."""

    enabled: bool = True
    half_duplex: bool = True
    """Do not listen while speaking."""
    tail: float = Field(default=0.25, ge=0, le=2)
    """Seconds after the last sample during which the microphone still hears the room."""
    volume: float = Field(default=1.0, ge=0, le=1)
    earcons: bool = False
    """Short sounds when a turn begins and ends, and for mute and errors."""
