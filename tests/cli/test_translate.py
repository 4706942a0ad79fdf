"""Lines of text through ``dragoman translate --text``."""

import io

import pytest

from tests.cli.test_main import dragoman

__all__ = ["dragoman"]


def stdin(monkeypatch, text):
    monkeypatch.setattr("device.cli.translate.read_stdin", lambda: io.BytesIO(text.encode()))


@pytest.mark.parametrize("target", ["pt", "pt-BR"])
def test_text_that_is_in_its_target_language_passes_unchanged_and_says_so(dragoman, monkeypatch, tmp_path, target):
    monkeypatch.setenv("DRAGOMAN_MODELS", str(tmp_path))
    stdin(monkeypatch, "Bom dia.\nAté <b>logo</b>.\n")
    code, out, err = dragoman("translate", "--text", "--from", "pt", "--to", target)
    assert (code, out) == (0, "Bom dia.\nAté <b>logo</b>.\n")
    assert err.count("\n") == 1
    assert f"pt and {target} are one language" in err


@pytest.mark.models
def test_a_translation_hides_what_its_source_hides(dragoman, monkeypatch, model_dir):
    model_dir("mt-bergamot-en-pt")
    stdin(monkeypatch, "My name is Hannah Whitfield, call 202-456-1111.\n")
    monkeypatch.setenv("DRAGOMAN_TEXT__REDACT", '["name", "phone"]')
    code, out, _ = dragoman("translate", "--text", "--from", "en", "--to", "pt")
    assert code == 0
    assert "[name]" in out
    assert "[phone]" in out
    assert not any(word in out for word in ("Hannah", "Whitfield", "1111"))
