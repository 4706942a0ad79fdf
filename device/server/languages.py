"""Which installed models answer for the locales and voices that Azure's programs name."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from device.config import canonical_language
from device.engines.registry import Engines
from device.engines.routes import reachable_targets
from device.engines.voices import InstalledVoice
from device.errors import DragomanError
from device.modelstore.catalogue import primary
from device.server.azure_voices import gender_of


class LanguageError(DragomanError):
    """A language that no installed model serves; the message lists those that can be."""


@dataclass(frozen=True, slots=True)
class VoiceName:
    """An installed voice as Azure would name it."""

    voice: InstalledVoice

    @property
    def id(self) -> str:
        """The device's own name of it: ``tts-piper-pt-faber``."""
        return self.voice.id

    @property
    def locale(self) -> str:
        """Language and region: ``pt-BR``."""
        return default_locale(self.voice.language)

    @property
    def given(self) -> str:
        """The speaker's name: ``Faber``."""
        return self.voice.name

    @property
    def gender(self) -> str:
        """``Female``, ``Male`` or, where nobody has said, ``Neutral``."""
        return (self.voice.speaker.gender or "neutral").capitalize()

    @property
    def short(self) -> str:
        """The name that programs use: ``pt-BR-FaberNeural``."""
        return f"{self.locale}-{self.given}Neural"


_REGIONS = {
    "en": "US", "pt": "BR", "zh": "CN", "ja": "JP", "ko": "KR", "cs": "CZ", "da": "DK", "el": "GR", "sv": "SE",
    "uk": "UA", "vi": "VN", "hi": "IN", "nb": "NO", "he": "IL", "fa": "IR", "et": "EE", "ca": "ES", "sl": "SI",
    "bn": "IN", "ta": "IN", "te": "IN", "ms": "MY", "sr": "RS", "ka": "GE", "kk": "KZ", "sw": "KE", "ne": "NP",
}  # fmt: skip
"""The region that a language without one is served as, where it is not the language's own code."""


def default_locale(language: str) -> str:
    """Return a tag with a region: ``en-US`` for ``en``."""
    return language if "-" in language else f"{language}-{_REGIONS.get(language, language.upper())}"


class Languages:
    """What the installed models can do, by Azure's names; asked anew each time, for models come and go."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def recognized(self) -> tuple[str, ...]:
        """Return the languages that are understood, sorted."""
        return tuple(sorted({primary(tag) for model in self._engines.installed("asr") for tag in model.languages}))

    def spoken(self) -> list[VoiceName]:
        """Return the installed voices, best first."""
        return [VoiceName(voice) for voice in self._engines.voices()]

    def targets(self, source: str) -> tuple[str, ...]:
        """Return the languages that ``source`` can be translated into."""
        return reachable_targets(self._engines.installed("mt"), source)

    def source(self, locale: str) -> str:
        """Return the language that is recognised for ``locale``: its primary subtag.

        Raises
        ------
        LanguageError
            No recogniser of it is installed.
        """
        language = primary(_canonical(locale))
        known = self.recognized()
        if language not in known:
            raise LanguageError(f"{locale!r} is not recognised here; installed: {', '.join(known) or 'nothing'}")
        return language

    def target(self, source: str, locale: str) -> str:
        """Return the language that is translated into for ``locale``.

        Raises
        ------
        LanguageError
            No installed models lead there from ``source``.
        """
        wanted = _canonical(locale)
        for tag in dict.fromkeys((wanted, primary(wanted))):
            try:
                self._engines.route(source, tag)
            except DragomanError:
                continue
            return tag
        known = ", ".join(self.targets(source)) or "nothing"
        raise LanguageError(f"{source!r} cannot be translated into {locale!r} here; installed: {known}")

    def voice(self, name: str = "", locale: str = "", gender: str = "") -> VoiceName:
        """Return the installed voice nearest to a voice's name (``de-DE-KatjaNeural``), else to a locale.

        The same voice comes first, then one of the same gender, then one of the same locale; among those the best.
        Long names (``Microsoft Server Speech Text to Speech Voice (de-DE, KatjaNeural)``) are understood, and so are
        the device's own (``tts-kokoro/af_heart``). A name decides the gender where it is known.

        Raises
        ------
        LanguageError
            No voice of that language is installed.
        """
        voices = self.spoken()
        short, named = voice_locale(name)
        own = [v for v in voices if name and (v.voice.answers_to(name) or v.short.lower() == (short or name).lower())]
        wanted = _canonical(named or locale or "en-US")
        if own:
            return min(own, key=lambda v: (v.locale != wanted, primary(v.locale) != primary(wanted)))
        same = [v for v in voices if primary(v.locale) == primary(wanted)]
        if not same:
            known = ", ".join(v.short for v in voices) or "nothing"
            raise LanguageError(f"no voice speaks {name or locale or wanted!r} here; installed: {known}")
        alike = difflib.get_close_matches(short, [v.short for v in same], 1, 0.8)
        kind = gender_of(short) or gender.lower()
        return min(
            same, key=lambda v: (v.short not in alike, bool(kind) and v.gender.lower() != kind, v.locale != wanted)
        )


def voice_locale(name: str) -> tuple[str, str]:
    """Return a voice's short name and its locale, both empty where the name tells none."""
    if long := re.search(r"\(([A-Za-z-]+),\s*(\w+)\)\s*$", name):
        name = f"{long[1]}-{long[2]}"
    found = re.match(r"([a-z]{2,3}(?:-[A-Za-z]{4})?-(?:[A-Z]{2}|\d{3}))(?:-|$)", name)
    return (name, found[1]) if found else ("", "")


def _canonical(locale: str) -> str:
    try:
        return canonical_language(locale.strip().replace("_", "-"))
    except ValueError as error:
        raise LanguageError(f"{locale[:40]!r} is {error}") from None
