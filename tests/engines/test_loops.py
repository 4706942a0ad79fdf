import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.engines.loops import loop_at_end, run_at_end, without_loop


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("The quick brow brow brow brow brow", "The quick brow"),
        ("one, seven, eight, seven, eight, seven, eight, seven", "one, seven, eight,"),
        ("It was late. It was so cold. It was so cold.", "It was late. It was so cold."),
        ("just like the red, red, red, red", "just like the red,"),
        ("I'm not a fool, I'm not a fool, I'm not a foo", "I'm not a fool,"),
        ("no no", "no no"),
        ("very very good", "very very good"),
        (
            "It was the best of times, it was the worst of times.",
            "It was the best of times, it was the worst of times.",
        ),
        ("hello", "hello"),
        ("", ""),
    ],
)
def test_a_loop_at_the_end_is_said_once(text, once):
    assert without_loop(text, times=3) == once


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_only_what_was_said_before_is_taken_away(words):
    text = " ".join(words)
    repeated = loop_at_end(text, times=3)
    assert without_loop(text, times=3) == " ".join(words[: len(words) - repeated])
    if repeated:
        kept, gone = words[:-repeated], words[-repeated:]
        assert all(word in kept for word in gone)


@pytest.mark.parametrize(
    ("text", "runs"), [("My card number is 4" + "1" * 20, True), ("ha" * 12, True), ("10000000", False)]
)
def test_one_syllable_over_and_over_is_a_run(text, runs):
    assert run_at_end(text) is runs
