"""The `Translator` of Bergamot student models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import sentencepiece

from device.engines.bergamot.convert import VOCABULARY
from device.engines.bergamot.model import LONGEST_SOURCE, Student
from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.mt_text import ChunkTranslation, ChunkTranslator
from device.engines.protocols import Translated
from device.errors import DragomanError
from device.modelstore.catalogue import Model
from device.text.sentences import split_sentences

_LONGEST_CHUNK: Final = 400
"""Characters, about a hundred pieces: students were trained on sentences, not on paragraphs."""


class BergamotTranslator:
    """One direction of translation by a converted student; safe to use from several threads."""

    def __init__(self, model: Model, folder: Path, threads: int = 1) -> None:
        if model.source is None or model.target is None:
            raise DragomanError(f"{model.id}: a translation model needs a source and a target language")
        refuse_unknown_options(model, ())
        self.model_id = model.id
        self.source = model.source
        self.target = model.target
        path = require_file(model, folder, VOCABULARY)
        try:
            self._vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise DragomanError(f"{path}: cannot read the vocabulary; pull the model again") from error
        self._end: int = self._vocabulary.eos_id()
        self._unknown: int = self._vocabulary.unk_id()
        self._student = Student(folder, threads, self._end)
        self._text = ChunkTranslator(self.source, self.target, self._run, self._knows, _LONGEST_CHUNK)

    def translate(self, sentences: Sequence[str]) -> list[Translated]:
        """Translate each sentence by itself; longer text is cut into sentences inside."""
        return self._text.translate(sentences)

    def _run(self, chunks: Sequence[str]) -> list[ChunkTranslation]:
        # One after another: with one thread a batch gains nothing, and padding costs.
        return [self._run_one(chunk) for chunk in chunks]

    def _run_one(self, chunk: str) -> ChunkTranslation:
        tokens: list[int] = self._vocabulary.encode(chunk)
        if len(tokens) >= LONGEST_SOURCE:
            halves = split_sentences(chunk, self.source, limit=max(1, len(chunk) // 2))
            done = [self._run_one(half) for half in halves]
            return ChunkTranslation(
                " ".join(part.text for part in done),
                sum(part.log_probability for part in done),
                sum(part.steps for part in done),
            )
        hypothesis = self._student.translate([*tokens, self._end])
        text: str = self._vocabulary.decode(list(hypothesis.tokens))
        return ChunkTranslation(text, hypothesis.log_probability, hypothesis.steps)

    def _knows(self, character: str) -> bool:
        return self._unknown not in self._vocabulary.encode(character)
