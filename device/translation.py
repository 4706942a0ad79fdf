"""Translates text along a route, sentence by sentence, and remembers what it has translated."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from device.engines.protocols import Translated, Translator
from device.engines.registry import Engines
from device.engines.routes import Route, join_sentences, served_by
from device.text.glossary import Glossary
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

    def translate(self, sentences: Sequence[str]) -> list[Translated]:
        """Translate each sentence; those that nobody has asked for before go to the model together."""
        new: dict[str, Future[Translated]] = {}
        with self._lock:
            futures = []
            for sentence in sentences:
                future = self._known.get(sentence)
                if future is None:
                    future = self._known[sentence] = new[sentence] = Future()
                self._known.move_to_end(sentence)
                futures.append(future)
            while len(self._known) > max(REMEMBERED, len(new)):
                self._known.popitem(last=False)
        if new:
            self._ask(new)
        return [future.result() for future in futures]

    def _ask(self, new: Mapping[str, Future[Translated]]) -> None:
        try:
            with self._meter.stage("mt"):
                answers = self._translator.translate(list(new))
        except BaseException as error:
            with self._lock:
                for sentence, future in new.items():
                    self._known.pop(sentence, None)
                    future.set_exception(error)
            raise
        for future, answer in zip(new.values(), answers, strict=True):
            future.set_result(answer)


class TextTranslator:
    """Translates texts of one language into one target, along a route.

    Attributes
    ----------
    target : str
        The language asked for.
    route : tuple of str
        Languages passed through, ``("zh", "en", "pt")``.
    models : tuple of str
        Catalogue ids of the models on the way.
    """

    def __init__(
        self, target: str, route: Route, legs: Sequence[Leg], glossary: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.target, self.route, self.models = target, route.languages, route.model_ids
        self._legs = tuple(legs)
        pairs = list(itertools.pairwise(route.languages))
        # The terms of the whole way, and on a way with pivots those of each leg.
        self._terms = find_glossary(glossary or {}, route.languages[0], target)
        self._terms_of_legs = [find_glossary(glossary or {} if len(pairs) > 1 else {}, *pair) for pair in pairs]

    @classmethod
    def for_targets(
        cls,
        engines: Engines,
        source: str,
        targets: Sequence[str],
        glossary: Mapping[str, Mapping[str, str]] | None = None,
    ) -> tuple[TextTranslator, ...]:
        """Make a translator for each target; routes that pass through the same model share its memory.

        ``glossary`` holds terms by pair, ``{"en>pt": {"gateway": "porta de ligação"}}``.

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
            made.append(cls(target, route, [legs[m] for m in route.model_ids], glossary))
        return tuple(made)

    def translate(self, text: str) -> TextTranslation:
        """Translate ``text``, sentence by sentence; white space between sentences is kept.

        The text is cut again before every leg, since a pivot may make two sentences of one.
        """
        confidences: list[float] = []
        if self._terms:
            pieces = split_sentences(text, self.route[0])
            along = partial(self._along, confidences=confidences)
            answers = [self._terms.translate(piece.strip(), along) for piece in pieces]
            text = join_sentences(pieces, answers, self.route[-1])
        else:
            text = self._along(text, confidences)
        return TextTranslation(text, min(confidences, default=None))

    def _along(self, text: str, confidences: list[float]) -> str:
        language = self.route[0]
        for leg, to, terms in zip(self._legs, self.route[1:], self._terms_of_legs, strict=True):
            pieces = split_sentences(text, language)
            cores = [piece.strip() for piece in pieces]
            if terms:
                told = partial(_told, leg, confidences=confidences)
                answers = [terms.translate(core, told) for core in cores]
            else:
                translated = leg.translate(cores)
                confidences += [a.confidence for a in translated if a.confidence is not None]
                answers = [answer.text for answer in translated]
            text, language = join_sentences(pieces, answers, to), to
        return text


def find_glossary(glossary: Mapping[str, Mapping[str, str]], source: str, target: str) -> Glossary:
    """Return the terms from ``source`` to ``target``; a pair without regions serves all of them."""
    terms: dict[str, str] = {}
    for pair, listed in glossary.items():
        a, _, b = pair.partition(">")
        if served_by(source, a) is not None and served_by(target, b) is not None:
            terms |= listed
    return Glossary(terms, source, target)


def _told(leg: Leg, sentence: str, confidences: list[float]) -> str:
    (answer,) = leg.translate([sentence])
    if answer.confidence is not None:
        confidences.append(answer.confidence)
    return answer.text
