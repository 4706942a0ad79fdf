"""``dragoman update``: signed updates of program and models, with a way back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device.cli.common import json_option, print_json, settings_from
from device.errors import DragomanError

if TYPE_CHECKING:
    from device.config import Settings
    from device.update.home import Home
    from device.update.manifest import Manifest
    from device.update.minisign import PublicKey
    from device.update.updater import Updater

_HOME = f"{__name__}.home"
_AS_JSON = json_option("report")
_FORCE = click.option("--force", is_flag=True, help="Also an older release, the same again, or one that failed before.")


@click.group()
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    hidden=True,
    help="Where the versions are, instead of /opt/dragoman.",
)
@click.option("--model-sets", type=click.Path(path_type=Path), hidden=True)
@click.pass_context
def update(ctx: click.Context, home: Path | None, model_sets: Path | None) -> None:
    """Update program and models from signed bundles, and go back.

    A bundle is taken only when one of the owner's keys signed it: put the public key (`minisign -G` makes a pair)
    into /etc/dragoman/update.pub. The new version must pass the health check, or the one before runs again; it is
    kept in any case. Unplugged at any moment, the device starts with the old version or the new one.
    """
    from device.update.home import HOME, MODEL_SETS, Home

    ctx.meta[_HOME] = Home(home or HOME, model_sets or MODEL_SETS)


@update.command(short_help="Show what runs, what is kept, and what became of the last update.")
@_AS_JSON
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show what runs, what is kept to go back to, and what became of the last update."""
    from device.update.home import CURRENT, PREVIOUS

    home = _home(ctx)
    state = home.state()
    document = {
        "phase": str(home.phase()),
        "current": _as_dict(home.manifest(CURRENT)),
        "previous": _as_dict(home.manifest(PREVIOUS)),
        "result": state.result,
        "text": state.text,
        "time": state.time,
        "highest": state.highest,
        "failed": state.failed,
        "keys": _key_names(settings_from(ctx)),
    }
    if as_json:
        print_json(document)
        return
    click.echo(f"running    {_title(home.manifest(CURRENT))}{'' if document['phase'] == 'idle' else ', on trial'}")
    click.echo(f"previous   {_title(home.manifest(PREVIOUS))}")
    if state.result:
        click.echo(f"last       {state.result} {state.time}: {state.text}")
    keys = _key_names(settings_from(ctx))
    click.echo(f"keys       {', '.join(keys) or 'none: without a key no update is taken'}")


@update.command(short_help="Look for a newer release.")
@click.argument("source", required=False)
@_AS_JSON
@click.pass_context
def check(ctx: click.Context, source: str | None, as_json: bool) -> int:
    """Look in SOURCE, a folder, file or address (by default update.source), for a release that could be installed.

    Ends with 0 when there is one, and with 1 otherwise.
    """
    found, passed_over = _best(ctx, source)
    if as_json:
        print_json(
            {
                "available": [{"place": offer.place, **(_as_dict(offer.manifest) or {})} for offer in found],
                "passed_over": passed_over,
            }
        )
    else:
        for offer in found:
            click.echo(f"{_title(offer.manifest)}  {offer.place}")
        for reason in passed_over.values():
            click.echo(f"not        {reason}", err=True)
        if not found:
            click.echo("nothing newer")
    return 0 if found else 1


@update.command("apply", short_help="Install a release, and go back if it is no good.")
@click.argument("source", required=False)
@_FORCE
@_AS_JSON
@click.pass_context
def apply_(ctx: click.Context, source: str | None, force: bool, as_json: bool) -> None:
    """Install what is newest in SOURCE, a file, folder or address (by default update.source).

    The service restarts on the new version. Unless it becomes ready, stays up and passes `dragoman doctor` as well as
    the old one did, the old one runs again and the command fails.
    """
    from device.update.source import reading

    found, passed_over = _best(ctx, source, force=force)
    if not found:
        raise DragomanError("; ".join(passed_over.values()) or f"there is no update in {_source(ctx, source)}")
    keys = _keys(settings_from(ctx))
    with _changing(ctx) as updater:
        for offer in found:
            with reading(offer.place) as stream:
                manifest = updater.apply(stream, keys, force=force)
            if as_json:
                print_json({"result": "installed", **(_as_dict(manifest) or {})})


@update.command(short_help="Go back to the previous version.")
@_AS_JSON
@click.pass_context
def rollback(ctx: click.Context, as_json: bool) -> None:
    """Go back to the previous version of program and models; called again, forth."""
    with _changing(ctx) as updater:
        version = updater.rollback()
    if as_json:
        print_json({"result": "rolled back", "version": version})


@update.command(short_help="Go on with an update that was interrupted, or undo it.")
@click.pass_context
def finish(ctx: click.Context) -> None:
    """Go on with an update that was interrupted, or undo it; the service manager calls this after a start."""
    with _changing(ctx) as updater:
        click.echo(updater.finish())


@update.command(hidden=True)
@click.argument("folder", type=click.Path(path_type=Path))
@_FORCE
@click.pass_context
def adopt(ctx: click.Context, folder: Path, force: bool) -> None:
    """Install the version in FOLDER, which the package manager brought and checked."""
    with _changing(ctx, must_exist=False) as updater:
        updater.adopt(folder, force=force)


@dataclass(frozen=True)
class _Offer:
    place: str
    manifest: Manifest


def _home(ctx: click.Context, *, must_exist: bool = True) -> Home:
    home: Home = ctx.meta[_HOME]
    if must_exist and not home.exists():
        raise DragomanError(
            f"there are no versions in {home.path}: this Dragoman was not installed by its Debian package,"
            " so whatever installed it updates it"
        )
    return home


@contextmanager
def _changing(ctx: click.Context, *, must_exist: bool = True) -> Iterator[Updater]:
    from device.update.health import Health
    from device.update.updater import Updater

    home = _home(ctx, must_exist=must_exist)
    try:
        os.umask(0o022)
        settings = settings_from(ctx)
        health = Health(settings.update.health_timeout, own_models=settings.models.directory)
        yield Updater(home, health, lambda line: click.echo(line, err=True))
    except PermissionError as error:
        raise DragomanError(f"{error.filename}: {error.strerror}; updates are root's: use sudo") from None


def _best(ctx: click.Context, source: str | None, *, force: bool = False) -> tuple[list[_Offer], dict[str, str]]:
    """Return the newest release of each kind that may be installed, and why others may not."""
    from device.update.health import Health
    from device.update.source import candidates, look
    from device.update.updater import Updater

    updater = Updater(_home(ctx), Health(1.0), lambda _line: None)
    keys = _keys(settings_from(ctx))
    best: dict[str, _Offer] = {}
    reasons: dict[str, str] = {}
    for place in candidates(_source(ctx, source)):
        try:
            manifest = look(place, keys)
            updater.refuse(manifest, force=force)
        except DragomanError as error:
            reasons[place] = f"{Path(place).name}: {error}"
            continue
        if (other := best.get(manifest.kind)) is None or other.manifest.serial < manifest.serial:
            best[manifest.kind] = _Offer(place, manifest)
    # The program first: newer models may need it.
    return [best[kind] for kind in ("program", "models") if kind in best], reasons


def _source(ctx: click.Context, given: str | None) -> str:
    source = given or settings_from(ctx).update.source
    if not source:
        raise DragomanError("name a file, folder or address, or set update.source")
    return source


def _keys(settings: Settings) -> list[PublicKey]:
    from device.update.minisign import read_keys

    path = settings.update.key_file
    if not path.exists():
        raise DragomanError(
            f"no updates without a key: put the public key of whoever makes your updates into {path}"
            " (`minisign -G` makes a pair)"
        )
    return read_keys(path)


def _key_names(settings: Settings) -> list[str]:
    try:
        return [key.name for key in _keys(settings)]
    except (DragomanError, OSError):
        return []


def _title(manifest: Manifest | None) -> str:
    from device.update.updater import title

    return title(manifest) if manifest is not None else "none"


def _as_dict(manifest: Manifest | None) -> dict[str, Any] | None:
    if manifest is None:
        return None
    return {
        "kind": manifest.kind,
        "version": manifest.version,
        "serial": manifest.serial,
        "machine": manifest.machine,
        "notes": manifest.notes,
    }
