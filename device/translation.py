"""Translates text along a route, sentence by sentence, and remembers what it has translated."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from device.engines.protocols import Translated, Translator
from device.engines.registry import Engines
from device.engines.routes import Route
from device.text.sentences import split_sentences

REMEMBERED = 256
"""Sentences remembered by one leg: enough for the guesses of a few utterances."""


@dataclass(frozen=True, slots=True)
class TextTranslation:
    """A translated text. ``confidence`` is the lowest of its sentences, where known."""

    text: str
    confidence: float | None = None


class Leg:
    """One model of a route, with a memory. Two callers that want the same sentence at once share the work."""

    def __init__(self, engines: Engines, translator: Translator) -> None:
        self._meter, self._translator = engines.meter, translator
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Future[Translated]] = OrderedDict()

    def translate(self, sentence: str) -> Translated:
        """Translate one sentence."""
        with self._lock:
            future = self._known.get(sentence)
            mine = future is None
            if future is None:
                future = self._known[sentence] = Future()
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            else:
                self._known.move_to_end(sentence)
        if mine:
            try:
                with self._meter.stage("mt"):
                    answer = self._translator.translate([sentence])[0]
                future.set_result(answer)
            except BaseException as error:
                with self._lock:
                    self._known.pop(sentence, None)
                future.set_exception(error)
                raise
        return future.result()


class TextTranslator:
    """Translates texts of one language into one target.

    Attributes
    ----------
    target : str
        The language asked for.
    route : tuple of str
        Languages passed through, ``("zh", "en", "pt")``.
    models : tuple of str
        Catalogue ids of the models on the way.
    """

    def __init__(self, target: str, route: Route, legs: Sequence[Leg]) -> None:
        self.target, self.route, self.models = target, route.languages, route.model_ids
        self._legs = tuple(legs)

    @classmethod
    def for_targets(cls, engines: Engines, source: str, targets: Sequence[str]) -> tuple[TextTranslator, ...]:
        """Make a translator for each target; routes that pass through the same model share its memory.

        Raises
        ------
        DragomanError
            When a target cannot be reached from ``source`` with the installed models.
        """
        legs: dict[str, Leg] = {}
        made = []
        for target in targets:
            route = engines.route(source, target)
            for model in route.model_ids:
                if model not in legs:
                    legs[model] = Leg(engines, engines.translator(model))
            made.append(cls(target, route, [legs[m] for m in route.model_ids]))
        return tuple(made)

    def translate(self, text: str) -> TextTranslation:
        """Translate ``text``, a sentence at a time; white space between sentences is kept."""
        out, confidences = [], []
        for sentence in split_sentences(text, self.route[0]):
            core = sentence.strip()
            lead, _, trail = sentence.partition(core) if core else (sentence, "", "")
            for leg in self._legs:
                if core:
                    answer = leg.translate(core)
                    core = answer.text
                    if answer.confidence is not None:
                        confidences.append(answer.confidence)
            out.append(lead + core + trail)
        return TextTranslation("".join(out), min(confidences, default=None))
