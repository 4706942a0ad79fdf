"""The catalogue: one TOML file a model, as typed data.

A file in the catalogue looks like this::

    id = "asr-moonshine-tiny-en"
    task = "asr"                  # asr, mt, tts, vad, denoise, speaker, segmentation
    engine = "sherpa-offline"     # which adapter loads it: sherpa-offline, sherpa-online, whisper-ct2,
                                  # ctranslate2, bergamot, piper, silero
    name = "Moonshine tiny, English"
    languages = ["en"]            # asr, tts: what it understands or speaks (BCP-47)
    # source = "en"               # mt
    # target = "pt"
    licence = "MIT"
    homepage = "https://github.com/usefulsensors/moonshine"
    quality = 0.6                 # 0..1, orders candidates and routes; higher is better
    default = true                # fetched by a plain `dragoman models pull`
    verified = true               # every hash below was read from bytes that somebody loaded

    [options]                     # passed to the adapter, which refuses unknown ones
    type = "moonshine_v2"

    [[files]]
    name = "encoder_model.ort"
    sha256 = "94e9…"
    size = 13281600
    sources = ["hf:owner/repo@revision/path", "pip:moonshine-voice==0.0.73:moonshine_voice/assets/tiny-en/encoder_model.ort"]

    [[derived]]                   # made once from the files above, after they were verified
    tool = "moonshine-tokens"     # moonshine-tokens, bergamot-onnx, onnx-metadata
    inputs = ["tokenizer.bin"]
    outputs = ["tokens.txt"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model: what it must be, and where it can be had."""

    name: str
    sha256: str | None
    size: int | None
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Derived:
    """Files that are made from a model's files by a named tool."""

    tool: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the catalogue."""

    id: str
    task: str
    engine: str
    name: str
    licence: str
    homepage: str
    languages: tuple[str, ...] = ()
    source: str | None = None
    target: str | None = None
    quality: float = 0.5
    default: bool = False
    verified: bool = False
    files: tuple[ModelFile, ...] = ()
    derived: tuple[Derived, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
