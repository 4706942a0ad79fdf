"""Which models a pair of languages, or a whole configuration, needs."""

from __future__ import annotations

from device.config import Settings
from device.errors import DragomanError
from device.modelstore.catalogue import Catalogue, Model, primary


def models_for(catalogue: Catalogue, source: str, target: str) -> list[Model]:
    """Return what it takes to hear ``source`` and to speak it in ``target``.

    A recogniser, the translation models (through one language between where no model is direct), a voice, and
    what detects speech. Of several that serve, default models come first, then verified ones, then the best.

    Raises
    ------
    DragomanError
        The catalogue lacks one of them.
    """
    vad = _first(catalogue.find(task="vad"), "voice activity detector")
    recogniser = _first(catalogue.find(task="asr", language=source), f"recogniser for {source!r}")
    voice = _first(catalogue.find(task="tts", language=target), f"voice for {target!r}")
    return [vad, recogniser, *_translators(catalogue, source, target), voice]


def speaker_models(catalogue: Catalogue) -> list[str]:
    """Return the catalogue ids of what it takes to tell people apart by their voices.

    Raises
    ------
    DragomanError
        The catalogue lacks one of them.
    """
    tasks = {"segmentation": "model that finds where another voice goes on", "speaker": "model of voices"}
    return [_first(catalogue.find(task=task), what).id for task, what in tasks.items()]


def configured_models(catalogue: Catalogue, settings: Settings) -> list[str]:
    """Return the catalogue ids of what the settings' directions, voices, speakers and preferences need.

    A direction without targets needs what hears its language; targets that are not spoken need no voice.

    Raises
    ------
    DragomanError
        The catalogue lacks one of them, or does not know an id that the settings name.
    """
    wanted = [_first(catalogue.find(task="vad"), "voice activity detector").id]
    for way in settings.directions:
        wanted.append(_chosen(catalogue, settings, "asr", way.source, f"recogniser for {way.source!r}"))
        for target in way.targets:
            wanted += [model.id for model in _translators(catalogue, way.source, target)]
        spoken = way.speak or next(iter(way.targets), None)
        if way.voice:
            wanted.append(_voice(catalogue, way.voice, spoken or way.source))
        elif spoken and settings.speech.enabled:
            wanted.append(_chosen(catalogue, settings, "tts", spoken, f"voice for {spoken!r}"))
    if settings.speakers.enabled:
        wanted += speaker_models(catalogue)
    return list(dict.fromkeys(wanted))


def _chosen(catalogue: Catalogue, settings: Settings, task: str, language: str, what: str) -> str:
    for tag in (language, primary(language)) if task == "tts" else ():
        if voice := settings.models.voices.get(tag):
            return _voice(catalogue, voice, language)
    for key in (f"{task}:{language}", f"{task}:{primary(language)}"):
        if preferred := settings.models.prefer.get(key):
            return catalogue[preferred].id
    return _first(catalogue.find(task=task, language=language), what).id


def _voice(catalogue: Catalogue, name: str, language: str) -> str:
    """Return the model of a voice that is told by its id (``tts-kokoro/af_heart``) or by the speaker's name."""
    model_id = name.partition("/")[0]
    if model_id not in catalogue:
        for model in catalogue.find(task="tts", language=language):
            if any(name.casefold() in {speaker.id.casefold(), speaker.name.casefold()} for speaker in model.voices):
                return model.id
    return catalogue[model_id].id


def _rank(model: Model) -> tuple[bool, bool]:
    return (not model.default, not model.verified)


def _first(found: list[Model], what: str) -> Model:
    if not found:
        raise DragomanError(f"the catalogue has no {what}; see `dragoman models list --all`")
    return min(found, key=_rank)  # among equals the first, which is the best


def _translators(catalogue: Catalogue, source: str, target: str) -> list[Model]:
    if primary(source) == primary(target):
        return []
    if direct := catalogue.find(task="mt", source=source, target=target):
        return [min(direct, key=_rank)]
    routes: list[tuple[Model, Model]] = [
        (first, second)
        for first in catalogue.find(task="mt", source=source)
        for second in catalogue.find(task="mt", source=first.target, target=target)
    ]
    if not routes:
        raise DragomanError(f"the catalogue has no way from {source!r} to {target!r}; see `dragoman models list --all`")
    best: tuple[Model, Model] = min(routes, key=_route_rank)
    return list(best)


def _route_rank(legs: tuple[Model, Model]) -> tuple[tuple[bool, bool], float]:
    return max(_rank(leg) for leg in legs), -legs[0].quality * legs[1].quality
