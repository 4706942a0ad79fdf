"""Marian's binary model container, as Firefox Translations ships its student models (``*.intgemm.alphas.bin``).

Layout, little endian: ``u64`` version (1) and ``u64`` item count; a record of four ``u64`` for each item (name
length with its NUL, type, dimensions, bytes of data); the names; the shapes (``i32`` each); ``u64`` padding and
that many bytes; then the data, item after item, up to exactly the end of the file.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import DragomanError

FLOAT32: Final = 0x0404
INTGEMM8: Final = 0x4101
INT8: Final = 0x0101
CONFIGURATION: Final = "special:model.yml"

_LONGEST_NAME: Final = 4096
_MOST_DIMENSIONS: Final = 8
_MOST_ITEMS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Item:
    """One named tensor; ``data`` are its raw bytes, still in the file (memory-mapped)."""

    name: str
    type: int
    shape: tuple[int, ...]
    data: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Quantized:
    """An int8 tensor; real values are ``values / multiplier``."""

    values: NDArray[np.int8]
    multiplier: float


class Container:
    """The items of one model file, checked to end where the file ends."""

    def __init__(self, path: Path, items: Mapping[str, Item]) -> None:
        self.path = path
        self.items = items

    @classmethod
    def open(cls, path: Path) -> Container:
        """Map ``path`` and read its index.

        Raises
        ------
        DragomanError
            The file is missing, truncated, longer than its index says, or no such container at all.
        """
        try:
            if path.stat().st_size == 0:
                raise DragomanError(f"{path}: the model file is empty")
            with path.open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise DragomanError(f"{path}: cannot read the model: {error.strerror or error}") from error
        try:
            return cls(path, _read_items(data))
        except (_DamagedError, struct.error, UnicodeDecodeError) as error:
            raise DragomanError(f"{path}: not a whole Bergamot model ({error}); pull the model again") from error

    def __contains__(self, name: str) -> bool:
        return name in self.items

    def item(self, name: str) -> Item:
        """Return an item; a name that is not there is a `DragomanError`."""
        try:
            return self.items[name]
        except KeyError:
            raise DragomanError(f"{self.path}: the model has no tensor {name!r}") from None

    def text(self, name: str) -> str:
        """Return an item that holds NUL-terminated text."""
        raw = self.item(name).data.tobytes()
        return raw.split(b"\0", 1)[0].decode("utf-8", errors="replace")

    def floats(self, name: str) -> NDArray[np.float32]:
        """Return a float32 tensor in its declared shape."""
        item = self.item(name)
        if item.type != FLOAT32:
            raise DragomanError(f"{self.path}: tensor {name!r} is of type {item.type:#x}, expected float32")
        count = math.prod(item.shape)
        return item.data[: 4 * count].view("<f4").reshape(item.shape).astype(np.float32)

    def is_quantized(self, name: str) -> bool:
        """Whether a tensor is stored as int8 (as against float32)."""
        return self.item(name).type == INTGEMM8

    def quantized(self, name: str) -> Quantized:
        """Return an intgemm8 tensor in the order of its bytes, reshaped to its declared shape."""
        item = self.item(name)
        if item.type != INTGEMM8:
            raise DragomanError(
                f"{self.path}: tensor {name!r} is of type {item.type:#x}; only float32 and intgemm8 weights "
                "that were not prepared for one kind of processor can be converted"
            )
        count = math.prod(item.shape)
        (multiplier,) = struct.unpack("<f", item.data[count : count + 4].tobytes())
        if not (math.isfinite(multiplier) and multiplier > 0):
            raise DragomanError(f"{self.path}: tensor {name!r} has no valid quantisation multiplier")
        return Quantized(item.data[:count].view(np.int8).reshape(item.shape), multiplier)


class _DamagedError(Exception):
    """What is wrong with the bytes."""


def _read_items(index: mmap.mmap) -> dict[str, Item]:
    size = len(index)
    data = np.frombuffer(index, np.uint8)
    version, count = struct.unpack_from("<QQ", index, 0)
    if version != 1:
        raise _DamagedError("wrong version or kind of file")
    if not 0 < count <= _MOST_ITEMS:
        raise _DamagedError(f"{count} items")
    records = [struct.unpack_from("<4Q", index, 16 + 32 * i) for i in range(count)]
    offset = 16 + 32 * count
    names = []
    for length, _, dimensions, _ in records:
        if not 1 < length <= _LONGEST_NAME or dimensions > _MOST_DIMENSIONS:
            raise _DamagedError("a damaged index")
        names.append(data[offset : offset + length - 1].tobytes().decode("utf-8"))
        offset += length
    shapes = []
    for _, _, dimensions, _ in records:
        shapes.append(struct.unpack_from(f"<{dimensions}i", index, offset))
        offset += 4 * dimensions
    (padding,) = struct.unpack_from("<Q", index, offset)
    offset += 8 + padding
    end = offset + sum(length for *_, length in records)
    if end != size:
        raise _DamagedError(f"{size} bytes where its index says {end}")
    items: dict[str, Item] = {}
    for name, (_, type_, _, length), shape in zip(names, records, shapes, strict=True):
        if length < _bytes_needed(type_, shape):
            raise _DamagedError(f"tensor {name!r} is shorter than its shape")
        items[name] = Item(name, type_, shape, data[offset : offset + length])
        offset += length
    return items


def _bytes_needed(type_: int, shape: tuple[int, ...]) -> int:
    if any(n < 0 for n in shape):
        raise _DamagedError("a negative dimension")
    count = math.prod(shape)
    return {FLOAT32: 4 * count, INTGEMM8: count + 4}.get(type_, count)
