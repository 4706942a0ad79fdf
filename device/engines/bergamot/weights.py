"""A student's matrices and vectors, taken out of the container in one orientation and with their scales.

Every matrix but the embeddings is stored transposed when it is int8, as declared when it is float32. Beside an
int8 matrix ``W`` there may be ``W_QuantMultA``, the calibrated multiplier ("alpha") of that matrix's *input*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.engines.bergamot.container import FLOAT32, Container
from device.errors import DragomanError

EMBEDDINGS: Final = "Wemb"
OUTPUT_BIAS: Final = "decoder_ff_logit_out_b"
OUTPUT_ALPHA: Final = "none_QuantMultA"
"""Input multiplier of the output layer (``Wemb_QuantMultA`` holds the same, itself quantised)."""


@dataclass(frozen=True, slots=True)
class Linear:
    """One or several linear layers of the same input, side by side.

    Attributes
    ----------
    weight
        int8 or float32, ``(inputs, outputs)``.
    scale
        What one unit of each int8 column is worth, ``(outputs,)``; ones where the weight is float32.
    bias
        ``(outputs,)``; zeros where a layer has none.
    alpha
        Multiplier of the input for static quantisation; None quantises dynamically (int8) or not at all (float32).
    """

    weight: NDArray[np.int8] | NDArray[np.float32]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    alpha: float | None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The embedding matrix ``(vocabulary, dim)``, which is the output layer as well; real value = values * scale."""

    values: NDArray[np.int8] | NDArray[np.float32]
    scale: float
    alpha: float | None


def read_linear(container: Container, weight: str, bias: str | None, *, factor: float = 1.0) -> Linear:
    """Read one layer; ``factor`` multiplies its output (as 1/sqrt of the head's width does for queries)."""
    matrix: NDArray[np.int8] | NDArray[np.float32]
    if container.is_quantized(weight):
        stored = container.quantized(weight)
        inputs, outputs = stored.values.shape
        matrix = np.ascontiguousarray(stored.values.reshape(outputs, inputs).T)
        scale = np.full(outputs, factor / stored.multiplier, np.float32)
        alpha = read_alpha(container, f"{weight}_QuantMultA")
    else:
        matrix = container.floats(weight) * np.float32(factor)
        scale = np.ones(matrix.shape[1], np.float32)
        alpha = None
    outputs = matrix.shape[1]
    vector = np.zeros(outputs, np.float32)
    if bias is not None:
        vector = container.floats(bias).reshape(-1) * np.float32(factor)
        if vector.shape != (outputs,):
            raise DragomanError(f"{container.path}: {bias!r} does not fit {weight!r}")
    return Linear(matrix, scale, vector, alpha)


def read_alpha(container: Container, name: str) -> float | None:
    """Return an input multiplier, or None where the model was not calibrated."""
    if name not in container or container.item(name).type != FLOAT32:
        return None
    alpha = float(container.floats(name).reshape(-1)[0])
    if not (np.isfinite(alpha) and alpha > 0):
        raise DragomanError(f"{container.path}: {name!r} is not a valid multiplier")
    return alpha


def read_embeddings(container: Container) -> Embeddings:
    """Read the embeddings; int8 stays int8."""
    if container.is_quantized(EMBEDDINGS):
        stored = container.quantized(EMBEDDINGS)
        return Embeddings(stored.values, 1.0 / stored.multiplier, read_alpha(container, OUTPUT_ALPHA))
    return Embeddings(container.floats(EMBEDDINGS), 1.0, None)


def fuse(layers: Sequence[Linear]) -> Linear | None:
    """Put layers of one input side by side, or return None where their inputs are quantised differently."""
    first = layers[0]
    if any(layer.alpha != first.alpha or layer.weight.dtype != first.weight.dtype for layer in layers):
        return None
    return Linear(
        np.concatenate([layer.weight for layer in layers], axis=1),
        np.concatenate([layer.scale for layer in layers]),
        np.concatenate([layer.bias for layer in layers]),
        first.alpha,
    )
