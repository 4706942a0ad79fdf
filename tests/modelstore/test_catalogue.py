"""The catalogue that ships is right, and a mistake in one is a line that says where."""

import tomllib
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import device
from device.errors import DragomanError, UsageError
from device.modelstore.catalogue import Catalogue, ModelFile, Variant
from device.modelstore.choice import models_for
from device.modelstore.loading import load_catalogue, load_model, packaged_folder, safe_name
from device.modelstore.sources import Address, HubFile, Member, parse_source
from device.modelstore.store import ModelStore
from tests.modelstore.support import model, write_catalogue

GOOD = """
id = "m"
task = "asr"
engine = "sherpa-offline"
name = "M"
languages = ["en"]
licence = "MIT"
homepage = "https://example.org"

[[files]]
name = "tokenizer.bin"
sha256 = "%s"
size = 3
sources = ["hf:owner/repo@main/tokenizer.bin"]

[[derived]]
tool = "moonshine-tokens"
inputs = ["tokenizer.bin"]
outputs = ["tokens.txt"]
""" % ("0" * 64)


@pytest.fixture(scope="module")
def shipped():
    return load_catalogue([packaged_folder()])


def test_every_entry_that_ships_is_valid(shipped):
    assert len(shipped) >= 10
    assert set(shipped) == {path.stem for path in packaged_folder().glob("*.toml")}


def test_the_default_set_serves_both_directions_of_english_and_portuguese(shipped):
    defaults = {model.id for model in shipped.defaults()}
    for pair in (("en", "pt"), ("pt-BR", "en-US")):
        assert {model.id for model in models_for(shipped, *pair)} <= defaults
    assert all(model.verified for model in shipped.defaults())
    assert sum(model.size or 0 for model in shipped.defaults()) < 400e6


def test_verified_files_can_be_had_without_the_hub(shipped):
    """Where only package registries can be reached, the tests and the demo still get their models."""
    for entry in shipped.values():
        if entry.verified:
            for file in entry.files:
                kinds = [type(part) for source in file.sources for part in parse_source(source)]
                assert Member in kinds, f"{entry.id}/{file.name}"


def test_a_device_in_the_field_needs_no_package_manager(shipped):
    """What is pulled by default comes from the hub or plain servers first."""
    for entry in shipped.values():
        if entry.engine == "piper" and entry.default:
            for file in entry.files:
                assert isinstance(parse_source(file.sources[0])[0], HubFile), f"{entry.id}/{file.name}"


def test_sources_name_only_the_publishers_own_servers(shipped):
    """Where packages come from is the user's own setting, so no address of an index is written down."""
    parts = {p for m in shipped.values() for f in m.files for source in f.sources for p in parse_source(source)}
    hosts = {urlsplit(part.url).netloc for part in parts if isinstance(part, Address)}
    assert hosts == {
        "download.moonshine.ai",
        "github.com",
        "media.githubusercontent.com",
        "raw.githubusercontent.com",
    }


def test_many_languages_and_voices_are_described(shipped):
    heard = {tag for m in shipped.values() if m.task == "asr" and len(m.languages) < 40 for tag in m.languages}
    assert len({tag.split("-")[0] for tag in heard}) >= 10
    assert len([m for m in shipped.values() if m.task == "tts"]) >= 30
    assert len([m for m in shipped.values() if m.task == "mt"]) >= 20


def test_candidates_are_ordered_by_quality_and_an_exact_region_comes_first():
    entries = [
        model("low", task="tts", languages=("pt-BR",), quality=0.2),
        model("high", task="tts", languages=("pt-PT",), quality=0.9),
        model("other", task="tts", languages=("en",), quality=1.0),
    ]
    catalogue = Catalogue({m.id: m for m in entries})
    assert [m.id for m in catalogue.find(task="tts", language="pt")] == ["high", "low"]
    assert [m.id for m in catalogue.find(task="tts", language="pt-BR")] == ["low", "high"]
    assert catalogue.find(task="asr") == []


def test_a_pair_without_a_direct_model_goes_through_a_third_language():
    def mt(name, source, target, **fields):
        return model(name, task="mt", source=source, target=target, **fields)

    entries = [
        model("vad"),
        model("ear", task="asr", languages=("zh",)),
        model("mouth", task="tts", languages=("pt",)),
        mt("zh-en", "zh", "en", quality=0.5),
        mt("zh-de", "zh", "de", quality=0.9),
        mt("en-pt", "en", "pt", quality=0.9),
        mt("de-pt", "de", "pt", quality=0.2),
    ]
    catalogue = Catalogue({m.id: m for m in entries})
    assert [m.id for m in models_for(catalogue, "zh", "pt")] == ["vad", "ear", "zh-en", "en-pt", "mouth"]
    assert [m.id for m in models_for(catalogue, "zh", "pt-BR")][-1] == "mouth"
    with pytest.raises(DragomanError, match="no recogniser for 'fr'"):
        models_for(catalogue, "fr", "pt")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('task = "asr"', 'task = "car"'), "task: 'car' is none of asr, mt, tts"),
        (('engine = "sherpa-offline"', 'engine = "steam"'), "engine: 'steam' is none of"),
        (('id = "m"', 'id = "n"'), "id: is 'n', but the file is named 'm'"),
        (('id = "m"', 'id = "../m"'), "id: '../m' must be lower-case"),
        (("size = 3", 'size = "three"'), r"files\[0\].size: input should be a valid integer"),
        (("size = 3", "size = -1"), r"files\[0\].size: must be above 0"),
        (("size = 3", ""), r"files\[0\].sha256: a pinned or verified file needs both"),
        (("0" * 64, "0" * 63), r"files\[0\].sha256: must be 64 lower-case hexadecimal digits"),
        (('licence = "MIT"', ""), "licence: is missing"),
        (('licence = "MIT"', 'license = "MIT"\nlicence = "MIT"'), "license: unknown key"),
        (("size = 3", "size = 3\nsizes = 4"), r"files\[0\].sizes: unknown key"),
        (('name = "tokenizer.bin"', 'name = "../x"'), r"files\[0\].name: '../x' must stay inside"),
        (('name = "tokenizer.bin"', 'name = "/etc/x"'), r"files\[0\].name: '/etc/x' must stay inside"),
        (('name = "tokenizer.bin"', 'name = ".manifest.json"'), r"files\[0\].name: '.manifest.json' must stay"),
        (("hf:owner/repo@main", "hf:owner@main"), r"files\[0\].sources\[0\]: 'hf:owner@main/tokenizer.bin' is not"),
        (('tool = "moonshine-tokens"', 'tool = "magic"'), r"derived\[0\].tool: 'magic' is none of"),
        (('inputs = ["tokenizer.bin"]', 'inputs = ["x"]'), r"derived\[0\].inputs: 'x' is not among the files"),
        (('outputs = ["tokens.txt"]', 'outputs = ["tokenizer.bin"]'), r"derived\[0\].outputs: .* must be a new name"),
        (('licence = "MIT"', 'licence = "MIT'), "is not valid TOML: .*line 7"),
        (('licence = "MIT"', 'licence = "MIT"\nquality = 3.0'), "quality: must be between 0 and 1"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path, change, complaint):
    path = tmp_path / "m.toml"
    path.write_text(GOOD)
    assert load_model(path).id == "m"
    assert change[0] in GOOD
    path.write_text(GOOD.replace(*change, 1))
    with pytest.raises(DragomanError, match=complaint) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_without_a_hash_must_come_from_where_one_is_told(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(
        GOOD.replace(f'sha256 = "{"0" * 64}"\nsize = 3\n', "").replace("hf:owner/repo@main", "https://e.org")
    )
    with pytest.raises(DragomanError, match=r"files\[0\].sources\[0\]: a file without sha256 needs hf: sources"):
        load_model(path)


def test_a_user_s_own_folder_adds_and_replaces(tmp_path, monkeypatch):
    write_catalogue(tmp_path / "store" / "catalogue.d", model("vad-own"), model("vad-silero", name="Mine"))
    (tmp_path / "store" / "catalogue.d" / "vad-own.toml").write_text(GOOD.replace('id = "m"', 'id = "vad-own"'))
    (tmp_path / "store" / "catalogue.d" / "vad-silero.toml").write_text(
        GOOD.replace('id = "m"', 'id = "vad-silero"').replace('name = "M"', 'name = "Mine"')
    )
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "m.toml").write_text(GOOD)
    monkeypatch.setenv("DRAGOMAN_CATALOGUE", f"{tmp_path / 'absent'}:{tmp_path / 'more'}")
    catalogue = ModelStore(tmp_path / "store").catalogue
    assert {"vad-own", "m", "asr-moonshine-tiny-en"} <= set(catalogue)
    assert catalogue["vad-silero"].name == "Mine"


def test_a_broken_entry_does_not_keep_the_others_from_being_used(tmp_path, monkeypatch):
    (tmp_path / "broken.toml").write_text("no toml")
    monkeypatch.setenv("DRAGOMAN_CATALOGUE", str(tmp_path))
    catalogue = load_catalogue()
    assert catalogue["vad-silero"].engine == "silero"
    with pytest.raises(DragomanError, match=r"broken\.toml: is not valid TOML"):
        catalogue.find(task="vad")


def test_the_installed_package_brings_its_catalogue(tmp_path, monkeypatch):
    package = tmp_path / "device"
    (package / "_data" / "models").mkdir(parents=True)
    monkeypatch.setattr(device, "__file__", str(package / "__init__.py"))
    assert packaged_folder() == package / "_data" / "models"


def test_an_unknown_id_names_the_nearest(shipped):
    with pytest.raises(UsageError, match="did you mean 'mt-bergamot-en-pt'"):
        shipped["mt-bergamot-enpt"]
    with pytest.raises(UsageError, match="dragoman models list --all"):
        shipped["zzzzzzzz"]


def test_a_variant_serves_as_well():
    file = ModelFile("x", "0" * 64, 5, ("file:x",), (Variant("1" * 64, 6),))
    assert file.accepts("0" * 64, 5)
    assert file.accepts("1" * 64, 6)
    assert not file.accepts("0" * 64, 6)
    assert not file.accepts("1" * 64, 5)


@pytest.mark.parametrize(
    "source",
    [
        "hf:owner/repo@main/deep/path.onnx",
        "pip:name==1.0:a/b.bin",
        "pip:name==1.0:a/b.bin?platform=manylinux2014_x86_64",
        "pip:name==1.0:outer.zip!/inner/x + npm:@scope/n@2.0.0:y",
        "https://example.org/x.bin",
        "https://example.org/x.bin.gz!/#sha256=" + "0" * 64,
        "file:/media/usb/x",
    ],
)
def test_sources_are_understood(source):
    assert parse_source(source)


@given(st.text(max_size=60))
def test_any_text_is_a_source_or_a_clear_refusal(text):
    try:
        parts = parse_source(text)
    except DragomanError as error:
        assert "is not a source" in str(error)  # noqa: PT017
    else:
        assert parts


@given(st.text(max_size=40))
def test_no_file_name_leads_out_of_the_folder(name):
    from pathlib import Path

    if safe_name(name) and "\0" not in name:
        assert (Path("/store/model") / name).resolve().is_relative_to("/store/model")


def test_entries_are_plain_toml_that_names_its_licence():
    for path in packaged_folder().glob("*.toml"):
        assert tomllib.loads(path.read_text())["licence"]


def test_options_of_sherpa_onnx_models_are_its_constructors_own(shipped):
    """A wrong option would end the process only when somebody loads the model."""
    import inspect

    import sherpa_onnx

    classes = {"sherpa-offline": sherpa_onnx.OfflineRecognizer, "sherpa-online": sherpa_onnx.OnlineRecognizer}
    for entry in shipped.values():
        if entry.engine in classes:
            given = dict(entry.options)
            files = given.pop("files")
            constructor = getattr(classes[entry.engine], f"from_{given.pop('type')}")
            parameters = inspect.signature(constructor).parameters
            assert {*given, *files} <= set(parameters), entry.id
            needed = {n for n, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
            assert needed <= {*given, *files}, entry.id
            there = {f.name for f in entry.files} | {name for step in entry.derived for name in step.outputs}
            assert set(files.values()) <= there, entry.id
