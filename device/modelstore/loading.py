"""Reads and checks the catalogue's TOML files; a mistake is one line that names the file and the key."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

import device
from device.errors import DragomanError
from device.modelstore import derive
from device.modelstore.catalogue import ENGINES, TASKS, Catalogue, Model, ModelFile
from device.modelstore.sources import Address, HubFile, Part, parse_source

_ID = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODEL = TypeAdapter(Model)


def packaged_folder() -> Path:
    """Return the catalogue that came with the program: inside the wheel, or the checkout's ``models/``."""
    package = Path(device.__file__).parent
    inside = package / "_data" / "models"
    return inside if inside.is_dir() else package.parent / "models"


class _Files(Mapping[str, Model]):
    """Entries by id, which is the file's name; each is read when it is first asked for."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths
        self._read: dict[str, Model] = {}

    def __getitem__(self, model_id: str) -> Model:
        if model_id not in self._read:
            self._read[model_id] = load_model(self._paths[model_id])
        return self._read[model_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._paths


def load_catalogue(folders: Iterable[Path] | None = None) -> Catalogue:
    """Return what the ``*.toml`` of ``folders`` describe (default: the packaged one and ``$DRAGOMAN_CATALOGUE``).

    A later folder's entry replaces an earlier one of the same id, so that a user can correct or add models.
    Folders that do not exist are passed over. ``$DRAGOMAN_CATALOGUE`` may name several folders, as ``$PATH`` does.
    Each file is read when its model is first asked for, so a start reads only what is installed, and a mistake in
    an entry (see ``load_model``) concerns only those who use it or list everything.
    """
    own = [Path(entry) for entry in os.environ.get("DRAGOMAN_CATALOGUE", "").split(os.pathsep) if entry]
    every = [packaged_folder(), *own] if folders is None else [*folders, *own]
    return Catalogue(_Files({path.stem: path for folder in every for path in sorted(folder.glob("*.toml"))}))


def load_model(path: Path) -> Model:
    """Read one entry; its id must be the file's name.

    Raises
    ------
    DragomanError
        File, key and what is wrong.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DragomanError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise DragomanError(f"{path}: is not valid TOML: {error}") from None
    try:
        model = _MODEL.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise DragomanError(f"{path}: {_key(first['loc'])}: {_reason(first)}") from None
    problem = _problem(model, path)
    if problem:
        raise DragomanError(f"{path}: {problem}")
    return model


def _key(loc: Iterable[int | str]) -> str:
    """Return a place such as ``files[1].sha256``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _reason(error: Any) -> str:
    if error["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return "unknown key"
    if error["type"] in {"missing", "missing_argument"}:
        return "is missing"
    return str(error["msg"][:1].lower() + error["msg"][1:])


def _problem(model: Model, path: Path) -> str | None:
    """Return what types alone do not tell: the first rule that the entry breaks."""
    if not _ID.fullmatch(model.id):
        return f"id: {model.id!r} must be lower-case letters and digits joined by '-', '_' or '.'"
    if model.id != path.stem:
        return f"id: is {model.id!r}, but the file is named {path.stem!r}"
    if model.task not in TASKS:
        return f"task: {model.task!r} is none of {', '.join(TASKS)}"
    if model.engine not in ENGINES:
        return f"engine: {model.engine!r} is none of {', '.join(ENGINES)}"
    if model.task == "mt" and not (model.source and model.target):
        return "source: a translation model needs source and target"
    if model.task in {"asr", "tts"} and not model.languages:
        return "languages: is missing"
    if not 0 <= model.quality <= 1:
        return "quality: must be between 0 and 1"
    if not model.files:
        return "files: is missing"
    return _file_problem(model) or _derived_problem(model)


def _file_problem(model: Model) -> str | None:
    names: set[str] = set()
    for index, file in enumerate(model.files):
        key = f"files[{index}]"
        if not safe_name(file.name):
            return f"{key}.name: {file.name!r} must stay inside the model's folder"
        if file.name in names:
            return f"{key}.name: {file.name!r} is there twice"
        names.add(file.name)
        if problem := _hash_problem(file, verified=model.verified) or _source_problem(file):
            return f"{key}.{problem}"
    return None


def _hash_problem(file: ModelFile, *, verified: bool) -> str | None:
    for digest in (file.sha256, *(variant.sha256 for variant in file.variants)):
        if digest is not None and not _SHA256.fullmatch(digest):
            return "sha256: must be 64 lower-case hexadecimal digits"
    if (file.sha256 is None and (file.variants or verified)) or (file.sha256 and file.size is None):
        return "sha256: a pinned or verified file needs both sha256 and size"
    if file.size is not None and file.size <= 0:
        return "size: must be above 0"
    return None


def _source_problem(file: ModelFile) -> str | None:
    if not file.sources:
        return "sources: is empty"
    for number, source in enumerate(file.sources):
        try:
            parts = parse_source(source)
        except DragomanError as error:
            return f"sources[{number}]: {error}"
        if file.sha256 is None and not all(_tells_its_hash(part) for part in parts):
            return f"sources[{number}]: a file without sha256 needs hf: sources or https: ones with #sha256="
    return None


def _tells_its_hash(part: Part) -> bool:
    return isinstance(part, HubFile) or (isinstance(part, Address) and part.sha256 is not None)


def _derived_problem(model: Model) -> str | None:
    names = {file.name for file in model.files}
    for index, derived in enumerate(model.derived):
        key = f"derived[{index}]"
        if derived.tool not in derive.TOOLS:
            return f"{key}.tool: {derived.tool!r} is none of {', '.join(derive.TOOLS)}"
        for name in derived.inputs:
            if name not in names:
                return f"{key}.inputs: {name!r} is not among the files"
        if not derived.outputs:
            return f"{key}.outputs: is empty"
        for name in derived.outputs:
            if not safe_name(name) or name in names:
                return f"{key}.outputs: {name!r} must be a new name inside the model's folder"
    return None


def safe_name(name: str) -> bool:
    """Whether a file's name stays below the folder it is put into and cannot be taken for the store's own."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and "\\" not in name and not any(p.startswith(".") for p in parts)
