"""What every adapter checks before it hands a model's folder to a native library."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from device.errors import DragomanError
from device.modelstore.catalogue import Model


def require_file(model: Model, folder: Path, name: str) -> Path:
    """Return ``folder / name``, which must be a file with something in it.

    Native libraries report a missing file badly (sherpa-onnx ends the process), so it is looked for here.

    Raises
    ------
    DragomanError
        The file is missing or empty, or ``name`` leads out of the folder.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DragomanError(f"model {model.id}: {name!r} lies outside the model's folder {folder}")
    if not path.is_file():
        raise DragomanError(f"model {model.id}: {path} is missing; run `dragoman models pull {model.id}`")
    if path.stat().st_size == 0:
        raise DragomanError(f"model {model.id}: {path} is empty; run `dragoman models verify`")
    return path


def refuse_unknown_options(model: Model, known: Iterable[str]) -> None:
    """Raise `DragomanError` naming the first option of the catalogue entry that the adapter does not know."""
    names = sorted(known)
    for option in model.options:
        if option not in names:
            near = get_close_matches(option, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
            raise DragomanError(f"model {model.id}: engine {model.engine} has no option {option!r}; {hint}")
