"""A student computed in plain numpy, from the equations and not from the graphs: float or exact integers."""

from __future__ import annotations

import math

import numpy as np

from tests.engines.bergamot.student import TinyStudent


class Reference:
    """Greedy translation by a `TinyStudent`, layer by layer."""

    def __init__(self, student: TinyStudent, *, integers: bool) -> None:
        """With ``integers``, products are taken in int64 on activations quantised by the alphas."""
        self.student = student
        self.integers = integers

    def translate(self, source: list[int], candidates: list[int], steps: int) -> tuple[list[int], list[np.ndarray]]:
        """Return the tokens (EOS included, where it comes) and every step's logits."""
        s = self.student
        embeddings = self._real("Wemb")
        x = math.sqrt(s.dim) * embeddings[source] + np.array([self._position(p) for p in range(len(source))])
        for layer in range(1, s.encoder_layers + 1):
            x = self._attention(f"encoder_l{layer}_self", x, x)
            x = self._feed_forward(f"encoder_l{layer}_ffn", x)
        states = [np.zeros((1, s.dim)) for _ in range(s.decoder_layers)]
        tokens: list[int] = []
        logits = []
        for step in range(steps):
            y = self._position(step)[None]
            if tokens:
                y = y + math.sqrt(s.dim) * embeddings[tokens[-1]][None]
            for layer in range(1, s.decoder_layers + 1):
                prefix = f"decoder_l{layer}"
                z = self._product(y, f"{prefix}_rnn_W")
                f = 1 / (1 + np.exp(-(self._product(y, f"{prefix}_rnn_Wf") + self._real(f"{prefix}_rnn_bf"))))
                states[layer - 1] = f * states[layer - 1] + (1 - f) * z
                y = self._normalize(f"{prefix}_rnn_ffn", y + np.maximum(states[layer - 1], 0))
                y = self._attention(f"{prefix}_context", y, x)
                y = self._feed_forward(f"{prefix}_ffn", y)
            scores = self._product(y, "Wemb", transposed=True)[0] + self._real("decoder_ff_logit_out_b")[0]
            logits.append(scores[candidates])
            tokens.append(candidates[int(np.argmax(logits[-1]))])
            if tokens[-1] == 0:
                break
        return tokens, logits

    def _position(self, p: int) -> np.ndarray:
        half = self.student.dim // 2
        angles = [p * 10000 ** (-i / (half - 1)) for i in range(half)]
        return np.array([math.sin(a) for a in angles] + [math.cos(a) for a in angles])

    def _real(self, name: str) -> np.ndarray:
        parameter = self.student.parameters[name]
        return parameter.values.astype(np.float64) / (parameter.multiplier or 1.0)

    def _product(self, x: np.ndarray, name: str, *, transposed: bool = False) -> np.ndarray:
        parameter = self.student.parameters[name]
        if not self.integers or parameter.alpha is None:
            weight = self._real(name)
            return x @ (weight.T if transposed else weight)
        integers = parameter.values.astype(np.int64)
        quantized = np.clip(np.rint(x * parameter.alpha), -128, 127).astype(np.int64)
        return quantized @ (integers.T if transposed else integers) / (parameter.alpha * parameter.multiplier)

    def _attention(self, prefix: str, x: np.ndarray, memory: np.ndarray) -> np.ndarray:
        q, k, v = (
            self._product(inputs, f"{prefix}_W{which}") + self._real(f"{prefix}_b{which}")
            for which, inputs in (("q", x), ("k", memory), ("v", memory))
        )
        width = self.student.dim // self.student.heads
        heads = []
        for h in range(self.student.heads):
            part = slice(h * width, (h + 1) * width)
            scores = q[:, part] @ k[:, part].T / math.sqrt(width)
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            heads.append(weights / weights.sum(axis=1, keepdims=True) @ v[:, part])
        joined = np.concatenate(heads, axis=1)
        y = self._product(joined, f"{prefix}_Wo") + self._real(f"{prefix}_bo")
        return self._normalize(f"{prefix}_Wo", x + y)

    def _feed_forward(self, prefix: str, x: np.ndarray) -> np.ndarray:
        hidden = np.maximum(self._product(x, f"{prefix}_W1") + self._real(f"{prefix}_b1"), 0)
        y = self._product(hidden, f"{prefix}_W2") + self._real(f"{prefix}_b2")
        return self._normalize(f"{prefix}_ffn", x + y)

    def _normalize(self, prefix: str, x: np.ndarray) -> np.ndarray:
        mean = x.mean(axis=1, keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=1, keepdims=True)
        return self._real(f"{prefix}_ln_scale") * (x - mean) / np.sqrt(variance + 1e-6) + self._real(
            f"{prefix}_ln_bias"
        )
