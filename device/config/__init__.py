"""The configuration: typed settings, and the only place that reads their file and environment."""

from device.config.languages import canonical_language
from device.config.loading import (
    Loaded,
    find_file,
    load,
    load_settings,
    read_secret,
    state_directory,
)
from device.config.problems import ConfigError, Problem
from device.config.settings import (
    AudioSettings,
    ButtonSettings,
    ControlSettings,
    DirectionSettings,
    EndpointSettings,
    Language,
    LogSettings,
    ModelSettings,
    MqttSettings,
    PartialSettings,
    Pins,
    Section,
    ServerSettings,
    Settings,
    SpeechSettings,
    Trigger,
)

__all__ = [
    "AudioSettings",
    "ButtonSettings",
    "ConfigError",
    "ControlSettings",
    "DirectionSettings",
    "EndpointSettings",
    "Language",
    "Loaded",
    "LogSettings",
    "ModelSettings",
    "MqttSettings",
    "PartialSettings",
    "Pins",
    "Problem",
    "Section",
    "ServerSettings",
    "Settings",
    "SpeechSettings",
    "Trigger",
    "canonical_language",
    "find_file",
    "load",
    "load_settings",
    "read_secret",
    "state_directory",
]
