"""Captions tell who speaks, each format in its own way."""

import itertools
import json
from xml.etree import ElementTree as ET

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.events import Final, Translation
from device.text.captioner import Captioner
from device.text.captionfiles import CaptionFormat, LiveCaptions, write_captions
from device.text.captions import CaptionStyle, Cue, Said, captions, fit, line_length

STYLE = CaptionStyle()
TALK = [(1, "Do you hear me?"), (2, "Yes, I do."), (2, "And you?"), (None, "Who knows."), (2, "Not I."), (1, "Good.")]
CUES = [Cue(1.0, 2.5, ("Tom & Jerry,", "both."), "en", speaker=1), Cue(3.0, 4.0, ("Yes.", "Sim."), "en", "pt", 1)]
CUES.append(Cue(5.0, 6.0, ("No.",), "en", speaker=12))


def hear(captioner, talk=TALK, translated=None):
    for number, (speaker, text) in enumerate(talk):
        common = {"emitted": 0.0, "utterance": str(number), "sequence": number + 1, "speaker": speaker}
        common |= {"start": 2.0 * number, "end": 2.0 * number + 1.5}
        captioner(Final(text=text, language="en", **common))
        if translated:
            captioner(Translation(text=translated, language="pt", source_language="en", **common))


def test_captions_know_who_speaks_and_say_it_in_words_only_where_asked():
    captioner = Captioner(STYLE, None)
    hear(captioner)
    assert [(cue.speaker, cue.text) for cue in captioner.cues] == TALK


def test_a_label_stands_where_somebody_else_speaks():
    captioner = Captioner(STYLE, None, label=True)
    hear(captioner)
    told = ["1: Do you hear me?", "2: Yes, I do.", "And you?", "Who knows.", "2: Not I.", "1: Good."]
    assert [cue.text for cue in captioner.cues] == told


@pytest.mark.parametrize("both", [False, True])
def test_translations_are_said_by_whoever_said_the_words(both):
    captioner = Captioner(STYLE, "pt", both=both, label=True)
    hear(captioner, [(2, "Yes."), (2, "Yes.")], "Sim.")
    assert [cue.speaker for cue in captioner.cues] == [2, 2]
    assert [cue.lines for cue in captioner.cues] == (
        [("2: Yes.", "Sim."), ("Yes.", "Sim.")] if both else [("2: Sim.",), ("Sim.",)]
    )


def test_live_captions_are_labelled_as_well():
    shown = []
    hear(Captioner(STYLE, None, label=True, show=lambda cue: shown.append(cue.lines[0])))
    assert shown[:3] == ["1: Do you hear me?", "2: Yes, I do.", "And you?"]


def test_two_people_are_never_in_one_caption_however_short_they_speak():
    captioner = Captioner(STYLE, None)
    hear(captioner, [(1, "No."), (2, "Yes."), (1, "No!")])
    fitted = fit(captioner.cues, STYLE)
    assert [(cue.speaker, cue.lines) for cue in fitted] == [(1, ("No.",)), (2, ("Yes.",)), (1, ("No!",))]
    assert all(a.end <= b.start for a, b in itertools.pairwise(fitted))


WORDS = st.lists(st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=20), min_size=1, max_size=40)


@given(WORDS.map(" ".join), st.sampled_from(["en", "pt", "zh", "ar"]), st.integers(1, 16), st.booleans())
def test_a_label_takes_room_in_the_first_line_and_nothing_else_from_the_text(text, language, speaker, both):
    label, said = f"{speaker}: ", Said(text, language, 0.0, 9.0, speaker=speaker)
    translation = (text, "pt") if both else None
    cues = captions(said, STYLE, translation, label=label)
    plain = captions(said, STYLE, translation)
    assert cues[0].lines[0].startswith(label)
    assert cues[0].lines[0] != label
    assert "".join(c.text for c in cues).removeprefix(label).split() != []
    letters = ["".join("".join(c.lines[: c.second or None]) for c in made).replace(" ", "") for made in (cues, plain)]
    assert letters[0].removeprefix(label.strip()) == letters[1]
    room = line_length(language, STYLE)
    lines = [line for cue in cues for line in cue.lines[: cue.second or None]]
    # A line is longer only where one word is; the first has the label as well.
    assert all(len(line) <= room or len(line.removeprefix(label).split()) == 1 for line in lines)
    if not both:
        fitting = all(len(word) + len(label) <= room for word in text.split())
        assert all(len(cue.lines) <= STYLE.lines for cue in cues) or not fitting


def test_web_vtt_has_voice_spans():
    written = write_captions(CUES, CaptionFormat.VTT)
    assert "\n<v Speaker 1>Tom &amp; Jerry,\nboth.\n" in written
    assert "\nYes.\nSim.\n" in written
    assert "\n<v Speaker 12>No.\n" in written
    assert [event.text for event in pysubs2.SSAFile.from_string(written, "vtt")][2] == "No."


def test_live_web_vtt_has_them_too():
    live = LiveCaptions(CaptionFormat.VTT)
    written = live.head() + "".join(map(live.add, CUES))
    assert written.count("<v Speaker ") == 2
    assert len(pysubs2.SSAFile.from_string(written, "vtt")) == 3


def test_ttml_names_its_agents_once_and_every_caption_of_theirs():
    document = ET.fromstring(write_captions([*CUES, CUES[0]], CaptionFormat.TTML))
    tt, ttm, xml = (
        "{http://www.w3.org/ns/ttml}",
        "{http://www.w3.org/ns/ttml#metadata}",
        "{http://www.w3.org/XML/1998/namespace}",
    )
    agents = document.findall(f"{tt}head/{tt}metadata/{ttm}agent")
    assert [(a.get(f"{xml}id"), a.get("type"), a.findtext(f"{ttm}name")) for a in agents] == [
        ("speaker-1", "person", "Speaker 1"), ("speaker-12", "person", "Speaker 12"),
    ]  # fmt: skip
    said = ["speaker-1", None, "speaker-12", "speaker-1"]
    assert [p.get(f"{ttm}agent") for p in document.iter(f"{tt}p")] == said
    assert len(pysubs2.SSAFile.from_string(write_captions(CUES, CaptionFormat.TTML), "ttml")) == 3


def test_ttml_without_speakers_has_no_agents():
    assert "ttml#metadata" not in write_captions(CUES[1:2], CaptionFormat.TTML)
    assert ET.fromstring(write_captions([], CaptionFormat.TTML)) is not None


def test_json_tells_the_speaker_where_there_is_one():
    assert [cue.get("speaker") for cue in json.loads(write_captions(CUES, CaptionFormat.JSON))] == [1, None, 12]


def test_only_subrip_needs_words_to_say_who_speaks():
    assert [form for form in CaptionFormat if not form.names_speakers] == [CaptionFormat.SRT]
