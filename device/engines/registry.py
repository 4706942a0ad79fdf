"""Every loaded model of the process: each is loaded once, when it is first needed, and shared by all."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from device.closing import Closing
from device.config import EndpointSettings, ModelSettings, Settings
from device.engines import mt_apertium
from device.engines.memory import give_back, share_one_heap
from device.engines.protocols import (
    Aligner,
    LanguageIdentifier,
    Punctuator,
    Recognizer,
    Segmenter,
    Synthesizer,
    Translator,
    VoiceActivity,
    Voiceprints,
)
from device.engines.routes import Route, find_route
from device.engines.scheduler import Meter, Priority, Scheduler, sensible_threads
from device.engines.voices import InstalledVoice, named, nearest, voices_of
from device.errors import DragomanError
from device.modelstore.catalogue import Model
from device.modelstore.store import ModelStore, open_store

ADAPTERS = {
    "moonshine": "device.engines.asr_moonshine",
    "sherpa-offline": "device.engines.asr_sherpa",
    "sherpa-online": "device.engines.asr_sherpa",
    "sherpa-punctuation": "device.engines.punctuation_sherpa",
    "whisper-ct2": "device.engines.asr_whisper",
    "ctranslate2": "device.engines.mt_ctranslate",
    "bergamot": "device.engines.bergamot",
    "apertium": "device.engines.mt_apertium",
    "kokoro": "device.engines.tts_kokoro",
    "piper": "device.engines.tts_piper",
    "pyannote": "device.engines.segment_pyannote",
    "sherpa-speaker": "device.engines.speaker_sherpa",
    "silero": "device.engines.vad_silero",
}
"""Which module loads a model, by the catalogue's ``engine``; imported when first needed."""

LISTED_FOR = 1.0
"""Seconds for which the list of installed models is used: a conversation asks for it many times as it begins."""
CAPABLE = frozenset({"sherpa-offline", "sherpa-online", "whisper-ct2", "ctranslate2"})
"""Engines whose adapters take a ``provider``; the others stay on the processor."""

TELLING_APART = ("segment-pyannote", "speaker-wespeaker")
"""Models that tell people apart, which the catalogue has; others of their tasks will do."""

TIDY_EVERY = 5.0
"""Seconds between two tidyings of memory."""


class Engines(Closing):
    """Loads the installed models and shares them out.

    Parameters
    ----------
    store
        Where models are installed.
    settings
        Preferences, threads and workers.

    Attributes
    ----------
    scheduler : Scheduler
        Runs the engine calls of every conversation.
    meter : Meter
        What the engine calls cost.
    """

    def __init__(self, store: ModelStore, settings: ModelSettings) -> None:
        self._store, self._settings = store, settings
        workers, threads = sensible_threads()
        self._threads = settings.threads or threads
        self._lock = threading.Lock()
        self._loaded: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._given_back = time.monotonic()
        self._listed: tuple[float, list[Model]] = (-LISTED_FOR, [])
        share_one_heap()
        self.meter = Meter()
        self.scheduler = Scheduler(settings.workers or workers)

    @classmethod
    def open(cls, settings: Settings) -> Engines:
        """Open the model store that the settings name."""
        return cls(open_store(settings), settings.models)

    def close(self) -> None:
        """Stop the scheduler; conversations must have ended."""
        self.scheduler.close()

    def preload(self, settings: Settings) -> None:
        """Load, side by side, every model that the settings' directions need.

        Raises
        ------
        DragomanError
            One is not installed, or cannot be loaded; damaged ones are named.
        """
        try:
            self._preload(settings)
        except DragomanError as error:
            if damaged := [model for model in self._store.begun() if not self._store.is_installed(model)]:
                names = " ".join(damaged)
                raise DragomanError(f"{error}; damaged or incomplete: run `dragoman models pull {names}`") from None
            raise

    @property
    def loaded(self) -> list[str]:
        """The ids of the models that are loaded, in the order in which they were."""
        return list(self._loaded)

    def _preload(self, settings: Settings) -> None:
        wanted: list[Callable[[], object]] = [partial(self.vad, settings.endpoint)]
        for direction in settings.directions:
            speak = direction.speak or next(iter(direction.targets), None)
            wanted.append(partial(self.recognizer, direction.source))
            if speak is not None and settings.speech.enabled:
                wanted.append(partial(self.synthesizer, speak, direction.voice))
            for target in direction.targets:
                route = self.route(direction.source, target)
                wanted += [partial(self.translator, model) for model in route.model_ids]
        if settings.speakers.enabled:
            wanted.append(self.telling_apart)
        pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="load")
        try:
            loading = [pool.submit(load) for load in wanted]
            errors = [error for error in (job.exception() for job in loading) if error is not None]
        finally:  # when told to stop, nobody waits for what is left
            pool.shutdown(wait=False, cancel_futures=True)
        if told := [str(error) for error in errors if isinstance(error, DragomanError)]:
            raise DragomanError("; ".join(dict.fromkeys(told)))
        if errors:
            raise errors[0]

    def recognizer(self, language: str) -> Recognizer:
        """Return the best installed recogniser of ``language``."""
        recognizer: Recognizer = self._load(self._choose("asr", language))
        return recognizer

    def punctuator(self, language: str) -> Punctuator | None:
        """Return an installed model that puts capitals and marks into text of ``language``, if there is one."""
        for model in self.installed("punctuation"):
            if _primary(language) in {_primary(tag) for tag in model.languages}:
                punctuator: Punctuator = self._load(model)
                return punctuator
        return None

    def identifier(self) -> LanguageIdentifier | None:
        """Return an installed model that tells languages apart, if there is one."""
        for model in self.installed("asr"):
            if model.engine == "whisper-ct2":
                identifier: LanguageIdentifier = self._load(model)
                return identifier
        return None

    def aligner(self, language: str) -> Aligner | None:
        """Return an installed model that tells when words of ``language`` were said, if there is one."""
        for model in self.installed("asr"):
            if model.engine == "whisper-ct2":
                aligner: Aligner = self._load(model)
                if _primary(language) in aligner.languages:
                    return aligner
        return None

    def telling_apart(self) -> tuple[Segmenter, Voiceprints]:
        """Return what tells people apart by their voices.

        Raises
        ------
        DragomanError
            A model for that is not installed.
        """
        found = [next(iter(self.installed(task)), None) for task in ("segmentation", "speaker")]
        missing = [known for known, model in zip(TELLING_APART, found, strict=True) if model is None]
        if missing:
            raise DragomanError(f"speakers cannot be told apart here; run `dragoman models pull {' '.join(missing)}`")
        segmenter, voiceprints = (self._load(model) for model in found if model is not None)
        return segmenter, voiceprints

    def synthesizer(self, language: str, voice: str | None = None) -> Synthesizer:
        """Return the voice named ``voice`` (see `voice`), loaded."""
        chosen = self.voice(language, voice)
        synthesizer: Synthesizer = self._load(chosen.model).speaker(chosen.speaker)
        return synthesizer

    def voices(self) -> list[InstalledVoice]:
        """Return the installed voices: those that the settings name for a language first, then the best."""
        wanted = list(self._settings.voices.values())
        return sorted(voices_of(self.installed("tts")), key=lambda voice: not any(map(voice.answers_to, wanted)))

    def voice(self, language: str, name: str | None = None) -> InstalledVoice:
        """Return the voice that answers to ``name``, else the one that the settings or the catalogue prefer.

        A name is an id (``tts-kokoro/af_heart``), a model's id, or the speaker's own name; where several voices
        have it, one that speaks ``language``.

        Raises
        ------
        DragomanError
            There is none of that name, or no voice of ``language`` is installed.
        """
        name = name or next(
            (v for tag in (language, _primary(language)) if (v := self._settings.voices.get(tag))), None
        )
        if name:
            model_id = name.partition("/")[0]
            if model_id in self._store.catalogue and (model := self._installed(model_id)).task != "tts":
                raise DragomanError(f"{model.id} is no voice but a model for {model.task}")
            return named(self.voices(), name, language)
        model = self._choose("tts", language)
        return nearest(voices_of([model]), language) or voices_of([model])[0]

    def route(self, source: str, target: str) -> Route:
        """Return the best way from ``source`` to ``target`` through installed models."""
        return find_route(self.installed("mt"), source, target)

    def translator(self, model_id: str) -> Translator:
        """Return a translation model by its catalogue id, as a `Route` names it."""
        translator: Translator = self._load(self._installed(model_id))
        return translator

    def folder(self, model_id: str) -> Path:
        """Return the folder of an installed model that is no engine of its own (noise suppression)."""
        return self._store.path(model_id)

    def vad(self, settings: EndpointSettings) -> VoiceActivity:
        """Return a new voice activity detector for one conversation."""
        models = self.installed("vad")
        if not models:
            raise DragomanError("no voice activity detector is installed; run `dragoman models pull vad-silero`")
        vad: VoiceActivity = self._adapter(models[0])(models[0], self._store.path(models[0].id), settings)
        return vad

    def tidy(self) -> None:
        """Give memory back to the system, now and then, when nothing more urgent is to be done."""
        if time.monotonic() - self._given_back > TIDY_EVERY:
            self._given_back = time.monotonic()
            self.scheduler.submit(Priority.PARTIAL, give_back)

    def installed(self, task: str) -> list[Model]:
        """Return the installed models for ``task``, best first."""
        models = [m for m in self._all_installed() if m.task == task]
        if task == "mt":
            models += mt_apertium.installed_pairs()
        return sorted(models, key=lambda m: -m.quality)

    def _all_installed(self) -> list[Model]:
        listed, models = self._listed
        if time.monotonic() - listed > LISTED_FOR:
            models = [self._store.catalogue[model] for model in self._store.installed()]
            self._listed = time.monotonic(), models
        return models

    def _choose(self, task: str, language: str) -> Model:
        preferred = self._settings.prefer.get(f"{task}:{language}") or self._settings.prefer.get(
            f"{task}:{_primary(language)}"
        )
        if preferred:
            return self._installed(preferred)
        candidates = self.installed(task)
        exact = [m for m in candidates if language in m.languages]
        near = [m for m in candidates if _primary(language) in {_primary(tag) for tag in m.languages}]
        if found := next(iter(exact + near), None):
            return found
        what = {"asr": "recogniser", "tts": "voice"}[task]
        known = self._store.catalogue.find(task=task, language=_primary(language))
        begun = self._store.begun()
        # One that is there, but damaged or half fetched, goes before what a plain pull would fetch.
        known.sort(key=lambda m: (m.id not in begun, not m.default, not m.verified))
        hint = f"run `dragoman models pull {known[0].id}`" if known else "the catalogue has none either"
        if known and known[0].id in begun:
            raise DragomanError(f"{known[0].id}, the {what} for {language!r}, is damaged or incomplete; {hint}")
        raise DragomanError(f"no {what} for {language!r} is installed; {hint}")

    def _installed(self, model_id: str) -> Model:
        if pair := next((m for m in mt_apertium.installed_pairs() if m.id == model_id), None):
            return pair
        model = self._store.catalogue[model_id]
        self._store.path(model.id)
        return model

    def _load(self, model: Model) -> Any:
        with self._lock:
            lock = self._locks.setdefault(model.id, threading.Lock())
        with lock:
            if model.id not in self._loaded:
                # The system's packages keep what Apertium needs.
                path = mt_apertium.MODES if model.engine == "apertium" else self._store.path(model.id)
                given = {"provider": self._settings.provider} if model.engine in CAPABLE else {}
                self._loaded[model.id] = self._adapter(model)(model, path, self._threads, **given)
            return self._loaded[model.id]

    def _adapter(self, model: Model) -> Callable[..., Any]:
        if model.engine not in ADAPTERS:
            raise DragomanError(
                f"model {model.id}: unknown engine {model.engine!r}; known: {', '.join(sorted(ADAPTERS))}"
            )
        load: Callable[..., Any] = import_module(ADAPTERS[model.engine]).load
        return load


def _primary(language: str) -> str:
    """Return the primary subtag: ``pt`` of ``pt-BR``."""
    return language.split("-", 1)[0].lower()
