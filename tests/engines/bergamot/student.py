"""Writes tiny random students in the container format, and computes independently what they must say."""

from __future__ import annotations

import io
import math
import random
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sentencepiece

from device.engines.bergamot.container import FLOAT32, INT8, INTGEMM8
from device.engines.bergamot.shortlist import MAGIC

CORPUS = """the cat sat on the mat and the dog ran after it
we went to the market to buy some bread, cheese and two apples
there is nothing in the garden but an old tree
she said that the train leaves at ten and comes back at noon
please call me tomorrow if you can not find the house
O gato dorme na cama. Where is it? Here! 0 1 2 3 4 5 6 7 8 9 : / . - A B C D E F G H I J K L M N
P Q R S T U V W X Y Z a b c d e f g h i j k l m n o p q r s t u v w x y z á ã ç é ê í ó õ ú"""

CONFIGURATION = {
    "type": "transformer",
    "transformer-decoder-autoreg": "rnn",
    "dec-cell": "ssru",
    "transformer-postprocess": "dan",
    "transformer-preprocess": '""',
    "transformer-postprocess-emb": "d",
    "transformer-postprocess-top": '""',
    "transformer-ffn-activation": "relu",
    "transformer-ffn-depth": "2",
    "tied-embeddings-all": "true",
    "transformer-train-position-embeddings": "false",
    "transformer-tied-layers": "[]",
    "input-types": "[]",
    "dim-rnn": "1024",
}


@dataclass
class Parameter:
    """What a tensor really is: ``values`` as ``(in, out)``, integers where there is a multiplier."""

    values: np.ndarray
    multiplier: float | None = None
    alpha: float | None = None


@dataclass
class TinyStudent:
    """A random student: its sizes, its parameters and the shortlist."""

    dim: int = 16
    heads: int = 2
    ffn: int = 24
    encoder_layers: int = 2
    decoder_layers: int = 2
    form: str = "static"
    """"static" (int8 with alphas), "dynamic" (int8 without) or "float"."""
    equal_alphas: bool = True
    seed: int = 7
    settings: dict[str, str] = field(default_factory=dict)
    vocabulary: int = 0
    parameters: dict[str, Parameter] = field(default_factory=dict)
    shortlist: list[list[int]] = field(default_factory=list)

    def write(self, folder: Path) -> TinyStudent:
        """Write model.bin, vocab.spm and lex.bin."""
        folder.mkdir(parents=True, exist_ok=True)
        pieces = spm()
        (folder / "vocab.spm").write_bytes(pieces)
        self.vocabulary = len(sentencepiece.SentencePieceProcessor(model_proto=pieces))
        self._draw()
        (folder / "model.bin").write_bytes(self.container())
        (folder / "lex.bin").write_bytes(self.lex())
        return self

    # --- drawing

    def _draw(self) -> None:
        rng = np.random.default_rng(self.seed)
        d = self.dim
        self._matrix("Wemb", rng, self.vocabulary, d, scale=0.5 / math.sqrt(d))
        self._vector("decoder_ff_logit_out_b", rng, self.vocabulary)
        for side, depth, sublayers in (
            ("encoder", self.encoder_layers, ("self",)),
            ("decoder", self.decoder_layers, ("context",)),
        ):
            for layer in range(1, depth + 1):
                prefix = f"{side}_l{layer}"
                for sub in sublayers:
                    for which in "qkvo":
                        self._matrix(f"{prefix}_{sub}_W{which}", rng, d, d)
                        self._vector(f"{prefix}_{sub}_b{which}", rng, d)
                    self._normalization(f"{prefix}_{sub}_Wo", rng)
                if side == "decoder":
                    self._matrix(f"{prefix}_rnn_W", rng, d, d)
                    self._matrix(f"{prefix}_rnn_Wf", rng, d, d)
                    self._vector(f"{prefix}_rnn_bf", rng, d)
                    self._normalization(f"{prefix}_rnn_ffn", rng)
                self._matrix(f"{prefix}_ffn_W1", rng, d, self.ffn)
                self._matrix(f"{prefix}_ffn_W2", rng, self.ffn, d)
                self._vector(f"{prefix}_ffn_b1", rng, self.ffn)
                self._vector(f"{prefix}_ffn_b2", rng, d)
                self._normalization(f"{prefix}_ffn_ffn", rng)
        picker = random.Random(self.seed)
        self.shortlist = [
            sorted(picker.sample(range(self.vocabulary), min(5, self.vocabulary))) for _ in range(self.vocabulary)
        ]

    def _matrix(self, name: str, rng: np.random.Generator, rows: int, columns: int, scale: float | None = None) -> None:
        values = rng.normal(0, scale or 1.5 / math.sqrt(rows), (rows, columns)).astype(np.float32)
        if self.form == "float":
            self.parameters[name] = Parameter(values)
            return
        multiplier = float(np.float32(127 / np.abs(values).max()))
        integers = np.clip(np.rint(values * multiplier), -127, 127).astype(np.int8)
        alpha = None
        if self.form == "static":
            alpha = float(np.float32(30.0 if self.equal_alphas else 20 + 20 * rng.random()))
        self.parameters[name] = Parameter(integers, multiplier, alpha)

    def _vector(self, name: str, rng: np.random.Generator, size: int) -> None:
        self.parameters[name] = Parameter(rng.normal(0, 0.3, (1, size)).astype(np.float32))

    def _normalization(self, prefix: str, rng: np.random.Generator) -> None:
        self.parameters[f"{prefix}_ln_scale"] = Parameter((1 + rng.normal(0, 0.1, (1, self.dim))).astype(np.float32))
        self._vector(f"{prefix}_ln_bias", rng, self.dim)

    # --- files

    def configuration(self) -> str:
        settings = CONFIGURATION | {
            "dim-emb": str(self.dim),
            "enc-depth": str(self.encoder_layers),
            "dec-depth": str(self.decoder_layers),
            "transformer-heads": str(self.heads),
            "transformer-dim-ffn": str(self.ffn),
            "dim-vocabs": f"\n  - {self.vocabulary}\n  - {self.vocabulary}",
        }
        settings |= self.settings
        return "".join(f"{key}: {value}\n" for key, value in settings.items()) + "\0"

    def items(self) -> list[tuple[str, int, tuple[int, ...], bytes]]:
        out = []
        for name, parameter in self.parameters.items():
            shape = parameter.values.shape
            if parameter.multiplier is None:
                out.append((name, FLOAT32, shape, _padded(parameter.values.astype("<f4").tobytes())))
                continue
            stored = parameter.values if name == "Wemb" else parameter.values.T
            raw = np.ascontiguousarray(stored).tobytes() + struct.pack("<f", parameter.multiplier)
            out.append((name, INTGEMM8, shape, _padded(raw)))
            if parameter.alpha is not None:
                key = "none_QuantMultA" if name == "Wemb" else f"{name}_QuantMultA"
                out.append((key, FLOAT32, (1, 1), _padded(struct.pack("<f", parameter.alpha))))
        text = self.configuration().encode()
        return [*out, ("special:model.yml", INT8, (len(text),), text)]

    def container(self) -> bytes:
        return write_container(self.items())

    def lex(self) -> bytes:
        offsets, ids = [0], []
        for candidates in self.shortlist:
            ids += candidates
            offsets.append(len(ids))
        header = struct.pack("<6Q", MAGIC, 0, 5, 5, len(offsets), len(ids))
        return header + struct.pack(f"<{len(offsets)}Q", *offsets) + struct.pack(f"<{len(ids)}I", *ids)


def write_container(items: list[tuple[str, int, tuple[int, ...], bytes]]) -> bytes:
    """Serialise items in Marian's layout."""
    head = struct.pack("<QQ", 1, len(items))
    for name, type_, shape, data in items:
        head += struct.pack("<4Q", len(name.encode()) + 1, type_, len(shape), len(data))
    for name, *_ in items:
        head += name.encode() + b"\0"
    for _, _, shape, _ in items:
        head += struct.pack(f"<{len(shape)}i", *shape)
    padding = -(len(head) + 8) % 256
    return head + struct.pack("<Q", padding) + bytes(padding) + b"".join(data for *_, data in items)


def spm() -> bytes:
    """Train a vocabulary as Marian's students have it: 0 is EOS, 1 is unknown, no BOS and no padding."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.splitlines()), model_writer=out, vocab_size=150, hard_vocab_limit=False,
        character_coverage=1.0, eos_id=0, unk_id=1, bos_id=-1, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    return out.getvalue()


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % 256)
