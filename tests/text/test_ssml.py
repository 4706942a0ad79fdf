"""SSML says what is written in it; what it cannot say is refused; strangers' documents do no harm."""

from contextlib import suppress

# ruff: noqa: RUF001 - phonetic letters look like others
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.text.ssml import Bookmark, End, Manner, Pause, Say, parse_ssml
from device.text.ssml_values import SsmlError


def speak(inner, attributes='xml:lang="en-US"'):
    space = 'xmlns="http://www.w3.org/2001/10/synthesis" xmlns:mstts="https://www.w3.org/2001/mstts"'
    return parse_ssml(f"<speak version='1.0' {space} {attributes}>{inner}</speak>")


def said(inner):
    return [part.spoken or part.text for part in speak(inner) if isinstance(part, Say)]


EN = Manner(language="en-US")


def test_plain_text_is_said_in_the_documents_language():
    assert speak("  Good\n morning ") == [Say("Good morning", EN)]


def test_voices_may_change():
    parts = speak('<voice name="en-US-JennyNeural">One</voice><voice name="pt-BR-AnaNeural">dois</voice>')
    assert [(p.text, p.manner.voice) for p in parts] == [("One", "en-US-JennyNeural"), ("dois", "pt-BR-AnaNeural")]


def test_paragraphs_and_sentences_part_what_they_hold():
    assert said("<p><s>One</s><s>two</s></p>three") == ["One", "two", "three"]


@pytest.mark.parametrize(
    ("element", "seconds"),
    [
        ('<break time="500ms"/>', 0.5),
        ('<break time="2s"/>', 2),
        ('<break time="99s"/>', 20),
        ("<break/>", 0.75),
        ('<break strength="x-strong"/>', 1.25),
        ('<mstts:silence type="Leading" value="200ms"/>', 0.2),
    ],
)
def test_breaks_last_as_long_as_is_written(element, seconds):
    assert speak(f"a{element}b") == [Say("a", EN), Pause(seconds), Say("b", EN)]


@pytest.mark.parametrize(
    ("attribute", "value", "factor"),
    [
        ("rate", "fast", 1.55),
        ("rate", "+20%", 1.2),
        ("rate", "-50%", 0.5),
        ("rate", "1.5", 1.5),
        ("rate", "900%", 2),
        ("pitch", "high", 1.15),
        ("pitch", "+12st", 2.0),
        ("pitch", "-10%", 0.9),
        ("shift", "+15Hz", 15),
        ("shift", "-15Hz", -15),
        ("tone", "120Hz", 120),
        ("volume", "soft", 0.4),
        ("volume", "50", 0.5),
        ("volume", "+20%", 1.2),
        ("volume", "-6dB", 0.501),
        ("volume", "silent", 0),
    ],
)
def test_prosody_changes_how_it_is_said(attribute, value, factor):
    written = "pitch" if attribute in {"shift", "tone"} else attribute
    (part,) = speak(f'<prosody {written}="{value}">a</prosody>')
    assert getattr(part.manner, attribute) == pytest.approx(factor, abs=0.001)


def test_substitutes_and_spelling():
    assert said('<sub alias="World Wide Web">WWW</sub>') == ["World Wide Web"]
    assert said('<say-as interpret-as="characters">abc</say-as>') == ["A, B, C"]
    assert said('<say-as interpret-as="date">today</say-as>') == ["today"]
    assert said('<say-as interpret-as="expletive">today</say-as>') == ["today"]


def test_metadata_is_not_spoken():
    assert said("<metadata><dc>by Ann</dc></metadata>Hello") == ["Hello"]


def test_bookmarks_stand_where_they_are_written():
    assert speak('a<bookmark mark="m1"/>b')[1] == Bookmark("m1")


def test_elements_that_only_colour_are_read_through():
    assert said('<mstts:express-as style="cheerful">Hi <w>there</w></mstts:express-as>') == ["Hi there"]


@pytest.mark.parametrize(("level", "rate", "pitch", "volume"), [
    ("strong", -1, 1, 1), ("moderate", -1, 1, 1), ("none", 0, 0, 0), ("reduced", 1, -1, -1),
])  # fmt: skip
def test_emphasis_is_slower_higher_and_louder(level, rate, pitch, volume):
    (part,) = speak(f'<emphasis level="{level}">a</emphasis>')
    changes = [np.sign(value - 1) for value in (part.manner.rate, part.manner.pitch, part.manner.volume)]
    assert changes == [rate, pitch, volume]


def test_phonemes_are_read_in_both_alphabets():
    assert [p.phonemes for p in speak('<phoneme alphabet="ipa" ph="təˈmeɪtoʊ">tomato</phoneme>')] == ["təˈmeɪtoʊ"]
    assert [p.phonemes for p in speak('<phoneme alphabet="x-sampa" ph="t@&quot;meIt@U">t</phoneme>')] == ["təˈmeɪtəʊ"]


def test_a_contour_keeps_its_points_in_order():
    (part,) = speak('<prosody contour="(50%,-2st) (0%,+20Hz)">a</prosody>')
    assert part.manner.contour == ((0, 1, 20), (0.5, pytest.approx(2 ** (-2 / 12)), 0))


def test_what_stands_without_a_space_stays_together():
    assert [p.glued for p in speak('un<emphasis>believ</emphasis>able <sub alias="x">y</sub>.')] == [
        False, True, True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        "",
        "no markup",
        "<speak>",
        "<html/>",
        "<speak><audio src='http://x/y.wav'/></speak>",
        "<speak><break time='soon'/></speak>",
        "<speak><prosody rate='warp'>a</prosody></speak>",
        "<speak><prosody pitch='440dB'>a</prosody></speak>",
        "<speak><prosody contour='up'>a</prosody></speak>",
        "<speak><prosody contour='(0%,+10%) up'>a</prosody></speak>",
        "<speak><phoneme alphabet='sapi' ph='a'>a</phoneme></speak>",
        "<speak><emphasis level='huge'>a</emphasis></speak>",
        b"\xff\xfe\x00",
        b"<?xml version='1.0' encoding='x'?><speak/>",
    ],
)
def test_what_cannot_be_said_is_refused_in_one_line(document):
    with pytest.raises(SsmlError) as refused:
        parse_ssml(document)
    assert "\n" not in str(refused.value)


BOMB = "<!DOCTYPE speak [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>" for i in range(12)
)


@pytest.mark.parametrize(
    "document",
    [
        BOMB + "]><speak>&m;</speak>",
        "<!DOCTYPE speak [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><speak>&x;</speak>",
        "<!DOCTYPE speak SYSTEM 'http://example.org/x.dtd'><speak/>",
        "<!DOCTYPE speak><speak>a</speak>",
    ],
    ids=["entity bomb", "external entity", "external type", "type"],
)
def test_entities_and_document_types_are_refused(document):
    with pytest.raises(SsmlError, match="document type"):
        parse_ssml(document)


def test_an_attribute_of_ten_megabytes_does_no_harm():
    assert said(f'<voice name="{"x" * 10_000_000}">a</voice>') == ["a"]


def test_deep_nesting_is_refused():
    with pytest.raises(SsmlError, match="deeper"):
        speak("<p>" * 5000 + "</p>" * 5000)


TAGS = st.sampled_from(
    ["p", "s", "voice", "prosody", "break", "sub", "say-as", "bookmark", "audio", "x:y", "emphasis", "phoneme"]
)
NAMES = [
    "name", "rate", "pitch", "volume", "time", "strength", "alias", "mark",
    "level", "ph", "contour", "interpret-as", "value", "type",
]  # fmt: skip
ATTRIBUTES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.text()),
    max_size=3, unique_by=lambda pair: pair[0],
)  # fmt: skip


@st.composite
def elements(draw, depth=3):
    from xml.sax.saxutils import escape, quoteattr

    inner = "".join(draw(st.lists(elements(depth=depth - 1), max_size=3))) if depth else ""
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in draw(ATTRIBUTES))
    tag = draw(TAGS)
    return f"<{tag}{attributes}>{escape(draw(st.text(max_size=10)))}{inner}</{tag}>"


@given(elements())
def test_any_document_is_said_or_refused(document):
    with suppress(SsmlError):
        assert all(isinstance(part, Say | Pause | Bookmark | End) for part in speak(document))


@given(st.text() | st.binary())
def test_anything_else_is_refused(document):
    with suppress(SsmlError):
        parse_ssml(document)
