"""The example file in firmware_config has every key with its default, and settings survive being saved."""

import re
import tomllib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from device.config import ConfigError, Loaded, Settings, load
from device.config.problems import all_keys, table
from device.config.render import to_toml

EXAMPLE = Path(__file__).parents[2] / "firmware_config" / "dragoman.toml"


def commented_keys(text: str) -> str:
    """Take the ``#`` away from keys and tables, and leave prose, which has a space after it, alone."""
    return re.sub(r"(?m)^#(?=\S)", "", text)


def keys_of(values, above=""):
    for key, value in values.items():
        yield f"{above}{key}"
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and table(f"{above}{key}".split(".")):
            yield from keys_of(inner, f"{above}{key}.0." if isinstance(value, list) else f"{above}{key}.")


def test_example_changes_nothing_as_it_is():
    assert tomllib.loads(EXAMPLE.read_text(encoding="utf-8")) == {}


def test_example_has_every_key_once_and_no_other():
    text = commented_keys(EXAMPLE.read_text(encoding="utf-8"))
    assert sorted(keys_of(tomllib.loads(text))) == sorted(all_keys())


def test_example_shows_the_defaults():
    shown = tomllib.loads(commented_keys(EXAMPLE.read_text(encoding="utf-8")))
    defaults = Settings().model_dump(mode="json")

    def compare(shown, default, path):
        if isinstance(default, dict):
            for key in default:
                compare(shown[key], default[key], f"{path}.{key}")
        elif isinstance(default, list) and default and isinstance(default[0], dict):
            compare(shown[0], default[0], path)
        elif default == [] and shown and isinstance(shown[0], dict):
            pass  # a list of tables that is empty by default is shown by one of them
        elif default is not None:
            assert shown == default, path

    compare(shown, defaults, "")


def test_example_values_are_all_right(tmp_path):
    file = tmp_path / "dragoman.toml"
    text = commented_keys(EXAMPLE.read_text(encoding="utf-8")).replace("tls = false", "tls = true")
    text = text.replace('geometry = "respeaker-4mic"', "")  # excludes the microphones of an array of one's own
    file.write_text(text, encoding="utf-8")
    assert isinstance(load(file, environ={}), Loaded)


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "mqtt.device": st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8),
        "models.prefer": st.dictionaries(
            st.text(st.characters(exclude_categories=("Cs",)), max_size=5), st.text(max_size=5), max_size=2
        ),
        "audio.input": st.one_of(st.none(), st.integers(0, 9), st.sampled_from(['a "b" \\ c', "mic", "ü\x7f"])),
        "endpoint.silence": st.floats(0.1, 2),
        "speech.enabled": st.booleans(),
        "directions": st.lists(
            st.fixed_dictionaries(
                {
                    "source": st.sampled_from(["en", "pt-BR"]),
                    "targets": st.lists(st.sampled_from(["de", "zh"]), unique=True),
                }
            ),
            min_size=1,
            max_size=2,
        ),
    },
)


@settings(deadline=None)
@given(SETTINGS)
def test_what_is_shown_can_be_saved_and_read_again(tmp_path_factory, overrides):
    try:
        loaded = load(None, overrides, environ={"XDG_CONFIG_HOME": "/nowhere"})
    except ConfigError:
        return
    file = tmp_path_factory.mktemp("saved") / "dragoman.toml"
    for origin in (None, loaded.origin):
        file.write_text(to_toml(loaded.settings, origin), encoding="utf-8", newline="\n")
        assert load(file, environ={}).settings == loaded.settings
