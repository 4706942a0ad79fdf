"""Everything that can be configured, as one tree of typed, frozen settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from device.config.conversation import (
    DirectionSettings,
    EndpointSettings,
    ModelSettings,
    PartialSettings,
    SpeakerSettings,
    SpeechSettings,
)
from device.config.frontend import FrontendSettings
from device.config.hardware import AudioSettings, ControlSettings, DisplaySettings, LedSettings, PanelSettings
from device.config.network import MqttSettings, ServerSettings
from device.config.section import Section
from device.config.text import TextSettings
from device.config.values import UserPath


class UpdateSettings(Section):
    """Signed updates (``dragoman update``)."""

    key_file: UserPath = Path("/etc/dragoman/update.pub")
    """The owner's public keys in minisign's format; without the file no update is taken."""
    source: str | None = None
    """A folder, or an http address, where ``dragoman update`` looks."""
    health_timeout: float = Field(default=600, ge=10, le=3600)
    """Seconds that a new version has to become ready, and again for its health check."""


class LogSettings(Section):
    """What the daemon writes to its log (never what people said)."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Section):
    """Everything that can be configured, by room."""

    directions: tuple[DirectionSettings, ...] = Field(default=(DirectionSettings(),), min_length=1, max_length=2)
    identify: bool = False
    """Tell by ear which of two directions is spoken, so that one open microphone serves both."""
    models: ModelSettings = ModelSettings()
    endpoint: EndpointSettings = EndpointSettings()
    partials: PartialSettings = PartialSettings()
    speakers: SpeakerSettings = SpeakerSettings()
    speech: SpeechSettings = SpeechSettings()
    audio: AudioSettings = AudioSettings()
    frontend: FrontendSettings = FrontendSettings()
    controls: ControlSettings = ControlSettings()
    panel: PanelSettings = PanelSettings()
    leds: LedSettings = LedSettings()
    display: DisplaySettings = DisplaySettings()
    mqtt: MqttSettings = MqttSettings()
    server: ServerSettings = ServerSettings()
    text: TextSettings = TextSettings()
    update: UpdateSettings = UpdateSettings()
    log: LogSettings = LogSettings()
    state_directory: UserPath | None = None
    """Durable state; by default ``$STATE_DIRECTORY``, else the user's state folder."""
