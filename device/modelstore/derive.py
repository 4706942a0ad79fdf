"""Files that are made on the device from a model's verified files, once.

A tool is a function of a folder that holds the inputs; it writes its outputs there. Its version is recorded
with what it made, so that a newer tool makes the files again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.errors import DragomanError
from device.modelstore.catalogue import Derived


@dataclass(frozen=True, slots=True)
class Tool:
    """What makes derived files: ``run(folder, what)``, and the version of what it writes."""

    run: Callable[[Path, Derived], None]
    version: Callable[[], str]


def moonshine_tokens(folder: Path, derived: Derived) -> None:
    """Write sherpa-onnx's ``tokens.txt`` from Moonshine's ``tokenizer.bin``.

    The input is a sequence of byte strings, each after its length: one byte below 128, or two bytes ``n b``
    that mean ``128 b + n - 128``; the length 0 is a token without text. The output has a line
    ``base64(token) id`` for each.

    Raises
    ------
    DragomanError
        The last string is cut off.
    """
    data = (folder / derived.inputs[0]).read_bytes()
    lines: list[str] = []
    position = 0
    while position < len(data):
        length = data[position]
        position += 1
        if length >= 128 and position < len(data):
            length += 128 * data[position] - 128
            position += 1
        token = data[position : position + length]
        if len(token) < length:
            raise DragomanError(f"{derived.inputs[0]} is not a Moonshine tokenizer: token {len(lines)} is cut off")
        lines.append(f"{base64.b64encode(token).decode('ascii')} {len(lines)}\n")
        position += length
    (folder / derived.outputs[0]).write_text("".join(lines), encoding="ascii")


def onnx_metadata(folder: Path, derived: Derived) -> None:
    """Copy an ONNX model and add the metadata that sherpa-onnx asks for, where it is missing."""
    import onnx

    try:
        model = onnx.load(folder / derived.inputs[0])
    except Exception as error:  # noqa: BLE001 - protobuf raises its own kinds
        raise DragomanError(f"{derived.inputs[0]} is not an ONNX model: {error}") from None
    present = {entry.key for entry in model.metadata_props}
    for key, value in derived.settings.items():
        if key not in present:
            entry = model.metadata_props.add()
            entry.key, entry.value = key, str(value)
    onnx.save(model, folder / derived.outputs[0])


def bergamot_onnx(folder: Path, derived: Derived) -> None:  # noqa: ARG001
    """Convert a Bergamot student for onnxruntime; one of another architecture is refused with the reason."""
    from device.engines.bergamot.convert import convert

    convert(folder)


def _bergamot_version() -> str:
    from device.engines.bergamot import convert

    return str(convert.FORMAT_VERSION)


def piper_split(folder: Path, derived: Derived) -> None:  # noqa: ARG001
    """Split a Piper voice in two, so that it speaks before a sentence is finished."""
    from device.engines.piper_split import split

    split(folder)


def _piper_split_version() -> str:
    from device.engines.piper_split import FORMAT_VERSION

    return str(FORMAT_VERSION)


def kokoro_timed(folder: Path, derived: Derived) -> None:  # noqa: ARG001
    """Let a Kokoro network tell how long every phoneme lasts."""
    from device.engines.kokoro_timed import add_durations

    add_durations(folder)


def _kokoro_timed_version() -> str:
    from device.engines.kokoro_timed import FORMAT_VERSION

    return str(FORMAT_VERSION)


TOOLS: Mapping[str, Tool] = {
    "moonshine-tokens": Tool(moonshine_tokens, lambda: "1"),
    "onnx-metadata": Tool(onnx_metadata, lambda: "1"),
    "bergamot-onnx": Tool(bergamot_onnx, _bergamot_version),
    "kokoro-timed": Tool(kokoro_timed, _kokoro_timed_version),
    "piper-split": Tool(piper_split, _piper_split_version),
}


def stamp(derived: Derived, inputs: Mapping[str, str]) -> str:
    """Return what identifies a run of a tool: its name, its version, its settings and its inputs' hashes."""
    import hashlib

    told: list[Any] = [sorted(derived.settings.items()), [inputs[name] for name in derived.inputs]]
    digest = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
    return f"{derived.tool} {TOOLS[derived.tool].version()} {digest}"
