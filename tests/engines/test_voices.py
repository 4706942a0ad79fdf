"""Voices are found by id, by the speaker's name and by language."""

import pytest

from device.engines.voices import named, nearest, voices_of
from device.errors import DragomanError
from device.modelstore.catalogue import Model, Speaker


def model(id_, language, *speakers):
    known = {"task": "tts", "engine": "piper", "name": id_, "licence": "", "homepage": ""}
    return Model(id=id_, languages=(language,), speakers=speakers, **known)


VOICES = voices_of([
    model("tts-piper-en-joe", "en-US", Speaker("Joe", "en-US", gender="male")),
    model("tts-piper-pt-faber", "pt-BR"),
    model("tts-kokoro", "en-US", Speaker("Heart", "en-US", "af_heart", "female"),
          Speaker("Emma", "en-GB", "bf_emma", "female"), Speaker("Zoë", "pt-BR", "pf_zoe", "female")),
])  # fmt: skip


def test_a_model_that_names_nobody_has_one_voice():
    assert [(v.id, v.name, v.language) for v in VOICES][1] == ("tts-piper-pt-faber", "Faber", "pt-BR")


@pytest.mark.parametrize(
    ("name", "language", "found"),
    [
        ("tts-kokoro/bf_emma", "pt", "tts-kokoro/bf_emma"),
        ("af_heart", "en", "tts-kokoro/af_heart"),
        ("EMMA", "en", "tts-kokoro/bf_emma"),
        ("zoe", "pt", "tts-kokoro/pf_zoe"),
        ("tts-kokoro", "en-GB", "tts-kokoro/bf_emma"),
        ("tts-kokoro", "pt", "tts-kokoro/pf_zoe"),
        ("tts-piper-en-joe", "pt", "tts-piper-en-joe"),
    ],
)
def test_a_voice_answers_to_its_names(name, language, found):
    assert named(VOICES, name, language).id == found


def test_a_wrong_name_is_told_with_the_nearest():
    with pytest.raises(DragomanError, match="no voice 'Jo' is installed; did you mean 'Joe'"):
        named(VOICES, "Jo", "en")


@pytest.mark.parametrize(
    ("language", "found"),
    [("en", "tts-piper-en-joe"), ("en-GB", "tts-kokoro/bf_emma"), ("pt-PT", "tts-piper-pt-faber"), ("de", None)],
)
def test_the_first_of_a_region_then_of_the_language(language, found):
    voice = nearest(VOICES, language)
    assert (voice.id if voice else None) == found
