"""The `Translator` of CTranslate2 models with SentencePiece: Argos Translate's, and OPUS-MT's in CTranslate2 form.

An Argos model is a folder ``model/`` beside one ``sentencepiece.model``; an OPUS-MT model has ``source.spm`` and
``target.spm`` beside ``model.bin``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import ctranslate2
import sentencepiece

from device.engines.cuda import require
from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.mt_text import ChunkTranslation, ChunkTranslator
from device.engines.protocols import Translated
from device.errors import DragomanError
from device.modelstore.catalogue import Model
from device.text.sentences import SPACELESS

_OPTIONS: Final = {"beam": int, "source_eos": bool, "prefix": str, "compute_type": str}
"""``beam``: hypotheses kept (1 is greedy). ``source_eos``: whether to end the source with EOS, where the model's own
configuration does not tell. ``prefix``: first source token, such as ``>>por<<`` of models with several targets.
"""

_LONGEST_CHUNK: Final = 400
_LONGEST_SPACELESS_CHUNK: Final = 150
"""Characters; a Chinese one says as much as several Latin letters."""

_BATCH_TOKENS: Final = 1024
"""Source tokens translated at once: bounds memory, and is enough for a paragraph of sentences."""

_LENGTH_FACTOR: Final = 3
_SPACE: Final = "▁"


class CTranslate2Translator:
    """One direction of translation; safe to use from several threads."""

    def __init__(self, model: Model, folder: Path, threads: int = 1, provider: str = "cpu") -> None:
        device = require(provider)
        if model.source is None or model.target is None:
            raise DragomanError(f"model {model.id}: a translation model needs a source and a target language")
        options = _checked_options(model)
        self.model_id = model.id
        self.source = model.source
        self.target = model.target
        self._beam = max(1, int(options.get("beam", 1)))
        nested = (folder / "model").is_dir()
        shared = (folder / "sentencepiece.model").is_file()
        require_file(model, folder, "model/model.bin" if nested else "model.bin")
        self._source_pieces = _pieces(model, folder, "sentencepiece.model" if shared else "source.spm")
        self._target_pieces = self._source_pieces if shared else _pieces(model, folder, "target.spm")
        weights = folder / "model" if nested else folder
        try:
            self._translator = ctranslate2.Translator(
                str(weights),
                device=device,
                compute_type=options.get("compute_type", "int8"),
                inter_threads=1,
                intra_threads=max(1, threads),
            )
        except (RuntimeError, ValueError) as error:
            reason = (str(error).splitlines() or ["damaged"])[0]
            raise DragomanError(
                f"model {model.id}: cannot load {weights} ({reason}); run `dragoman models verify`"
            ) from error
        self._before = [str(options["prefix"])] if "prefix" in options else []
        self._after = _source_end(weights, options.get("source_eos"), opus=not shared)
        spaceless = self.source.split("-", 1)[0] in SPACELESS
        self._spaceless = spaceless
        limit = _LONGEST_SPACELESS_CHUNK if spaceless else _LONGEST_CHUNK
        self._text = ChunkTranslator(self.source, self.target, self._run, self._knows, limit)

    def translate(self, sentences: Sequence[str]) -> list[Translated]:
        """Translate each sentence by itself, together in batches; longer text is cut into sentences inside."""
        return self._text.translate_together(sentences)

    def _run(self, chunks: Sequence[str]) -> list[ChunkTranslation]:
        sources = [[*self._before, *self._source_pieces.encode(chunk, out_type=str), *self._after] for chunk in chunks]
        longest = max(map(len, sources))
        results = self._translator.translate_batch(
            sources,
            max_batch_size=_BATCH_TOKENS,
            batch_type="tokens",
            beam_size=self._beam,
            max_decoding_length=_LENGTH_FACTOR * longest + 10,
            return_scores=True,
            replace_unknowns=True,
        )
        return [self._chunk(result.hypotheses[0], result.scores[0]) for result in results]

    def _chunk(self, pieces: Sequence[str], score: float) -> ChunkTranslation:
        text = "".join(pieces).replace(_SPACE, " ").strip()
        steps = len(pieces) + 1
        return ChunkTranslation(text, score * steps, steps)

    def _knows(self, character: str) -> bool:
        if self._spaceless and "\u3400" <= character <= "\u9fff":
            return True  # a rare ideograph belongs to its sentence; CTranslate2 copies what it does not know
        return self._source_pieces.unk_id() not in self._source_pieces.encode(character)


def load(model: Model, folder: Path, threads: int = 1, provider: str = "cpu") -> CTranslate2Translator:
    """Load the CTranslate2 model in ``folder``.

    Raises
    ------
    DragomanError
        A file is missing or damaged, the catalogue entry has an option that this engine does not know, or ``provider``
        is cuda and there is none.
    """
    return CTranslate2Translator(model, folder, threads, provider)


def _checked_options(model: Model) -> dict[str, Any]:
    refuse_unknown_options(model, _OPTIONS)
    for name, value in model.options.items():
        if type(value) is not _OPTIONS[name]:
            raise DragomanError(f"model {model.id}: option {name} must be {_OPTIONS[name].__name__}, not {value!r}")
    return dict(model.options)


def _pieces(model: Model, folder: Path, name: str) -> sentencepiece.SentencePieceProcessor:
    path = require_file(model, folder, name)
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise DragomanError(
            f"model {model.id}: {path} is not a SentencePiece model; run `dragoman models verify`"
        ) from error


def _source_end(weights: Path, wanted: bool | None, *, opus: bool) -> list[str]:
    """Return the tokens to put after a source sentence: EOS, unless CTranslate2 adds it or the model has none.

    OPUS-MT models were trained with EOS in the source, Argos's without, and the configuration file does not say
    which where CTranslate2 does not add it itself.
    """
    try:
        configuration = json.loads((weights / "config.json").read_text())
    except (OSError, ValueError):
        configuration = {}
    adds = bool(configuration.get("add_source_eos", False))
    needed = opus if wanted is None else wanted
    return [str(configuration.get("eos_token", "</s>"))] if needed and not adds else []
