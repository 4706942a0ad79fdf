"""Finds what of the catalogue lies in a folder or on a USB stick, whatever the files are called."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from device.modelstore import manifest
from device.modelstore.catalogue import Model, ModelFile
from device.modelstore.files import sha256_of
from device.modelstore.packages import loose_key
from device.modelstore.sources import Member, Package, parse_source

Wanted = tuple[Model, ModelFile]


@dataclass(frozen=True, slots=True)
class Match:
    """A file of the folder that serves as a file of a model."""

    path: Path
    sha256: str
    model: Model
    file: ModelFile


@dataclass(slots=True)
class ImportReport:
    """What an import did."""

    taken: list[str] = field(default_factory=list)
    """``model/file`` of every file that was put into the store."""
    complete: list[str] = field(default_factory=list)
    """Models that the import made complete."""
    missing: dict[str, list[str]] = field(default_factory=dict)
    """Files that are still missing, of models that were begun or belong to the default set."""
    failed: dict[str, str] = field(default_factory=dict)
    """Models whose derived files could not be made, and why."""


def scan(folder: Path) -> list[Path]:
    """Return every readable regular file below ``folder``."""
    found = [Path(base) / name for base, _, names in os.walk(folder) for name in names]
    return sorted(path for path in found if path.is_file() and os.access(path, os.R_OK))


def by_hash(paths: Iterable[Path], wanted: Iterable[Wanted]) -> Iterator[Match]:
    """Find files by size and SHA-256; only files of a size that is wanted are read."""
    by_size: dict[int, list[Wanted]] = defaultdict(list)
    for model, file in wanted:
        if file.sha256 is not None:
            for size in {file.size, *(variant.size for variant in file.variants)}:
                by_size[size or 0].append((model, file))
    for path in paths:
        with contextlib.suppress(OSError):  # what cannot be read is not taken
            size = path.stat().st_size
            if candidates := by_size.get(size, []):
                digest = sha256_of(path)
                yield from (Match(path, digest, m, f) for m, f in candidates if f.accepts(digest, size))


def by_name(paths: Iterable[Path], wanted: Iterable[Wanted]) -> Iterator[Match]:
    """Find files without a hash in the catalogue: they must lie at ``…/<model id>/<file name>``.

    Where another store's manifest lies beside them, they must be what it says.
    """
    unpinned = [(model, file) for model, file in wanted if file.sha256 is None]
    tails = {(model.id, *Path(file.name).parts): (model, file) for model, file in unpinned}
    for path in paths:
        for depth in {len(tail) for tail in tails}:
            if (found := tails.get(path.parts[-depth:])) is None:
                continue
            model, file = found
            entry = manifest.Manifest.read(path.parents[depth - 2]).files.get(file.name)
            digest = sha256_of(path)
            if file.accepts(digest, path.stat().st_size) and (entry is None or entry.sha256 == digest):
                yield Match(path, digest, model, file)


def without_strays(
    matches: Sequence[Match], wanted: Iterable[Wanted], packages: Collection[str], begun: Collection[str]
) -> list[Match]:
    """Leave out the files that were found only because another model has the same ones.

    Models of one family share tokenizers; somebody who brings one model has not brought a piece of the others. Kept is
    what completes its model, belongs to a model in ``begun``, or is no other found model's.
    """
    found = {(match.model.id, match.file.name) for match in matches}
    lacking = {
        model.id
        for model, file in wanted
        if not (
            model.default
            or model.id in begun
            or (model.id, file.name) in found
            or any(keys <= set(packages) for keys in packages_of(file))
        )
    }
    whole = {match.sha256 for match in matches if match.model.id not in lacking}
    return [match for match in matches if match.model.id not in lacking or match.sha256 not in whole]


def packages_of(file: ModelFile) -> list[set[str]]:
    """Return, for each source that is made of packages, the keys of the packages that it needs."""
    needed = []
    for source in file.sources:
        parts = parse_source(source)
        keys = {loose_key(part.package) for part in parts if isinstance(part, Member)}
        if keys and all(isinstance(part, Member) for part in parts):
            needed.append(keys)
    return needed


def packages_in(paths: Iterable[Path], models: Iterable[Model]) -> dict[str, Path]:
    """Return the package files that the catalogue knows (wheels, sdists, npm archives), by ``loose_key``."""
    known: dict[str, str] = {}
    for model in models:
        for file in model.files:
            for part in (part for source in file.sources for part in parse_source(source)):
                if isinstance(part, Member):
                    known.update(dict.fromkeys(_file_stems(part.package), loose_key(part.package)))
    found: dict[str, Path] = {}
    for path in paths:
        stem = _stem(path.name)
        if stem in known:
            found[known[stem]] = path
    return found


def _file_stems(package: Package) -> list[str]:
    """Return how a package's file name begins, normalised as ``_stem`` does, with the kind of archive."""
    name = package.name.lower().lstrip("@").replace("/", "-").replace("_", "-").replace(".", "-")
    kinds = ("npm",) if package.tool == "npm" else ("sdist",) if package.sdist else ("whl", "sdist")
    return [f"{kind} {name} {package.version}" for kind in kinds]


def _stem(filename: str) -> str | None:
    if filename.endswith(".whl"):
        fields = filename.split("-")
        return f"whl {fields[0].lower().replace('_', '-').replace('.', '-')} {fields[1]}" if len(fields) > 4 else None
    for suffix, kind in ((".tar.gz", "sdist"), (".tgz", "npm")):
        if filename.endswith(suffix) and "-" in filename:
            name, version = filename.removesuffix(suffix).rsplit("-", 1)
            return f"{kind} {name.lower().replace('_', '-').replace('.', '-')} {version}"
    return None
