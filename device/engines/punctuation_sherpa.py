"""Capitals and marks by a network, on sherpa-onnx.

Two types: ``online``, a CNN-BiLSTM that writes English with capitals, commas, full stops and question marks; and
``ct-transformer`` (Chen et al., "Controllable Time-Delay Transformer for Real-Time Punctuation Prediction and
Disfluency Detection", 2020), for Chinese and English, which leaves capitals alone. A catalogue entry looks like this::

    [options]
    type = "online"

    [options.files]
    model = "model.int8.onnx"
    vocabulary = "bpe.vocab"        # of the type online alone
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import sherpa_onnx

from device.engines.modelfile import refuse_unknown_options, require_file
from device.errors import DragomanError
from device.modelstore.catalogue import Model
from device.text.punctuation import capitalise, punctuate

_FILES: Final = {"online": ("model", "vocabulary"), "ct-transformer": ("model",)}
_CHINESE: Final = str.maketrans({"，": ", ", "。": ". ", "？": "? ", "、": ", "})  # noqa: RUF001
"""The model writes Chinese marks behind English words too."""


_AFTER_STOP: Final = re.compile(r"(?<=[.?!])(\s+)")


class _Native(Protocol):
    def __call__(self, text: str) -> str: ...


def load(model: Model, folder: Path, threads: int) -> SherpaPunctuator:
    """Load a model of engine ``sherpa-punctuation``.

    Raises
    ------
    DragomanError
        The catalogue entry asks for something unknown, or a file is missing or damaged.
    """
    refuse_unknown_options(model, ("type", "files"))
    kind, files = model.options.get("type"), model.options.get("files", {})
    if kind not in _FILES:
        raise DragomanError(f"model {model.id}: engine {model.engine} has no type {kind!r}; known: {', '.join(_FILES)}")
    if not isinstance(files, Mapping) or set(files) != set(_FILES[kind]):
        raise DragomanError(f"model {model.id}: [options.files] must name {', '.join(_FILES[kind])}")
    paths = {name: str(require_file(model, folder, str(file))) for name, file in files.items()}
    try:
        native = _open(kind, paths, max(1, threads))
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise DragomanError(
            f"model {model.id} in {folder} cannot be loaded ({reason}); run `dragoman models verify`"
        ) from error
    return SherpaPunctuator(model, native, writes_capitals=kind == "online")


def _open(kind: str, paths: Mapping[str, str], threads: int) -> _Native:
    if kind == "online":
        config = sherpa_onnx.OnlinePunctuationConfig(
            model_config=sherpa_onnx.OnlinePunctuationModelConfig(
                cnn_bilstm=paths["model"], bpe_vocab=paths["vocabulary"], num_threads=threads
            )
        )
        add: _Native = sherpa_onnx.OnlinePunctuation(config).add_punctuation_with_case
    else:
        offline = sherpa_onnx.OfflinePunctuationConfig(
            model=sherpa_onnx.OfflinePunctuationModelConfig(ct_transformer=paths["model"], num_threads=threads)
        )
        add = sherpa_onnx.OfflinePunctuation(offline).add_punctuation
    return add


class SherpaPunctuator:
    """A loaded model."""

    def __init__(self, model: Model, native: _Native, *, writes_capitals: bool) -> None:
        self.model_id = model.id
        self.languages = frozenset(tag.split("-")[0] for tag in model.languages)
        self._native, self._writes_capitals = native, writes_capitals

    def punctuate(self, text: str, language: str) -> str:
        """Return text without marks and capitals with both; the words stay as they are.

        Where the model makes something else of the words, the rules do it.
        """
        written = self._native(text.lower()).strip()
        if not language.startswith("zh"):
            written = " ".join(written.translate(_CHINESE).split())
        if _words(written) != _words(text):
            return punctuate(text, language)
        if language.startswith("zh"):
            return written
        # What always has a capital, and a sentence's first word, have one whatever the model says.
        parts = _AFTER_STOP.split(written)
        return "".join(capitalise(part, language) if number % 2 == 0 else part for number, part in enumerate(parts))


def _words(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
