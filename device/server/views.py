"""The shared engines as one conversation sees them: with less hurry, or with phrases that are likely to be said."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from device.engines.protocols import Recognition, RecognitionSession, Recognizer
from device.engines.registry import Engines
from device.engines.scheduler import Priority
from device.events import Samples
from device.text.phrases import PhraseList

P = ParamSpec("P")
T = TypeVar("T")


class Unhurried:
    """The engines for work that nobody waits for: its finals come after all that live conversations need."""

    def __init__(self, engines: Engines) -> None:
        self._engines, self.scheduler = engines, self

    def submit(self, priority: Priority, call: Callable[P, T], *args: P.args) -> Future[T] | None:  # type: ignore[valid-type]
        """Queue a call as `Scheduler.submit` does, after urgent ones."""
        return self._engines.scheduler.submit(max(priority, Priority.AHEAD), call, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engines, name)


class Hinted:
    """The engines with recognisers that know which phrases are likely."""

    def __init__(self, engines: Engines, phrases: PhraseList) -> None:
        self._engines, self._phrases = engines, phrases

    def recognizer(self, language: str) -> Any:
        """Return the recogniser of ``language``."""
        return _HintedRecognizer(self._engines.recognizer(language), self._phrases)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engines, name)


class _HintedRecognizer:
    def __init__(self, recognizer: Recognizer, phrases: PhraseList) -> None:
        self._recognizer, self._phrases = recognizer, phrases

    def session(self, language: str) -> RecognitionSession:
        return _HintedSession(self._recognizer.session(language), self._phrases)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recognizer, name)


class _HintedSession:
    def __init__(self, session: RecognitionSession, phrases: PhraseList) -> None:
        self._session, self._phrases = session, phrases

    def recognize(self, samples: Samples, *, final: bool) -> Recognition:
        heard = self._session.recognize(samples, final=final)
        return replace(heard, text=self._phrases.apply(heard.text)) if heard.text else heard
