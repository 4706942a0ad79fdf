"""Makes a Piper voice speak before it has finished a sentence.

A Piper voice is a VITS network (Kim, Kong, Son 2021, arXiv:2106.06103): a text encoder with a duration
predictor and a flow make a latent sequence, one vector a frame, and a convolutional decoder (HiFi-GAN,
arXiv:2010.05646) turns it into sound. The decoder is most of the work and sees only a few frames to either side, so
it can be run over the sequence window by window, and the sound is the same to the last bit but rounding. `split`
makes two graphs of the voice's one; `Decoder` runs the second in windows.

The first graph also tells how many frames every phoneme lasts, and takes a pace for each: so it is known when every
word will be heard before any sound is made, and a single word can be drawn out in the flow of its sentence.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from device.errors import DragomanError
from device.events import Samples

VOICE_FILE = "voice.onnx"
ENCODER_FILE = "encoder.onnx"
DECODER_FILE = "decoder.onnx"
DURATIONS = "durations"
"""Output of the encoder: frames of each phoneme id, (1, 1, ids)."""
LENGTH_SCALES = "length_scales"
"""Input of the encoder: how slowly each phoneme id is spoken, (1, 1, ids); it stands for the second of ``scales``."""
FORMAT_VERSION = 2

CONTEXT = 12
"""Frames that a window sees on either side. The decoder of the medium voices sees 11."""
FIRST_WINDOW = 44
"""Frames of the first window: half a second at 22.05 kHz."""
HURRY = 2.0
"""A window is short enough to be ready in this fraction of the time for which sound is there already."""


def split(folder: Path) -> None:
    """Write the voice's two halves, ``encoder.onnx`` and ``decoder.onnx``, beside ``voice.onnx``.

    Raises
    ------
    DragomanError
        The file is no VITS voice as Piper exports them.
    """
    import onnx

    path = folder / VOICE_FILE
    try:
        graph = (model := onnx.load(path)).graph
    except Exception as error:  # noqa: BLE001 - protobuf raises its own kinds
        raise DragomanError(f"{path} is not an ONNX model: {error}") from None
    decoder = [node for node in graph.node if node.name.startswith("/dec/")]
    inside = {name for node in decoder for name in node.output}
    weights = {tensor.name for tensor in graph.initializer}
    crossing = sorted({name for node in decoder for name in node.input if name} - inside - weights)
    # Constants that only the decoder uses are its own; what remains comes from the text.
    constants = [n for n in graph.node if n.op_type == "Constant" and n.output[0] in crossing]
    crossing = [name for name in crossing if name not in {n.output[0] for n in constants}]
    if len(crossing) != 1:
        raise DragomanError(f"{path} is not a Piper voice with one speaker: {len(crossing)} tensors enter its decoder")
    _open_durations(graph, path)
    encoder = _ancestors(graph, crossing[0], DURATIONS)
    latent = onnx.helper.make_tensor_value_info(crossing[0], onnx.TensorProto.FLOAT, None)
    durations = onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None)
    scales = onnx.helper.make_tensor_value_info(LENGTH_SCALES, onnx.TensorProto.FLOAT, [1, 1, "ids"])
    # What comes after the decoder, if anything, goes with it.
    made = {id(node) for node in encoder}
    needed = _ancestors(graph, *(output.name for output in graph.output))
    rest = [node for node in needed if id(node) not in made] + [n for n in constants if id(n) in made]
    rest.sort(key=lambda node: node.op_type != "Constant")
    for name, nodes, inputs, outputs in (
        (ENCODER_FILE, encoder, [*graph.input, scales], [latent, durations]),
        (DECODER_FILE, rest, [latent], list(graph.output)),
    ):
        used = {i for node in nodes for i in node.input}
        half = onnx.helper.make_graph(
            nodes, name, inputs, outputs, [tensor for tensor in graph.initializer if tensor.name in used]
        )
        onnx.save(
            onnx.helper.make_model(half, opset_imports=model.opset_import, ir_version=model.ir_version),
            folder / name,
        )


def _open_durations(graph: Any, path: Path) -> None:
    """Let a graph tell its durations and take a pace for each phoneme.

    The durations are the only numbers that are rounded up: ``ceil(exp(log duration) * mask * length scale)``.
    """
    import onnx

    makers = {output: node for node in graph.node for output in node.output}
    rounding = [node for node in graph.node if node.op_type == "Ceil"]
    product = makers.get(rounding[0].input[0]) if len(rounding) == 1 else None
    if product is None or product.op_type != "Mul":
        raise DragomanError(f"{path} is not a Piper voice: its durations are not found")
    for place, name in enumerate(product.input):
        maker = makers.get(name)
        if maker is not None and maker.op_type == "Gather" and "scales" in maker.input:
            product.input[place] = LENGTH_SCALES
            break
    else:
        raise DragomanError(f"{path} is not a Piper voice: its pace is not found")
    told = onnx.helper.make_node("Identity", [rounding[0].output[0]], [DURATIONS], name=f"/{DURATIONS}")
    graph.node.insert(list(graph.node).index(rounding[0]) + 1, told)


def _ancestors(graph: Any, *tensors: str) -> list[Any]:
    """Return the nodes that ``tensors`` depend on, in the graph's order."""
    needed, found = set(tensors), []
    for node in reversed(graph.node):
        if needed & set(node.output):
            found.append(node)
            needed |= set(node.input)
    return found[::-1]


class Decoder:
    """Decodes latent sequences window by window, as fast as the sound is needed."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._hop = 0
        self._seconds_a_frame = 0.0
        """Time that a frame took lately; 0 until one was decoded."""

    def windows(
        self, latent: NDArray[np.float32], rate: int, run_options: onnxruntime.RunOptions | None = None
    ) -> Iterator[Samples]:
        """Yield the sound of ``latent`` (1, channels, frames) in pieces, the first one short.

        A window grows with the sound that is there already, so that no listener runs dry. On a machine
        that decodes hardly faster than speech is spoken, everything comes in one piece.
        """
        frames = latent.shape[2]
        frame = self.hop(latent) / rate
        done, ready = 0, 0.0
        while done < frames:
            width = self._width(ready) if self._seconds_a_frame * HURRY < frame else frames
            if frames - done - width < FIRST_WINDOW // 2:
                width = frames - done
            yield self._window(latent, done, done + width, run_options)
            done += width
            ready += width * frame

    def hop(self, latent: NDArray[np.float32]) -> int:
        """Return the samples of one frame."""
        if not self._hop:
            few = latent[:, :, :8]
            self._hop = len(self._run(few, None)) // few.shape[2]
        return self._hop

    def _width(self, ready: float) -> int:
        """Return how many frames can be decoded while ``ready`` seconds of sound are heard."""
        if not ready or not self._seconds_a_frame:
            return FIRST_WINDOW
        return max(FIRST_WINDOW, int(ready / (self._seconds_a_frame * HURRY)) - 2 * CONTEXT)

    def _window(
        self, latent: NDArray[np.float32], first: int, last: int, run_options: onnxruntime.RunOptions | None
    ) -> Samples:
        low, high = max(0, first - CONTEXT), min(latent.shape[2], last + CONTEXT)
        began = time.perf_counter()
        sound = self._run(latent[:, :, low:high], run_options)
        cost = (time.perf_counter() - began) / (high - low)
        self._seconds_a_frame += (cost - self._seconds_a_frame) * (0.3 if self._seconds_a_frame else 1.0)
        return sound[(first - low) * self._hop : (last - low) * self._hop]

    def _run(self, latent: NDArray[np.float32], run_options: onnxruntime.RunOptions | None) -> Samples:
        feed = {self._input: np.ascontiguousarray(latent)}
        sound: Samples = self._session.run(None, feed, run_options)[0].reshape(-1)
        return sound
