"""Converts a Bergamot student, once, into files that plain onnxruntime runs.

From ``model.bin``, ``vocab.spm`` and ``lex.bin`` in one folder come, beside them, the files of `OUTPUTS`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import sentencepiece

from device.engines.bergamot.architecture import read_architecture
from device.engines.bergamot.container import Container
from device.engines.bergamot.shortlist import Shortlist
from device.engines.bergamot.weights import OUTPUT_BIAS, read_embeddings
from device.errors import DragomanError

FORMAT_VERSION: Final = 1
"""Of the files written here; a change makes older conversions be made again."""

MODEL: Final = "model.bin"
VOCABULARY: Final = "vocab.spm"
SHORTLIST: Final = "lex.bin"
ENCODER: Final = "encoder.onnx"
DECODER: Final = "decoder_step.onnx"
EMBEDDINGS: Final = "embeddings.npy"
BIAS: Final = "output_bias.npy"
DESCRIPTION: Final = "student.json"

INPUTS: Final = (MODEL, VOCABULARY, SHORTLIST)
OUTPUTS: Final = (ENCODER, DECODER, EMBEDDINGS, BIAS, DESCRIPTION)
"""In the order of writing: with the last one there, the conversion is whole."""


def convert(folder: Path) -> None:
    """Convert the student in ``folder``; either every file of `OUTPUTS` is new when this returns, or it raises.

    Raises
    ------
    DragomanError
        A file is missing or damaged, or the model is of an architecture that cannot be converted (the message
        says what differs), or the disk is full.
    """
    from device.engines.bergamot.graph import decoder_graph, encoder_graph  # onnx is slow to import

    container = Container.open(folder / MODEL)
    architecture = read_architecture(container)
    Shortlist(folder / SHORTLIST, architecture.vocabulary).check()
    _check_vocabulary(folder / VOCABULARY, architecture.vocabulary)
    embeddings = read_embeddings(container)
    bias = container.floats(OUTPUT_BIAS).reshape(-1)
    if bias.shape != (architecture.vocabulary,):
        raise DragomanError(f"{container.path}: {OUTPUT_BIAS!r} does not fit the vocabulary")
    description = {
        "format": FORMAT_VERSION,
        "dim": architecture.dim,
        "heads": architecture.heads,
        "decoder_layers": architecture.decoder_layers,
        "vocabulary": architecture.vocabulary,
        "embedding_scale": embeddings.scale,
    }
    try:
        encoder = encoder_graph(container, architecture)
        decoder = decoder_graph(container, architecture, embeddings)
    except ValueError as error:  # shapes that do not fit each other: onnx's checker and numpy raise this
        raise DragomanError(f"{container.path}: the model's tensors do not fit together: {error}") from error
    try:
        _replace(folder / ENCODER, lambda path: path.write_bytes(encoder))
        _replace(folder / DECODER, lambda path: path.write_bytes(decoder))
        _replace(folder / EMBEDDINGS, lambda path: np.save(path, embeddings.values, allow_pickle=False))
        _replace(folder / BIAS, lambda path: np.save(path, bias, allow_pickle=False))
        _replace(folder / DESCRIPTION, lambda path: path.write_text(json.dumps(description, indent=1) + "\n"))
    except OSError as error:
        raise DragomanError(f"{folder}: cannot write the converted model: {error.strerror or error}") from error


def read_description(folder: Path) -> dict[str, float]:
    """Return what `convert` noted about the student in ``folder``.

    Raises
    ------
    DragomanError
        The student was not converted, or by a program of another format.
    """
    path = folder / DESCRIPTION
    try:
        description: dict[str, float] = json.loads(path.read_text())
        version = description["format"]
    except FileNotFoundError:
        raise DragomanError(f"{folder}: the model has not been converted; pull it again") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DragomanError(f"{path}: damaged ({error}); pull the model again") from error
    if version != FORMAT_VERSION:
        raise DragomanError(f"{path}: converted to format {version}, not {FORMAT_VERSION}; pull the model again")
    return description


def _check_vocabulary(path: Path, size: int) -> None:
    try:
        vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise DragomanError(f"{path}: not a SentencePiece vocabulary; pull the model again") from error
    if len(vocabulary) != size or vocabulary.eos_id() < 0:
        raise DragomanError(f"{path}: {len(vocabulary)} pieces where the model has {size}, or no end of sentence")


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
