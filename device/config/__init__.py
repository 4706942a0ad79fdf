"""The configuration: typed settings, and the only place that reads their file and environment."""

from device.config.conversation import (
    DirectionSettings,
    EndpointSettings,
    ModelSettings,
    PartialSettings,
    SpeakerSettings,
    SpeechSettings,
)
from device.config.files import read_secret
from device.config.hardware import (
    AudioSettings,
    ButtonSettings,
    ControlSettings,
    DisplaySettings,
    LedSettings,
    PanelSettings,
    Pins,
    Trigger,
)
from device.config.languages import canonical_language
from device.config.loading import (
    Loaded,
    find_file,
    load,
    load_settings,
    state_directory,
)
from device.config.network import MqttSettings, ServerSettings
from device.config.problems import ConfigError, Problem
from device.config.section import Section
from device.config.settings import LogSettings, Settings
from device.config.text import Profanity, Redaction, TextSettings
from device.config.values import Language

__all__ = [
    "AudioSettings",
    "ButtonSettings",
    "ConfigError",
    "ControlSettings",
    "DirectionSettings",
    "DisplaySettings",
    "EndpointSettings",
    "Language",
    "LedSettings",
    "Loaded",
    "LogSettings",
    "ModelSettings",
    "MqttSettings",
    "PanelSettings",
    "PartialSettings",
    "Pins",
    "Problem",
    "Profanity",
    "Redaction",
    "Section",
    "ServerSettings",
    "Settings",
    "SpeakerSettings",
    "SpeechSettings",
    "TextSettings",
    "Trigger",
    "canonical_language",
    "find_file",
    "load",
    "load_settings",
    "read_secret",
    "state_directory",
]
