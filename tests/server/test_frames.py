"""Frames come apart as they were put together, and nothing else passes for one."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.server.frames import FrameError, json_object, parse_binary, parse_text, write_binary, write_text

NAME = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters="-."), min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=8), c, max_size=3),
    max_leaves=5,
)


@given(path=NAME, request=NAME, body=st.dictionaries(st.text(max_size=8), JSON, max_size=3), stream=NAME)
def test_text_comes_apart_as_it_was_put_together(path, request, body, stream):
    frame = parse_text(write_text(path, request, body, X_StreamId=stream))
    assert (frame.path, frame.request_id, frame.headers["x-streamid"]) == (path.lower(), request, stream)
    assert json.loads(frame.body) == body


@given(path=NAME, request=NAME, body=st.binary())
def test_binary_comes_apart_as_it_was_put_together(path, request, body):
    frame = parse_binary(write_binary(path, request, body, "audio/x-wav"))
    assert (frame.path, frame.request_id, frame.body) == (path.lower(), request, body)


@given(body=st.dictionaries(st.text(max_size=8), JSON, max_size=3))
def test_no_body_holds_what_the_javascript_sdk_cuts_at(body):
    assert "\r\n\r\n" not in write_text("p", "r", body).partition("\r\n\r\n")[2]


@given(st.text())
def test_any_text_is_a_frame_or_refused(message):
    with suppress(FrameError):
        assert parse_text(message).path


@given(st.binary())
def test_any_bytes_are_a_frame_or_refused(message):
    with suppress(FrameError):
        assert parse_binary(message).path


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda v: json.dumps(v).encode()))
def test_any_body_is_an_object_or_refused(body):
    with suppress(FrameError):
        assert isinstance(json_object(body, "x"), dict)


def test_names_compare_without_regard_to_case():
    frame = parse_text('PATH: Speech.Context\r\nx-requestID:AB\r\n\r\n{"A":{"bC":[{"D":"E"}]}}')
    assert (frame.path, frame.request_id) == ("speech.context", "AB")
    assert frame.json() == {"a": {"bc": [{"d": "E"}]}}


@pytest.mark.parametrize(
    "message", [b"", b"\x00", b"\x00\x05a", b"\xff\xff" + b"a:b", b"\x00\x01\xff", b"\x00\x00audio"]
)
def test_damaged_binary_is_refused(message):
    with pytest.raises(FrameError):
        parse_binary(message)


def test_deeply_nested_json_is_refused():
    with pytest.raises(FrameError):
        json_object(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "x")
