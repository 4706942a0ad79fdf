"""Apertium's pairs: small pipelines of ordinary programs, and the real packages where they are installed."""

import shutil
import sys

import pytest

from device.engines.mt_apertium import ApertiumTranslator, _cased, commands_of, installed_pairs, load
from device.engines.protocols import Translator
from device.engines.routes import find_route
from device.errors import DragomanError
from device.modelstore.catalogue import Model

UPPER = """\
import sys
assert sys.argv[1] == "-z"
text = b""
while byte := sys.stdin.buffer.read(1):
    if byte != b"\\0":
        text += byte
        continue
    if b"die" in text:
        sys.exit(1)
    sys.stdout.buffer.write(text.upper() + b"\\0")
    sys.stdout.buffer.flush()
    text = b""
"""
"""A program of a pipeline: capitals, answered after every null character."""


@pytest.fixture
def modes(tmp_path, monkeypatch):
    """A folder of mode files, with the one program that they name on the path."""
    program = tmp_path / "upper"
    program.write_text(f"#!{sys.executable}\n{UPPER}", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "spa-cat.mode").write_text("upper $1 'a file' | upper $2\n", encoding="utf-8")
    (tmp_path / "es-pt_BR.mode").write_text("upper\n", encoding="utf-8")
    (tmp_path / "es-pt_BR-debug.mode").write_text("upper\n", encoding="utf-8")
    (tmp_path / "es-gl.mode").write_text("surely-not-installed | upper\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def translator(modes):
    pairs = {m.id: m for m in installed_pairs(modes)}
    translator = load(pairs["apertium-es-ca"], modes, 1)
    assert isinstance(translator, ApertiumTranslator)
    yield translator
    translator.close()


def test_pairs_whose_programs_are_installed_are_found(modes):
    assert [(m.id, m.source, m.target) for m in installed_pairs(modes)] == [
        ("apertium-es-pt-br", "es", "pt-BR"),
        ("apertium-es-ca", "es", "ca"),
    ]
    assert installed_pairs(modes / "nothing") == ()


def test_a_missing_program_is_told_with_its_packages(modes):
    with pytest.raises(DragomanError, match="surely-not-installed is not installed"):
        commands_of(modes / "es-gl.mode")
    with pytest.raises(DragomanError, match="cannot be read"):
        commands_of(modes / "none.mode")


def test_sentences_pass_through_programs_that_keep_running(translator):
    assert isinstance(translator, Translator)
    answers = translator.translate(["hola", "", "[a] {b} ^c$ <d> \\e/ @", "dia 😀 www.casa.es/x"])
    assert [a.text for a in answers] == ["HOLA", "", "[A] {b} ^C$ <d> \\E/ @", "DIA 😀 www.casa.es/x"]
    assert answers[0].confidence is None


def test_a_program_that_ends_is_started_again_once(translator):
    with pytest.raises(DragomanError, match="does not answer"):
        translator.translate(["die"])
    assert translator.translate(["hola"])[0].text == "HOLA"


def test_a_closed_translator_starts_again(translator):
    translator.close()
    assert translator.translate(["hola"])[0].text == "HOLA"


def test_a_long_text_is_cut_and_comes_back_whole(translator):
    text = "una frase sin fin " * 2_000
    assert translator.translate([text])[0].text == text.upper()


def student(source, target):
    return Model(
        id=f"mt-{source}-{target}", task="mt", engine="bergamot", name="", licence="", homepage="", source=source,
        target=target, quality=0.8,
    )  # fmt: skip


def test_routes_pass_through_both_kinds_of_models_and_share_their_first_leg(modes):
    models = [student("en", "es"), student("es", "en"), *installed_pairs(modes)]
    assert find_route(models, "en", "ca").model_ids == ("mt-en-es", "apertium-es-ca")
    assert find_route(models, "en", "ca").languages == ("en", "es", "ca")
    direct = [*models, student("en", "ca")]
    assert find_route(direct, "en", "ca").model_ids == ("mt-en-ca",)


real = pytest.mark.skipif(
    shutil.which("apertium") is None or len(installed_pairs()) < 3,
    reason="Debian's Apertium packages are not installed",
)


@real
def test_portuguese_becomes_spanish_catalan_and_galician():
    pairs = {m.id: m for m in installed_pairs()}
    text, answers = "Este é um teste da cidade.", {}
    spanish = load(pairs["apertium-pt-es"], None, 1)
    answers["es"] = spanish.translate([text])[0].text
    for target in ("ca", "gl"):
        answers[target] = load(pairs[f"apertium-es-{target}"], None, 1).translate([answers["es"]])[0].text
    assert answers == {
        "es": "Este es una prueba de la ciudad.",
        "ca": "Aquest és una prova de la ciutat.",
        "gl": "Este é unha proba da cidade.",
    }


@real
@pytest.mark.models
def test_english_goes_to_four_languages_at_once(model_dir):
    from device.config import ModelSettings, Settings
    from device.engines.registry import Engines
    from device.translation import TextTranslator

    model_dir("mt-bergamot-en-pt")
    with Engines.open(Settings(models=ModelSettings(offline=True))) as engines:
        translators = TextTranslator.for_targets(engines, "en", ["pt", "es", "ca", "gl"])
        routes = {t.target: t.route for t in translators}
        texts = {t.target: t.translate("The children play in the garden of the house.").text for t in translators}
    assert routes["pt"] == ("en", "pt")
    assert [routes[target][-1] for target in texts] == ["pt", "es", "ca", "gl"]
    assert "crianças" in texts["pt"]
    assert "niños" in texts["es"]
    assert "nens" in texts["ca"]
    assert "nenos" in texts["gl"]


def test_capitals_that_the_rules_lose_are_put_back():
    assert _cased("buen día, e iSO 9001", "Bom dia, e ISO 9001") == "Buen día, e ISO 9001"
    assert _cased("una casa", "uma casa") == "una casa"
