"""The catalogue: one TOML file a model, as typed data (``device.modelstore.loading`` reads and checks it).

A file in the catalogue looks like this::

    id = "asr-moonshine-tiny-en"
    task = "asr"                  # asr, mt, tts, vad, denoise, speaker, segmentation, punctuation, test-audio
    engine = "moonshine"          # which adapter loads it: moonshine, sherpa-offline, sherpa-online, whisper-ct2,
                                  # ctranslate2, bergamot, piper, kokoro, silero, pyannote,
                                  # sherpa-speaker, …; none for recordings
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
    sources = [
        "hf:owner/repo@revision/path",
        "pip:moonshine-voice==0.0.73:moonshine_voice/assets/tiny-en/encoder_model.ort",
    ]

    [[speakers]]                  # tts: who speaks; without any, one who is named after the id
    name = "Heart"
    id = "af_heart"               # what the adapter calls it; empty where there is but one
    language = "en-US"
    gender = "female"             # female, male, or empty
    gain = 1.3                    # what makes it as loud as all others, in dB; measured when loaded where absent

    [[derived]]                   # made once from the files above, after they were verified
    tool = "moonshine-tokens"     # one of device.modelstore.derive.TOOLS
    inputs = ["tokenizer.bin"]
    outputs = ["tokens.txt"]      # at least these; whatever else the tool writes is kept as well

What a source looks like is told in ``device.modelstore.sources``; sources are tried in order and the bytes
decide. A file without ``sha256`` (only where ``verified`` is false) is checked against the hub's own hash,
which is then pinned in the store.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from device.errors import UsageError

_FORBID = ConfigDict(extra="forbid")

TASKS = ("asr", "mt", "tts", "vad", "denoise", "speaker", "segmentation", "punctuation", "test-audio")
ENGINES = (
    "moonshine",
    "sherpa-offline",
    "sherpa-online",
    "sherpa-punctuation",
    "whisper-ct2",
    "ctranslate2",
    "bergamot",
    "piper",
    "kokoro",
    "silero",
    "sherpa-denoiser",
    "sherpa-speaker",
    "pyannote",
    "none",
)


def primary(tag: str) -> str:
    """Return the primary language of a BCP-47 tag: ``pt`` for ``pt-BR``."""
    return tag.split("-", 1)[0].lower()


@dataclass(frozen=True, slots=True)
class Variant:
    """Other bytes that serve as well as a file's own, for example settings from another publisher."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model: what it must be, and where it can be had."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    name: str
    """Path below the model's folder."""
    sha256: str | None = None
    size: int | None = None
    sources: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()

    def accepts(self, sha256: str, size: int) -> bool:
        """Whether bytes of this hash and size are the file; true of anything where nothing is pinned."""
        if self.sha256 is None:
            return self.size is None or self.size == size
        pinned = [(self.sha256, self.size), *((v.sha256, v.size) for v in self.variants)]
        return (sha256, size) in pinned


@dataclass(frozen=True, slots=True)
class Derived:
    """Files that are made from a model's files by a named tool."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    tool: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the tool is told besides; for ``onnx-metadata`` the keys to add."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """One voice of a speech synthesis model."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    name: str
    language: str
    id: str = ""
    """What the adapter calls it; empty where a model has but one."""
    gender: Literal["female", "male", ""] = ""
    gain: float | None = None
    """What makes it as loud as all other voices, in dB; measured when it is loaded where it is not known."""


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the catalogue."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

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
    speakers: tuple[Speaker, ...] = ()
    """The voices of a speech synthesis model; see `voices`."""

    @property
    def voices(self) -> tuple[Speaker, ...]:
        """Who speaks; a model that names nobody has one voice, named after its id."""
        if self.speakers or self.task != "tts" or not self.languages:
            return self.speakers
        name = "".join(c for c in self.id.rsplit("-", 1)[-1] if c.isalnum()).capitalize()
        return (Speaker(name, self.languages[0]),)

    @property
    def size(self) -> int | None:
        """Bytes of all files; None where the size of one is not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def speaks(self, language: str) -> bool:
        """Whether the model understands or speaks ``language``; ``pt`` and ``pt-BR`` match each other."""
        return primary(language) in {primary(tag) for tag in self.languages}


class Catalogue(Mapping[str, Model]):
    """All models that are known, by id; ``models`` may be read only as they are asked for."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models

    def __getitem__(self, model_id: str) -> Model:
        """Return the model.

        Raises
        ------
        UsageError
            When there is none of that id; the message names the nearest one.
        """
        try:
            return self._models[model_id]
        except KeyError:
            raise UsageError(self._unknown(model_id)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._models

    def find(
        self,
        *,
        task: str | None = None,
        language: str | None = None,
        source: str | None = None,
        target: str | None = None,
        engine: str | None = None,
    ) -> list[Model]:
        """Return the models that fit everything asked for, the best first.

        Languages match by their primary subtag; among equals an exact tag (``pt-BR``) comes first, then the
        higher ``quality``, then verified ones, then the id.
        """
        found = [
            model
            for model in self._models.values()
            if (task is None or model.task == task)
            and (engine is None or model.engine == engine)
            and (language is None or model.speaks(language))
            and (source is None or (model.source is not None and primary(model.source) == primary(source)))
            and (target is None or (model.target is not None and primary(model.target) == primary(target)))
        ]
        wanted = {tag for tag in (language, source, target) if tag is not None and "-" in tag}

        def rank(model: Model) -> tuple[bool, float, bool, str]:
            own = {*model.languages, model.source, model.target}
            return (bool(wanted) and not wanted <= own, -model.quality, not model.verified, model.id)

        return sorted(found, key=rank)

    def defaults(self) -> list[Model]:
        """Return what a plain ``dragoman models pull`` fetches, by id."""
        return sorted((model for model in self._models.values() if model.default), key=lambda model: model.id)

    def _unknown(self, model_id: str) -> str:
        near = difflib.get_close_matches(str(model_id), self._models, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "; see `dragoman models list --all`"
        return f"there is no model {model_id!r} in the catalogue{hint}"
