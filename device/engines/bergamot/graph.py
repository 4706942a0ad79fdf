"""Writes the two ONNX graphs of a student with operators of the ONNX standard alone.

The encoder turns a sentence's embeddings into the keys and values that every decoder layer attends to; the decoder
step turns the newest word's embedding and the SSRU states into the next word. One sentence at a time: no batch
axis, so no padding and no masks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from device.engines.bergamot.architecture import Architecture
from device.engines.bergamot.container import Container
from device.engines.bergamot.weights import Embeddings, Linear, fuse, read_linear

OPSET: Final = 17
IR_VERSION: Final = 8
LAYER_NORM_EPSILON: Final = 1e-6
_ZERO_POINT: Final = 128
"""Activations are quantised to uint8 around this value: the kernels for uint8 times int8 are the fast ones."""


class _Graph:
    """Collects nodes and constants; values are named by number, so names never collide."""

    def __init__(self, container: Container, architecture: Architecture) -> None:
        self.container = container
        self.architecture = architecture
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    # --- plumbing

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> None:
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        names = [f"value_{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def one(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self.add(operator, *inputs, **attributes)[0]

    def build(self, name: str) -> bytes:
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="dragoman",
        )
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ValueError((str(error).splitlines() or ["refused"])[0]) from error
        return bytes(model.SerializeToString())

    # --- layers

    def linear(self, x: str, layers: Sequence[Linear]) -> list[str]:
        """Apply layers to one input, in one product where their inputs are quantised alike."""
        fused = fuse(layers)
        if fused is None:
            return [self._product(x, layer) for layer in layers]
        y = self._product(x, fused)
        if len(layers) == 1:
            return [y]
        sizes = self.constant(np.array([layer.weight.shape[1] for layer in layers], np.int64))
        return self.add("Split", y, sizes, outputs=len(layers), axis=-1)

    def _product(self, x: str, layer: Linear) -> str:
        weight = self.constant(layer.weight)
        if layer.weight.dtype == np.float32:
            product = self.one("MatMul", x, weight)
        elif layer.alpha is not None:
            zero = self.constant(np.array(_ZERO_POINT, np.uint8))
            step = self.constant(np.array(1.0 / layer.alpha, np.float32))
            quantized = self.one("QuantizeLinear", x, step, zero)
            integers = self.one("Cast", self.one("MatMulInteger", quantized, weight, zero), to=TensorProto.FLOAT)
            product = self.one("Mul", integers, self.constant(layer.scale / np.float32(layer.alpha)))
        else:
            quantized, step, zero = self.add("DynamicQuantizeLinear", x, outputs=3)
            integers = self.one("Cast", self.one("MatMulInteger", quantized, weight, zero), to=TensorProto.FLOAT)
            product = self.one("Mul", integers, self.one("Mul", self.constant(layer.scale), step))
        return self.one("Add", product, self.constant(layer.bias)) if np.any(layer.bias) else product

    def layer(self, prefix: str, weight: str, bias: str | None, *, factor: float = 1.0) -> Linear:
        bias_name = None if bias is None else f"{prefix}_{bias}"
        return read_linear(self.container, f"{prefix}_{weight}", bias_name, factor=factor)

    def add_and_normalize(self, x: str, residual: str, prefix: str) -> str:
        scale = self.constant(self.container.floats(f"{prefix}_ln_scale").reshape(-1))
        bias = self.constant(self.container.floats(f"{prefix}_ln_bias").reshape(-1))
        total = self.one("Add", x, residual)
        return self.one("LayerNormalization", total, scale, bias, axis=-1, epsilon=LAYER_NORM_EPSILON)

    def feed_forward(self, x: str, prefix: str) -> str:
        (hidden,) = self.linear(x, [self.layer(prefix, "W1", "b1")])
        (y,) = self.linear(self.one("Relu", hidden), [self.layer(prefix, "W2", "b2")])
        return self.add_and_normalize(x, y, f"{prefix}_ffn")

    def heads(self, x: str, permutation: Sequence[int]) -> str:
        """Cut ``(S, dim)`` into heads and permute ``(S, H, dk)``."""
        a = self.architecture
        cut = self.one("Reshape", x, self.constant(np.array([-1, a.heads, a.head_dim], np.int64)))
        return self.one("Transpose", cut, perm=list(permutation))

    def attend(self, q: str, k: str, v: str) -> str:
        """Attention of ``q (H, T, dk)`` over ``k (H, dk, S)`` and ``v (H, S, dk)``; scaled in the queries."""
        weights = self.one("Softmax", self.one("MatMul", q, k), axis=-1)
        return self.one("MatMul", weights, v)

    def query(self, prefix: str) -> Linear:
        return self.layer(prefix, "Wq", "bq", factor=1.0 / math.sqrt(self.architecture.head_dim))


def encoder_graph(container: Container, architecture: Architecture) -> bytes:
    """Return the serialised encoder: ``x (S, dim)`` to ``k1 (H, dk, S)``, ``v1 (H, S, dk)``, a pair a decoder layer."""
    g = _Graph(container, architecture)
    x = g.input("x", ["S", architecture.dim])
    flat = g.constant(np.array([-1, architecture.dim], np.int64))
    for layer in range(1, architecture.encoder_layers + 1):
        prefix = f"encoder_l{layer}_self"
        q, k, v = g.linear(x, [g.query(prefix), g.layer(prefix, "Wk", "bk"), g.layer(prefix, "Wv", "bv")])
        context = g.attend(g.heads(q, (1, 0, 2)), g.heads(k, (1, 2, 0)), g.heads(v, (1, 0, 2)))
        joined = g.one("Reshape", g.one("Transpose", context, perm=[1, 0, 2]), flat)
        (y,) = g.linear(joined, [g.layer(prefix, "Wo", "bo")])
        x = g.add_and_normalize(x, y, f"{prefix}_Wo")
        x = g.feed_forward(x, f"encoder_l{layer}_ffn")
    cross = [
        g.layer(f"decoder_l{layer}_context", f"W{which}", f"b{which}")
        for layer in range(1, architecture.decoder_layers + 1)
        for which in "kv"
    ]
    values = g.linear(x, cross)
    h, dk = architecture.heads, architecture.head_dim
    for layer in range(1, architecture.decoder_layers + 1):
        k, v = values[2 * layer - 2 : 2 * layer]
        g.output(g.heads(k, (1, 2, 0)), f"k{layer}", [h, dk, "S"])
        g.output(g.heads(v, (1, 0, 2)), f"v{layer}", [h, "S", dk])
    return g.build("encoder")


def decoder_graph(container: Container, architecture: Architecture, embeddings: Embeddings) -> bytes:
    """Return the serialised decoder step.

    Inputs ``x (1, dim)``, a state ``c1 (1, dim), …`` for each layer, the encoder's ``k1, v1, …``, and the output
    layer of this sentence: ``w (K, dim)`` raw rows of the embeddings of its K candidates, and their ``b (K,)``.
    Outputs: the new ``state1, …``, the best candidate's ``index ()`` among K and its ``log_probability ()``.
    """
    g = _Graph(container, architecture)
    dim, h, dk = architecture.dim, architecture.heads, architecture.head_dim
    x = g.input("x", [1, dim])
    states = [g.input(f"c{n}", [1, dim]) for n in range(1, architecture.decoder_layers + 1)]
    flat = g.constant(np.array([1, dim], np.int64))
    per_head = g.constant(np.array([h, 1, dk], np.int64))
    for n, state in enumerate(states, 1):
        prefix = f"decoder_l{n}"
        z, gate = g.linear(x, [g.layer(f"{prefix}_rnn", "W", None), g.layer(f"{prefix}_rnn", "Wf", "bf")])
        # f * c + (1 - f) * z, in one product fewer.
        kept = g.one("Mul", g.one("Sigmoid", gate), g.one("Sub", state, z))
        new = g.one("Add", z, kept)
        g.output(new, f"state{n}", [1, dim])
        x = g.add_and_normalize(x, g.one("Relu", new), f"{prefix}_rnn_ffn")
        (q,) = g.linear(x, [g.query(f"{prefix}_context")])
        k, v = g.input(f"k{n}", [h, dk, "S"]), g.input(f"v{n}", [h, "S", dk])
        context = g.one("Reshape", g.attend(g.one("Reshape", q, per_head), k, v), flat)
        (y,) = g.linear(context, [g.layer(f"{prefix}_context", "Wo", "bo")])
        x = g.add_and_normalize(x, y, f"{prefix}_context_Wo")
        x = g.feed_forward(x, f"{prefix}_ffn")
    logits = _output_layer(g, x, embeddings)
    top = g.one("ReduceMax", logits, keepdims=0)
    total = g.one("ReduceLogSumExp", logits, keepdims=0)
    g.output(g.one("ArgMax", logits, axis=0, keepdims=0), "index", [], TensorProto.INT64)
    g.output(g.one("Sub", top, total), "log_probability", [])
    return g.build("decoder_step")


def _output_layer(g: _Graph, x: str, embeddings: Embeddings) -> str:
    """Return the candidates' logits ``(K,)``.

    The int8 product is computed on integers held in float32: no sum reaches 2**24, so it is exact, and a matrix
    that changes with every sentence need not be packed for the integer kernel.
    """
    w = g.input("w", ["K", g.architecture.dim])
    b = g.input("b", ["K"])
    scale = embeddings.scale
    if embeddings.alpha is not None:
        x = g.one("Mul", x, g.constant(np.array(embeddings.alpha, np.float32)))
        bound = [g.constant(np.array(limit, np.float32)) for limit in (-127, 127)]
        x = g.one("Clip", g.one("Round", x), *bound)
        scale /= embeddings.alpha
    column = g.one("Reshape", x, g.constant(np.array([g.architecture.dim, 1], np.int64)))
    product = g.one("Reshape", g.one("MatMul", w, column), g.constant(np.array([-1], np.int64)))
    return g.one("Add", g.one("Mul", product, g.constant(np.array(scale, np.float32))), b)
