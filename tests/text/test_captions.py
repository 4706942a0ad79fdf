import itertools
import json
import re
import unicodedata
from xml.etree import ElementTree as ET

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.events import SpokenWord
from device.text.captionfiles import CaptionFormat, LiveCaptions, write_captions
from device.text.captions import CaptionStyle, Cue, Said, captions, fit, needed, wrap

STYLE = CaptionStyle()
TALE = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
    "it was the epoch of belief, it was the epoch of incredulity. Yes. It was the season of light."
)
CONTO = (
    "Foi o melhor dos tempos, foi o pior dos tempos, foi a idade da sabedoria, foi a idade da tolice, "
    "foi a época da crença, foi a época da incredulidade. Sim. Foi a estação da luz."
)


def test_lines_end_at_clauses_and_no_line_is_too_long():
    cues = captions(Said(TALE, "en", 0, 20), STYLE)
    assert cues[0].lines == ("It was the best of times,", "it was the worst of times,")
    assert all(len(line) <= 42 for cue in cues for line in cue.lines)
    assert all(len(cue.lines) <= 2 for cue in cues)
    assert " ".join(" ".join(cue.lines) for cue in cues) == TALE


@pytest.mark.parametrize("text", ["He gave the book to the man in the park and the dog ran after a ball to the house."])
def test_no_line_ends_after_an_article_or_a_preposition(text):
    lines = [line for cue in captions(Said(text, "en", 0, 5), STYLE) for line in cue.lines]
    assert not [line for line in lines[:-1] if line.split()[-1] in {"the", "a", "to", "in", "after"}]


def test_captions_stand_where_their_words_were_said():
    words, now = [], 3.0
    for text in TALE.split():
        words.append(SpokenWord(text.strip(".,"), now, now + 0.2))
        now += 0.5 if text.endswith(",") else 0.25
    cues = captions(Said(TALE, "en", 3.0, now, tuple(words)), STYLE)
    place = 0
    for cue in cues:
        count = len(" ".join(cue.lines).split())
        assert cue.start == words[place].start
        assert cue.end == words[place + count - 1].end
        place += count


def test_words_that_are_spelled_otherwise_are_placed_between_their_neighbours():
    words = [SpokenWord(w, n, n + 0.5) for n, w in enumerate(["it", "costs", "twenty", "five", "dollars", "today"])]
    style = CaptionStyle(line_length=10, lines=1)
    cues = captions(Said("It costs $25 today.", "en", 0, 6, tuple(words)), style)
    assert [c.text for c in cues] == ["It costs", "$25 today."]
    assert cues[0].start == 0
    assert cues[0].end == 1.5
    assert cues[1].end == 5.5


def test_a_caption_stays_long_enough_to_be_read_where_there_is_time():
    cues = fit([Cue(1.0, 1.2, ("x" * 42,), "en"), Cue(9.0, 9.1, ("Yes.",), "en")], STYLE)
    assert cues[0].end - cues[0].start == pytest.approx(42 / 17)
    assert cues[1].end - cues[1].start == pytest.approx(1.0)


def test_a_caption_makes_room_for_the_next():
    cues = fit([Cue(1.0, 1.5, ("x" * 42,), "en"), Cue(2.0, 3.5, ("y" * 20,), "en")], STYLE)
    assert cues[0].end == pytest.approx(2.0 - STYLE.gap)
    assert cues[1].start == 2.0
    assert cues[0].start == pytest.approx(0.5), "it begins half a second early"


def test_two_languages_stand_in_one_caption():
    cues = captions(Said(TALE, "en", 0, 20), STYLE, (CONTO, "pt"))
    assert cues[0].lines[: cues[0].second] == ("It was the best of times,", "it was the worst of times,")
    assert cues[0].lines[cues[0].second :] == ("Foi o melhor dos tempos,", "foi o pior dos tempos,")
    assert " ".join(" ".join(c.lines[: c.second]) for c in cues) == TALE
    assert " ".join(" ".join(c.lines[c.second :]) for c in cues) == CONTO


def test_languages_without_spaces_have_shorter_lines_and_lose_no_character():
    text = "你好，今天天气很好，我们一起去公园吧，那里有很多花和树，还有一个湖。"  # noqa: RUF001
    cues = captions(Said(text, "zh", 0, 9), STYLE)
    assert "".join("".join(cue.lines) for cue in cues) == text
    assert all(len(line) <= 17 for cue in cues for line in cue.lines)
    assert not [line for cue in cues for line in cue.lines if line[0] in "，。"]  # noqa: RUF001


def test_foreign_words_between_characters_stay_whole_and_apart():
    text = "我用 iPhone15Pro and an international tool 看视频, 3.5 元。"
    cues = captions(Said(text, "zh", 0, 9), STYLE)
    lines = [line for cue in cues for line in cue.lines]
    assert re.findall("[A-Za-z0-9.]+", " ".join(lines)) == ["iPhone15Pro", "and", "an", "international", "tool", "3.5"]
    assert lines == [line.strip() for line in lines]


@pytest.mark.parametrize(
    ("text", "language"),
    [("ภาษาไทยไม่มีช่องว่างระหว่างคำเป็นภาษาที่สวยงามที่ผมอยากเรียนรู้", "th"), ("क्षि" * 40, "hi"), ("e\u0301" * 90, "en")],
)
def test_no_line_begins_with_a_mark_of_the_letter_before(text, language):
    cues = captions(Said(text, language, 0, 9), STYLE)
    lines = [line for cue in cues for line in cue.lines]
    assert "".join(lines) == text
    assert not [line for line in lines if unicodedata.combining(line[0]) or unicodedata.category(line[0])[0] == "M"]


TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=60), max_size=60)


@settings(deadline=None)
@given(TEXTS.map(" ".join), st.sampled_from(["en", "pt", "zh", "ar", "xx"]), st.floats(0, 30))
def test_any_text_is_cut_without_loss_and_in_order(text, language, seconds):
    cues = captions(Said(text, language, 1.0, 1.0 + seconds), STYLE)
    shown = re.sub(r"\s", "", "".join("".join(cue.lines) for cue in cues))
    assert shown == re.sub(r"\s", "", text)
    assert all(1.0 - 1e-6 <= cue.start <= cue.end + 1e-6 for cue in cues)
    fitted = fit(cues, STYLE)
    assert all(a.end <= b.start + 1e-6 for a, b in itertools.pairwise(fitted))
    assert all(cue.end > cue.start for cue in fitted)


def test_a_long_text_is_cut_as_well():
    assert len(captions(Said("hello there, my friend " * 2_000, "en", 0, 900), STYLE)) > 500
    assert wrap("x" * 100_000, "en", STYLE)[0] == "x" * 42


CUES = [
    Cue(1.0, 2.5, ("Tom & Jerry <b>", "{x} --> \\N"), "en"),
    Cue(3661.25, 3663.0, ("Hello.", "Olá. ☃"), "en", "pt", 1),
]


@pytest.mark.parametrize("form", list(CaptionFormat))
def test_files_are_read_back_with_their_times_and_text(form):
    written = write_captions(CUES, form)
    if form is CaptionFormat.JSON:
        first, second = json.loads(written)
        assert first == {"start": 1.0, "end": 2.5, "language": "en", "lines": ["Tom & Jerry <b>", "{x} --> \\N"]}
        assert second["translation"] == {"language": "pt", "lines": ["Olá. ☃"]}
        return
    read = pysubs2.SSAFile.from_string(written, format_=form.value)
    assert [(e.start, e.end) for e in read] == [(1000, 2500), (3_661_250, 3_663_000)]
    assert "Hello." in read[1].text
    assert "Olá. ☃" in read[1].text


def test_marks_of_the_formats_are_no_commands():
    assert "Tom &amp; Jerry &lt;b&gt;\n(x) --&gt;" in write_captions(CUES, CaptionFormat.VTT)
    srt = write_captions(CUES, CaptionFormat.SRT)
    assert srt.count("-->") == 2
    document = ET.fromstring(write_captions(CUES, CaptionFormat.TTML))
    assert document.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    first = next(iter(document.iter("{http://www.w3.org/ns/ttml}p")))
    assert "".join(first.itertext()).startswith("Tom & Jerry <b>")


@pytest.mark.parametrize("form", [CaptionFormat.VTT, CaptionFormat.SRT])
def test_live_captions_make_the_same_file_bit_by_bit(form):
    live = LiveCaptions(form)
    whole = live.head() + "".join(live.add(cue) for cue in CUES)
    assert whole.rstrip("\n") == write_captions(CUES, form).rstrip("\n")


def test_live_json_is_a_line_a_caption():
    live = LiveCaptions(CaptionFormat.JSON)
    assert [json.loads(live.head() + live.add(cue))["start"] for cue in CUES] == [1.0, 3661.25]


@pytest.mark.parametrize("form", list(CaptionFormat))
def test_an_empty_recording_makes_an_empty_file(form):
    assert write_captions([], form).strip() in ("", "WEBVTT", "[]") or form is CaptionFormat.TTML


def test_of_two_languages_people_read_one():
    assert needed(Cue(0, 1, ("x" * 34, "y" * 17), "en", "pt", 1), STYLE) == pytest.approx(2.0)
