"""The lexical shortlist: for each source piece, the target pieces that it is likely to become.

It spares the decoder most of the output layer: about a thousand candidates a sentence instead of the whole
vocabulary. File, little endian: six ``u64`` (magic, checksum, first_num, best_num, offsets, ids), the ``u64``
offsets, the ``u32`` ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import DragomanError

MAGIC: Final = 0xF11A48D5013417F5


class Shortlist:
    """Candidates for the words of a translation; the file stays memory-mapped."""

    def __init__(self, path: Path, vocabulary: int) -> None:
        """Open ``path`` and check it against a vocabulary of ``vocabulary`` pieces."""
        try:
            data: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise DragomanError(f"{path}: cannot read the shortlist: {error}") from error
        problem = "too short"
        if len(data) >= 48:
            magic, _, first, _, n_offsets, n_ids = (int(n) for n in data[:48].view("<u8"))
            if magic != MAGIC:
                problem = "not a binary shortlist"
            elif len(data) != 48 + 8 * n_offsets + 4 * n_ids:
                problem = f"{len(data)} bytes where its header says {48 + 8 * n_offsets + 4 * n_ids}"
            elif n_offsets != vocabulary + 1:
                problem = f"made for {n_offsets - 1} pieces, the vocabulary has {vocabulary}"
            else:
                self._first = min(first, vocabulary)
                self._offsets = np.array(data[48 : 48 + 8 * n_offsets].view("<u8"), dtype=np.int64)
                self._ids = data[48 + 8 * n_offsets :].view("<u4")
                self._path, self._vocabulary = path, vocabulary
                ordered = self._offsets[0] == 0 and self._offsets[-1] == n_ids
                problem = "" if ordered and np.all(np.diff(self._offsets) >= 0) else "damaged offsets"
        if problem:
            raise DragomanError(f"{path}: not a usable shortlist ({problem}); pull the model again")

    def check(self) -> None:
        """Read every id and refuse one beyond the vocabulary (done once, when a model is converted)."""
        if len(self._ids) and int(self._ids.max()) >= self._vocabulary:
            raise DragomanError(f"{self._path}: not a usable shortlist (pieces beyond the vocabulary)")

    def candidates(self, source: Sequence[int]) -> NDArray[np.int64]:
        """Return the sorted target ids that a sentence of ``source`` ids (EOS included) may use."""
        parts: list[NDArray[np.generic]] = [np.arange(self._first, dtype=np.int64)]
        parts += [self._ids[self._offsets[token] : self._offsets[token + 1]] for token in set(source)]
        return np.unique(np.concatenate(parts)).astype(np.int64)
