"""Makes a signed update: ``make update KEY=minisign.key``; see ``dragoman update`` for what a device does with it.

The program is the release that ``make deb`` makes. Models are taken from this machine's store. With ``--base``, the
``release.json`` of the version that the devices have, files that did not change are left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from device.errors import DragomanError
from device.modelstore.files import human, sha256_of
from device.modelstore.loading import packaged_folder
from device.modelstore.store import ModelStore, open_store
from device.update import bundle
from device.update.manifest import Entry, Manifest, decode, read
from tools.debian import MACHINES, ArchiveError
from tools.lock import ROOT
from tools.release import ReleaseError, build, version


def model_files(store: ModelStore, ids: Sequence[str]) -> dict[str, Path]:
    """Return the files of installed models and their catalogue entries, by their names in a manifest.

    Raises
    ------
    DragomanError
        A model is not installed, or is damaged.
    """
    found: dict[str, Path] = {}
    for model_id in ids:
        if problems := store.verify(model_id):
            raise DragomanError(str(problems[0]))
        folder = store.path(model_id)
        found |= {f"{model_id}/{file.name}": folder / file.name for file in store.catalogue[model_id].files}
        places = (store.directory / "catalogue.d", packaged_folder())
        entry = next(path for place in places if (path := place / f"{model_id}.toml").is_file())
        found[f"catalogue.d/{model_id}.toml"] = entry
    return found


def make(
    target: Path,
    key: Path,
    tree: Path | None,
    models: dict[str, Path],
    *,
    base: Manifest | None = None,
    notes: str = "",
) -> Manifest:
    """Write a bundle of a release, of models, or of both; ``minisign`` signs it and may ask for the key's password."""
    code = read(tree) if tree is not None else None
    name, serial = (code.version, code.serial) if code is not None else version()
    entries = {path: Entry(sha256_of(file), file.stat().st_size) for path, file in models.items()}
    machine = code.machine if code is not None else "any"
    manifest = Manifest(name, serial, machine, code=code.code if code else {}, models=entries, notes=notes)
    known = set(base.files) if base is not None else set()
    files = {entry.blob: models[path] for path, entry in entries.items()}
    if tree is not None:
        files |= {e.blob: tree / path for path, e in manifest.code.items() if e.link is None and e.blob not in known}
    data = manifest.encode()
    bundle.write(target, data, sign(data, key, f"dragoman {name} {serial} {machine}"), files)
    return manifest


def sign(data: bytes, key: Path, comment: str) -> bytes:
    """Return minisign's signature of ``data``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / bundle.MANIFEST
        file.write_bytes(data)
        try:
            subprocess.run(["minisign", "-S", "-s", key, "-m", file, "-t", comment], check=True)
        except FileNotFoundError:
            raise ReleaseError("minisign is not installed: apt install minisign") from None
        except subprocess.CalledProcessError:
            raise ReleaseError(f"minisign could not sign with {key}") from None
        return (Path(folder) / bundle.SIGNATURE).read_bytes()


def main() -> None:
    """Make what the arguments say."""
    parser = argparse.ArgumentParser(prog="tools.bundle", description="Make a signed update.")
    native = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    parser.add_argument("--key", type=Path, required=True, help="secret key of minisign")
    parser.add_argument("--arch", default=native, choices=sorted(MACHINES), help="for which processor")
    parser.add_argument("--model", action="append", default=[], metavar="ID", help="with this model; may be repeated")
    parser.add_argument("--models-only", action="store_true", help="without the program")
    parser.add_argument("--release", type=Path, help="a release that was made already")
    parser.add_argument("--base", type=Path, help="release.json of what the devices have")
    parser.add_argument("--notes", default="", help="what is new")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "deb", help="folder for what is made on the way")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder for the bundle")
    chosen = parser.parse_args()
    try:
        models = model_files(open_store(), chosen.model)
        tree = None if chosen.models_only else chosen.release or build(chosen.arch, chosen.work.resolve())
        base = decode(chosen.base.read_bytes()) if chosen.base else None
        chosen.output.mkdir(parents=True, exist_ok=True)
        name = "models" if tree is None else MACHINES[chosen.arch]
        target = chosen.output / f"dragoman-{name}{bundle.SUFFIX}"
        manifest = make(target, chosen.key, tree, models, base=base, notes=chosen.notes)
        print(f"{target}  {manifest.kind} {manifest.version}, {human(target.stat().st_size)}")
    except (DragomanError, ReleaseError, ArchiveError, OSError) as error:
        sys.exit(f"update: {error}")


if __name__ == "__main__":
    main()
