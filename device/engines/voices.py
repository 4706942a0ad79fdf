"""The installed voices by name: several of a language, and several of one model."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from device.errors import DragomanError
from device.modelstore.catalogue import Model, Speaker, primary


@dataclass(frozen=True, slots=True)
class InstalledVoice:
    """One voice of an installed model."""

    model: Model
    speaker: Speaker

    @property
    def id(self) -> str:
        """The name that settings and commands use: ``tts-piper-en-joe``, ``tts-kokoro/af_heart``."""
        return f"{self.model.id}/{self.speaker.id}" if self.speaker.id else self.model.id

    @property
    def name(self) -> str:
        """The speaker's own name."""
        return self.speaker.name

    @property
    def language(self) -> str:
        """What it speaks (BCP-47)."""
        return self.speaker.language

    def answers_to(self, name: str) -> bool:
        """Whether ``name`` is its id, the speaker's id or name, in any case and with or without accents."""
        return _plain(name) in {_plain(self.id), _plain(self.speaker.id), _plain(self.name)}


def voices_of(models: Iterable[Model]) -> list[InstalledVoice]:
    """Return all voices of ``models``, in their order."""
    return [InstalledVoice(model, speaker) for model in models for speaker in model.voices]


def nearest(voices: Sequence[InstalledVoice], language: str) -> InstalledVoice | None:
    """Return the first voice of exactly this language, else of this language in any region, if there is one."""
    exact = [v for v in voices if v.language.lower() == language.lower()]
    near = [v for v in voices if primary(v.language) == primary(language)]
    # "en" is spoken by the best English voice, wherever it comes from.
    return next(iter(exact + near), None)


def named(voices: Sequence[InstalledVoice], name: str, language: str) -> InstalledVoice:
    """Return the voice that answers to ``name``; one that speaks ``language`` goes before others of that name.

    The id of a model with several voices stands for its first one of that language.

    Raises
    ------
    DragomanError
        There is none; the message names those that there are.
    """
    found = [v for v in voices if v.answers_to(name)] or [v for v in voices if v.model.id == name]
    if chosen := nearest(found, language) or next(iter(found), None):
        return chosen
    known = list(dict.fromkeys([v.id for v in voices] + [v.name for v in voices]))
    close = difflib.get_close_matches(name, known, 1, 0.6)
    hint = f"did you mean {close[0]!r}?" if close else "see `dragoman say --list-voices`"
    raise DragomanError(f"no voice {name!r} is installed; {hint}")


def _plain(name: str) -> str:
    bare = unicodedata.normalize("NFD", name.strip()).casefold()
    return "".join(c for c in bare if not unicodedata.combining(c)) or "\0"
