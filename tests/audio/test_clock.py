"""The audio clock, without a device."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audio.clock import AudioClock


@given(
    st.lists(st.floats(0, 0.05), min_size=200, max_size=200),
    st.floats(0, 2.0),
    st.floats(-2e-4, 2e-4),
)
@settings(max_examples=60, deadline=None)
def test_clock_finds_what_was_lost_and_nothing_else(jitter, gap, drift):
    """Blocks of 32 ms arrive up to 50 ms late, from a device whose clock is off; after 100 of them some are lost."""
    clock, seconds, lost = AudioClock(), 0.0, 0.0
    for i, late in enumerate(jitter * 2):
        seconds += 0.032
        true = 0.032 * (i + 1) * (1 + drift) + (gap if i >= 100 else 0.0)
        missing = clock.missing(true + late, seconds + lost)
        lost += missing
    assert lost == pytest.approx(gap, abs=0.13)
    if gap == 0:
        assert lost == 0
