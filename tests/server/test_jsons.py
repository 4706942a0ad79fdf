"""JSON from strangers: whatever is let in can be gone through and written again."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.server.frames import FrameError, json_object
from device.server.jsons import DEEPEST, parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
)


@given(VALUES | st.builds(lambda text: text, st.text(alphabet='{}[]",:\\udD8eE+-.0123456789NaInfity ')))
def test_what_is_let_in_can_be_written_again(value):
    with suppress(ValueError):
        read = parse_json(json.dumps(value))
        assert parse_json(json.dumps(read, ensure_ascii=False, allow_nan=False).encode()) == read


@pytest.mark.parametrize("opened", ['{"a":', "["])
@pytest.mark.parametrize("deep", [DEEPEST + 1, 400, 700, 900, 1000, 5000, 400_000])
def test_what_is_nested_without_end_is_refused(opened, deep):
    closed = "}" if opened == '{"a":' else "]"
    with pytest.raises(ValueError, match="nested"):
        parse_json(opened * deep + "1" + closed * deep)
    with pytest.raises(FrameError, match="not valid JSON"):
        json_object((opened * deep + "1" + closed * deep).encode(), "speech.context")
    assert parse_json(opened * DEEPEST + "1" + closed * DEEPEST)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", r'"\ud800"', r'{"\udc00": 1}', "", "{", '"\x00"'])
def test_what_could_not_be_written_again_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
        parse_json(text)


@pytest.mark.parametrize("data", [b'"\xff"', '"ä"'.encode("utf-16"), b'"\xed\xa0\x80"'])
def test_other_encodings_are_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
        parse_json(data)


def test_a_mark_of_order_before_the_text_is_stepped_over():
    assert parse_json(b'\xef\xbb\xbf{"a": 1.5}') == {"a": 1.5}
