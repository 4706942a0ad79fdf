"""``dragoman models``: what it prints, and its exit codes."""

import json
import os
import shutil

import pytest

from device import cli
from device.engines import mt_apertium
from device.modelstore.importing import ImportReport
from tests.modelstore.support import file, model, random_bytes, write_catalogue

DATA = random_bytes(100_000)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty store, and a catalogue with one model that lies in a folder."""
    for name in [name for name in os.environ if name.startswith("DRAGOMAN_")]:
        monkeypatch.delenv(name)
    (tmp_path / "upstream").mkdir()
    (tmp_path / "upstream" / "x").write_bytes(DATA)
    own = model("vad-own", file("own.onnx", DATA, f"file:{tmp_path / 'upstream' / 'x'}"))
    write_catalogue(tmp_path / "catalogue", own)
    monkeypatch.setenv("DRAGOMAN_CATALOGUE", str(tmp_path / "catalogue"))
    monkeypatch.setenv("DRAGOMAN_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("device.config.loading.SYSTEM_FILE", tmp_path / "none.toml")
    return tmp_path


@pytest.fixture
def run(place, capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["models", *arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


def test_help_names_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"  {name} " in out for name in ("list", "pull", "verify", "import", "remove"))


def test_a_model_s_life(run, place):
    code, out, err = run("pull", "vad-own")
    assert (code, out) == (0, f"1 model ready in {place / 'store'}\n"), err
    assert (place / "store" / "vad-own" / "own.onnx").read_bytes() == DATA
    assert run("verify") == (0, f"1 model verified in {place / 'store'}\n", "")
    code, out, _ = run("list")
    assert code == 0
    assert next(line for line in out.splitlines() if line.startswith("vad-own ")).endswith("installed")
    assert run("remove", "vad-own")[0] == 0
    assert run("remove", "vad-own") == (1, "", "dragoman: vad-own is not installed\n")


def test_list_tells_what_nobody_verified(run):
    _, short, _ = run("list")
    code, out, _ = run("list", "--all")
    assert code == 0
    unverified = [line for line in out.splitlines() if "not verified" in line]
    assert len(unverified) > 30
    assert "not verified" not in short.replace("that are not verified yet", "")
    assert f"{len(unverified)} more that are not verified yet" in short


def test_list_for_programs_is_one_object_a_line(run):
    code, out, _ = run("list", "--json")
    assert code == 0
    entries = {entry["id"]: entry for entry in map(json.loads, out.splitlines())}
    assert entries["vad-own"]["state"] == "available"
    assert entries["vad-own"]["size"] == len(DATA)
    assert entries["asr-moonshine-tiny-en"]["default"] is True


def test_damage_is_told_with_what_to_do(run, place):
    run("pull", "vad-own")
    (place / "store" / "vad-own" / "own.onnx").write_bytes(DATA[:-1])
    code, out, err = run("verify")
    assert code == 1
    assert out == "vad-own: own.onnx has 99999 bytes instead of 100000\n"
    assert err == "dragoman: 1 model damaged: run `dragoman models pull vad-own`\n"
    code, out, _ = run("verify", "--json")
    assert code == 1
    assert json.loads(out)["ok"] is False
    assert run("pull", "vad-own")[0] == 0
    assert run("verify", "vad-own")[0] == 0


def test_import_takes_a_stick_and_tells_what_is_missing(run, place):
    stick = place / "stick"
    shutil.copytree(place / "upstream", stick)
    code, out, _ = run("import", str(stick))
    assert code == 0
    assert "1 file taken from" in out
    assert "vad-own: ready" in out
    assert "vad-silero: missing silero_vad.onnx" in out
    (place / "empty").mkdir()
    code, _, err = run("import", str(place / "empty"))
    assert code == 1
    assert "is a model file that is missing here" in err


def test_import_of_a_folder_without_models_fails_and_of_one_that_was_imported_does_not(run, place, monkeypatch):
    (place / "empty").mkdir()
    (place / "empty" / "holiday.jpg").write_bytes(b"sun")
    # Nothing is missing here: all that there could be taken is taken.
    monkeypatch.setattr("device.modelstore.store.ModelStore.import_folder", lambda *_: ImportReport())
    assert run("import", str(place / "upstream"))[0] == 0
    code, _, err = run("import", str(place / "empty"))
    assert (code, err) == (1, f"dragoman: nothing in {place / 'empty'} is a model file\n")


def test_import_for_programs_is_one_object(run, place):
    code, out, _ = run("import", str(place / "upstream"), "--json")
    assert code == 0
    assert json.loads(out)["complete"] == ["vad-own"]


def test_pull_with_nothing_named_fetches_what_tells_speakers_apart_where_that_is_enabled(run, monkeypatch):
    asked = []
    monkeypatch.setattr("device.modelstore.store.ModelStore.pull", lambda _self, ids, *_: asked.append(set(ids)))
    both = {"segment-pyannote", "speaker-wespeaker"}
    run("pull")
    monkeypatch.setenv("DRAGOMAN_SPEAKERS__ENABLED", "true")
    run("pull")
    run("pull", "vad-own")
    run("pull", "--default")
    defaults, with_speakers, named, asked_for = asked
    assert not defaults & both
    assert (with_speakers, named, asked_for) == (defaults | both, {"vad-own"}, defaults)


def test_an_offline_store_refuses_to_pull(run, place):
    (place / "dragoman.toml").write_text("[models]\noffline = true\n")
    with pytest.raises(SystemExit) as ended:
        cli.main(["--config", str(place / "dragoman.toml"), "models", "pull", "vad-own"])
    assert ended.value.code == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("pull", "vad-sillero"), "did you mean 'vad-silero'?"),
        (("verify", "vad-sillero"), "did you mean 'vad-silero'?"),
        (("remove", "vad-sillero"), "did you mean 'vad-silero'?"),
        (("remove",), "ID"),
        (("pull", "--for", "en"), "--for wants two languages such as en:pt"),
        (("pull", "--for", "en:klingon!"), "--for wants two languages such as en:pt"),
        (("import",), "FOLDER"),
    ],
)
def test_wrong_use_exits_with_2_and_one_line(run, arguments, complaint):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_a_failure_exits_with_1_and_one_line(run, place):
    (place / "upstream" / "x").write_bytes(b"other")
    code, out, err = run("pull", "vad-own")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("dragoman: vad-own: own.onnx cannot be fetched (")
    assert "Traceback" not in err


def test_pairs_of_the_system_s_packages_are_listed_with_how_to_get_them(run, monkeypatch, tmp_path):
    pair = mt_apertium.Model(
        id="apertium-pt-es", task="mt", engine="apertium", name="Apertium, pt to es", licence="GPL-2.0-or-later",
        homepage="", source="pt", target="es", verified=True, options={"mode": str(tmp_path / "pt-es.mode")},
    )  # fmt: skip
    monkeypatch.setattr(mt_apertium, "installed_pairs", lambda: (pair,))
    code, out, _ = run("list")
    assert code == 0
    assert next(line for line in out.splitlines() if line.startswith("apertium-pt-es ")).endswith("installed")
    assert "apertium-es-gl" not in out
    _, out, _ = run("list", "--all")
    assert next(line for line in out.splitlines() if line.startswith("apertium-es-gl ")).endswith(
        "install apertium-es-gl"
    )
    _, out, _ = run("list", "--json")
    states = {entry["id"]: entry["state"] for entry in map(json.loads, out.splitlines())}
    assert (states["apertium-pt-es"], states["apertium-es-ca"]) == ("installed", "available")
    code, _, err = run("pull", "apertium-es-ca")
    assert code == 2
    assert "apt install apertium-spa-cat" in err


def test_without_such_packages_a_plain_list_does_not_mention_them(run, monkeypatch):
    monkeypatch.setattr(mt_apertium, "installed_pairs", lambda: ())
    assert "Apertium" not in run("list")[1]
