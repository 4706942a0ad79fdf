"""What a configuration needs is told without anything being installed."""

from __future__ import annotations

import pytest

from device.config import Settings
from device.errors import DragomanError
from device.modelstore.choice import configured_models, models_for
from device.modelstore.store import ModelStore


@pytest.fixture
def catalogue(tmp_path):
    return ModelStore(tmp_path).catalogue


def needed(catalogue, **settings):
    return configured_models(catalogue, Settings.model_validate(settings))


def test_a_pair_of_languages_needs_what_pull_for_fetches(catalogue):
    assert sorted(needed(catalogue)) == sorted(model.id for model in models_for(catalogue, "en", "pt"))


def test_both_directions_share_what_they_can(catalogue):
    both = needed(catalogue, directions=[{"source": "en", "targets": ["pt"]}, {"source": "pt", "targets": ["en"]}])
    assert len(both) == len(set(both))
    assert {"mt-bergamot-en-pt", "mt-bergamot-pt-en", "vad-silero"} <= set(both)


def test_text_alone_needs_no_voice_and_a_transcript_no_translator(catalogue):
    assert not [m for m in needed(catalogue, speech={"enabled": False}) if m.startswith("tts-")]
    assert {m.split("-")[0] for m in needed(catalogue, directions=[{"source": "de", "targets": []}])} == {"vad", "asr"}


def test_telling_people_apart_needs_two_models_where_that_is_enabled(catalogue):
    both = {"segment-pyannote", "speaker-wespeaker"}
    assert set(needed(catalogue, speakers={"enabled": True})) - set(needed(catalogue)) == both


def test_voices_and_preferences_are_taken_by_name(catalogue):
    chosen = needed(
        catalogue,
        directions=[{"source": "en-GB", "targets": ["de"], "voice": "tts-piper-de-de-thorsten"}],
        models={"prefer": {"asr:en": "asr-whisper-tiny"}},
    )
    assert {"asr-whisper-tiny", "tts-piper-de-de-thorsten"} <= set(chosen)
    with pytest.raises(DragomanError, match="tts-piper-nobody"):
        needed(catalogue, directions=[{"source": "en", "targets": ["de"], "voice": "tts-piper-nobody"}])
