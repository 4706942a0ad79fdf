"""The ways of a conversation, each with everything it needs, loaded."""

from __future__ import annotations

from dataclasses import dataclass

from device.config import DirectionSettings, Settings
from device.engines.protocols import (
    LanguageIdentifier,
    PhraseRecognizer,
    RecognitionSession,
    Recognizer,
    Synthesizer,
)
from device.engines.registry import Engines
from device.errors import DragomanError
from device.text.rules import primary
from device.translation import TextTranslator


@dataclass(frozen=True, slots=True)
class Direction:
    """One way of the conversation."""

    settings: DirectionSettings
    recognizer: Recognizer
    translators: tuple[TextTranslator, ...]
    """One a target, the spoken one first."""
    synthesizer: Synthesizer | None
    phrases: tuple[str, ...] = ()
    """What speakers are likely to say."""

    def session(self) -> RecognitionSession:
        """Begin to recognise an utterance, listening for the phrases where the recogniser can."""
        recognizer = self.recognizer
        if self.phrases and isinstance(recognizer, PhraseRecognizer) and recognizer.takes_phrases:
            return recognizer.session(self.settings.source, self.phrases)
        return recognizer.session(self.settings.source)


def load_directions(engines: Engines, settings: Settings) -> list[Direction]:
    """Load what the settings' directions need.

    Raises
    ------
    DragomanError
        A model is not installed.
    """
    return [_load(engines, settings, direction) for direction in settings.directions]


def _load(engines: Engines, settings: Settings, direction: DirectionSettings) -> Direction:
    speak = direction.speak or next(iter(direction.targets), None)
    targets = sorted(direction.targets, key=lambda t: t != speak)
    voice = None
    if speak is not None and settings.speech.enabled:
        voice = engines.synthesizer(speak, direction.voice)
    return Direction(
        settings=direction,
        recognizer=engines.recognizer(direction.source),
        translators=TextTranslator.for_targets(engines, direction.source, targets, settings.text.glossary),
        synthesizer=voice,
        phrases=settings.text.phrases,
    )


def load_identifier(engines: Engines, settings: Settings) -> LanguageIdentifier | None:
    """Load what tells the two languages of a conversation apart, where that is asked for.

    Raises
    ------
    DragomanError
        No installed model can.
    """
    sources = {primary(d.source) for d in settings.directions}
    if not settings.identify or len(sources) < 2:
        return None
    identifier = engines.identifier()
    if identifier is None or not sources <= identifier.languages:
        raise DragomanError(
            f"no installed model tells {' and '.join(sorted(sources))} apart; "
            "run `dragoman models pull asr-whisper-base`"
        )
    return identifier
