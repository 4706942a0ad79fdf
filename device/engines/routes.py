"""Which translation models to pass through, from one language to another.

A route is direct where it can be; else it goes through one pivot language, or two. Among routes of equal length the
one with the best product of its models' qualities wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from device.errors import DragomanError
from device.modelstore.catalogue import Model
from device.text.sentences import SPACELESS

_PARTS_NONE: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uff00-\uffef]")
"""Letters and marks of the scripts that are written without spaces."""
MOST_PIVOTS: Final = 2
"""Each leg loses meaning and takes time; a third pivot is not worth having."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way from one language to another.

    Attributes
    ----------
    languages
        The languages passed through, as the models name them: ``("zh", "en", "pt")``. One language alone is the
        route between tags that are the same for translation (``pt`` and ``pt-BR``).
    model_ids
        The catalogue ids of the models between them.
    """

    languages: tuple[str, ...]
    model_ids: tuple[str, ...]

    @property
    def source(self) -> str:
        """The language of the first model's input."""
        return self.languages[0]

    @property
    def target(self) -> str:
        """The language of the last model's output, which may lack the region that was asked for."""
        return self.languages[-1]


def find_route(models: Iterable[Model], source: str, target: str) -> Route:
    """Return the best route from ``source`` to ``target`` through ``models``.

    A tag with a region is served by a model of that region, else by one of the bare language; a bare language is
    served by any region. `Route.languages` says which.

    Raises
    ------
    DragomanError
        No route exists; the message lists what can be reached from ``source``.
    """
    if served_by(source, target) is not None:
        return Route((target,), ())
    models = list(models)
    for path in _paths_by_length(models, source):
        arriving = [p for p in path if served_by(target, p[-1].target or "") is not None]
        if arriving:
            best = max(arriving, key=lambda p: (_exactness(p, source, target), prod(m.quality for m in p)))
            languages = (best[0].source or "", *(model.target or "" for model in best))
            return Route(languages, tuple(model.id for model in best))
    reachable = reachable_targets(models, source)
    if reachable:
        hint = f"from {source!r} the installed models reach {', '.join(reachable)}"
    else:
        hint = f"no installed model translates from {source!r}"
    raise DragomanError(f"no way to translate {source!r} into {target!r}: {hint}; see `dragoman models list`")


def reachable_targets(models: Iterable[Model], source: str) -> tuple[str, ...]:
    """Return every language that ``source`` can be translated into, sorted."""
    models = list(models)
    found = {path[-1].target or "" for paths in _paths_by_length(models, source) for path in paths}
    return tuple(sorted(tag for tag in found if served_by(source, tag) is None))


def served_by(wanted: str, offered: str) -> int | None:
    """Return how well a model's language serves the one that is wanted: 2 exactly, 1 but for the region, None not.

    ``pt-BR`` is served by ``pt`` and ``pt`` by ``pt-BR``, but not ``pt-BR`` by ``pt-PT``; a script is a matter of
    meaning for the reader (``zh-Hant``), so it counts like a region.
    """
    wanted, offered = wanted.lower(), offered.lower()
    if wanted == offered:
        return 2
    a, b = wanted.split("-"), offered.split("-")
    shorter = min(len(a), len(b))
    return 1 if a[:shorter] == b[:shorter] else None


def _paths_by_length(models: Sequence[Model], source: str) -> Iterable[list[tuple[Model, ...]]]:
    """Yield all paths of one model, then of two, then of three, none of which passes a language twice."""
    paths: list[tuple[Model, ...]] = [
        (m,) for m in models if m.source and m.target and served_by(source, m.source) is not None
    ]
    for _ in range(MOST_PIVOTS + 1):
        yield paths
        paths = [
            (*path, model)
            for path in paths
            for model in models
            if model.source
            and model.target
            and served_by(path[-1].target or "", model.source) is not None
            and all(served_by(model.target, leg.source or "") is None for leg in path)
            and served_by(model.target, path[-1].target or "") is None
        ]


def _exactness(path: Sequence[Model], source: str, target: str) -> int:
    return (served_by(source, path[0].source or "") or 0) + (served_by(target, path[-1].target or "") or 0)


def join_sentences(originals: Sequence[str], translations: Sequence[str], target: str) -> str:
    """Put translated sentences together with the white space of their originals.

    Where the source is written without spaces between sentences and the target is not, one is put there, and taken
    away the other way round. A word without end, cut because of its length, is put together again.
    """
    spaceless = target.split("-", 1)[0] in SPACELESS
    out = ""
    for number, (original, translation) in enumerate(zip(originals, translations, strict=True)):
        core = original.strip()
        lead, _, trail = original.partition(core) if core else (original, "", "")
        if number < len(originals) - 1:
            if core and not trail and not spaceless and not _inside_word(core, originals[number + 1]):
                trail = " "
            elif trail == " " and spaceless:
                trail = ""
        out += lead + (translation if core else "") + trail
    return out


def _inside_word(before: str, after: str) -> bool:
    """Whether a cut parts two letters, or two signs that are no letters, of a script that is written with spaces."""
    a, b = before[-1:], after[:1]
    if not a or not b or a.isspace() or b.isspace() or _PARTS_NONE.match(a):
        return False
    return a.isalnum() == b.isalnum() or not (a.isalnum() or b.isupper())
