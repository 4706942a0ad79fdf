"""A soak tells growth from noise."""

from dataclasses import replace

import numpy as np
import pytest

from tools.soak import LIMITS, WARM_UP, Note, main, slopes


def notes(growth):
    noise = np.random.default_rng(1).normal(0, 0.02, 60)
    return [
        Note(hour / 6, 400 + growth * hour / 6 + noise[hour], 12, 17, 0, 250 + noise[hour], 900) for hour in range(60)
    ]


def test_steady_use_has_no_slope():
    assert all(abs(slope) < LIMITS[name] for name, slope in slopes(notes(0)).items())


def test_a_leak_is_a_slope_and_the_warm_up_is_not():
    assert slopes(notes(5))["memory_mb"] == pytest.approx(5, abs=0.1)
    cold = [Note(0.1, 1, 1, 1, 0, 1, 1)] * WARM_UP
    assert abs(slopes([*cold, *notes(0)])["memory_mb"]) < LIMITS["memory_mb"]


def test_a_machine_that_others_use_more_and_more_is_no_growth_and_growth_is_found_all_the_same():
    def busier(note, own):
        busy = 1 + 0.2 * note.hour
        return replace(
            note, latency_ms=(250 + own * note.hour) * busy, processor_ms=900 * busy, reference_ms=40 * busy,
            reference_processor_ms=30 * busy,
        )  # fmt: skip

    steady = slopes([busier(note, 0) for note in notes(0)])
    assert all(abs(slope) < LIMITS[name] for name, slope in steady.items())
    growing = slopes([busier(note, 5) for note in notes(0)])
    assert growing["latency_ms"] > LIMITS["latency_ms"]


def test_a_few_bad_moments_are_no_slope():
    bad = [*notes(0)[:-3], *(replace(note, memory_mb=900, latency_ms=9000) for note in notes(0)[-3:])]
    assert all(abs(slope) < LIMITS[name] for name, slope in slopes(bad).items())


def test_too_short_a_soak_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["soak", "--hours", "1"])
    with pytest.raises(SystemExit):
        main()
    assert "at least 12 hours" in capsys.readouterr().err
