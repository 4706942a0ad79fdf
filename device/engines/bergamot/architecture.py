"""Which student models can be converted: the one architecture family that Bergamot's "tiny" and "base" students share.

A student is a Marian transformer with post-norm ("dan") encoder layers and a decoder whose self-attention is
replaced by an SSRU (Kim et al., "From Research to Production and Back: Ludicrously Fast Neural Machine
Translation", WNGT 2019). The configuration it was trained with is embedded in the model file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from device.engines.bergamot.container import CONFIGURATION, Container
from device.errors import DragomanError

_REQUIRED: Final = {
    "type": "transformer",
    "transformer-decoder-autoreg": "rnn",
    "dec-cell": "ssru",
    "transformer-postprocess": "dan",
    "transformer-preprocess": "",
    "transformer-postprocess-emb": "d",
    "transformer-postprocess-top": "",
    "transformer-ffn-activation": "relu",
    "transformer-ffn-depth": "2",
    "tied-embeddings-all": "true",
}
"""Settings that a student must state; any other value, or none, is another architecture."""

_FORBIDDEN: Final = {
    "transformer-train-position-embeddings": "false",
    "transformer-no-projection": "false",
    "transformer-no-affine": "false",
    "transformer-rnn-projection": "false",
    "transformer-pool": "false",
    "transformer-tied-layers": "[]",
    "layer-normalization": "false",
    "output-omit-bias": "false",
    "right-left": "false",
    "input-types": "[]",
    "lemma-dim-emb": "0",
    "ulr": "false",
}
"""Settings that may be left out, and otherwise must have this value, which is Marian's default."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of one student."""

    dim: int
    """Width of embeddings and layers."""
    heads: int
    encoder_layers: int
    decoder_layers: int
    vocabulary: int
    """Pieces of the vocabulary that source and target share."""

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads


def read_architecture(container: Container) -> Architecture:
    """Read the embedded configuration.

    Raises
    ------
    DragomanError
        The model is of another architecture; the message names every setting that differs.
    """
    settings = parse_settings(container.text(CONFIGURATION))
    differs = [
        f"{key} is {settings.get(key, 'not given')!r}, not {expected!r}"
        for key, expected in _REQUIRED.items()
        if settings.get(key) != expected
    ]
    differs += [
        f"{key} is {settings[key]!r}, not {expected!r}"
        for key, expected in _FORBIDDEN.items()
        if settings.get(key, expected) != expected
    ]
    vocabularies = settings.get("dim-vocabs", "[]").strip("[]").split(",")
    if len(set(vocabularies)) != 1 or "Wemb" not in container:
        differs.append("source and target have separate vocabularies")
    if not differs:
        try:
            return _sizes(settings, container)
        except (KeyError, ValueError) as error:
            differs.append(f"the sizes make no sense: {error}")
    raise DragomanError(f"{container.path}: this student model cannot be converted: {'; '.join(differs)}")


def parse_settings(text: str) -> dict[str, str]:
    """Read Marian's flat YAML: ``key: scalar``, and lists of scalars, which come back as ``[a,b]``."""
    settings: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("- "):
            values = [*filter(None, settings[key].strip("[]").split(",")), bare[2:].strip()] if key else []
            settings[key] = f"[{','.join(values)}]"
        elif ":" in bare and not bare.startswith("#"):
            key, _, value = bare.partition(":")
            settings[key] = value.strip().strip("\"'")
    return settings


def _sizes(settings: dict[str, str], container: Container) -> Architecture:
    architecture = Architecture(
        dim=int(settings["dim-emb"]),
        heads=int(settings["transformer-heads"]),
        encoder_layers=int(settings["enc-depth"]),
        decoder_layers=int(settings["dec-depth"]),
        vocabulary=int(settings["dim-vocabs"].strip("[]").split(",")[0]),
    )
    if min(architecture.dim, architecture.heads, architecture.encoder_layers, architecture.decoder_layers) < 1:
        raise ValueError("a size is not positive")
    if architecture.dim % (2 * architecture.heads):
        raise ValueError(f"dim-emb {architecture.dim} does not divide into {architecture.heads} heads")
    shape = container.item("Wemb").shape
    if shape != (architecture.vocabulary, architecture.dim):
        raise ValueError(f"the embeddings are {shape}, not {(architecture.vocabulary, architecture.dim)}")
    return architecture
