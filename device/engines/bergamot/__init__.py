"""Bergamot's student models (Firefox Translations) on plain onnxruntime.

`convert` makes ONNX files of a downloaded student, once; `translator` runs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from device.modelstore.catalogue import Model

if TYPE_CHECKING:
    from device.engines.bergamot.translator import BergamotTranslator


def load(model: Model, folder: Path, threads: int = 1) -> BergamotTranslator:
    """Load the converted student in ``folder``.

    Raises
    ------
    DragomanError
        The model is not converted, damaged, or its catalogue entry has options that this engine does not know.
    """
    from device.engines.bergamot.translator import BergamotTranslator  # conversion alone needs no runtime

    return BergamotTranslator(model, folder, threads)
