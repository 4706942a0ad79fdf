"""What a model would turn into junk is kept out of it and put back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device.config import Redaction
from device.engines.mt_text import ChunkTranslation, ChunkTranslator
from device.text.sentences import MARKUP, split_sentences

ALPHABET = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'\"-:/() <>%;")


class Model:
    """Knows ASCII without "@"; "translates" by a rule, and remembers what it was given."""

    def __init__(self, rule: Callable[[str], str] = lambda text: f"<{text}>") -> None:
        self.rule = rule
        self.given: list[str] = []

    def run(self, chunks: Sequence[str]) -> list[ChunkTranslation]:
        self.given += chunks
        return [ChunkTranslation(self.rule(chunk), -1.0, 2) for chunk in chunks]

    def knows(self, character: str) -> bool:
        return character in ALPHABET


def translate(text: str, model: Model | None = None, source: str = "en", target: str = "pt") -> str:
    model = model or Model()
    return ChunkTranslator(source, target, model.run, model.knows, 400).translate([text])[0].text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        ".",
        "...",
        "12:30",
        "1,000.50 €",
        "😀",
        "👍🏽 👨‍👩‍👧",
        "https://a.b/c?d=e",
        "你好",
        "שלום עולם",
        "-\n-",
    ],
)
def test_text_with_nothing_to_translate_passes_unchanged(text: str) -> None:
    model = Model()
    assert translate(text, model) == text
    assert model.given == []


@pytest.mark.parametrize(("text", "expected"), [
    ("Hello", "<Hello>"),
    ("  Hello  there \n", "  <Hello there> \n"),
    ("Hello. Bye.", "<Hello.> <Bye.>"),
    ("Hello 😀", "<Hello> 😀"),
    ("😀👍🏽 Hello", "😀👍🏽 <Hello>"),
    ("one 😀 two", "<one> 😀 <two>"),
    ("the word 中文 is", "<the word> 中文 <is>"),
    ("www.a.com is it", "www.a.com <is it>"),
    ("go to www.a.com now", "<go to www.a.com now>"),
    ("write to me@a.com now", "<write to me@a.com now>"),
    ("I’m “fine” – really…", "<I'm \"fine\" - really...>"),  # noqa: RUF001
    ("HELLO WORLD", "<HELLO WORLD>"),
    ("we are #1 in C#", "<we are #1 in C#>"),
    ("~5 people, 1.5 m", "<~5 people, 1.5 m>"),
    ("one # two", "<one> # <two>"),
    ("so " + "a" * 200 + " it is", "<so> " + "a" * 200 + " <it is>"),
    ("cafe\u0301 now", "<café now>"),
    ("Windows® is", "<Windows® is>"),
])  # fmt: skip
def test_literals_keep_their_place(text: str, expected: str) -> None:
    assert translate(text) == expected


@pytest.mark.parametrize(
    "text", ["Hi\x00 you", "Hi\x07 you", "Hi\u202e you", "\ufeffHi you", "Hi\ud800 you", "Hi\u200b you"]
)
def test_control_characters_and_lone_surrogates_vanish(text: str) -> None:
    assert translate(text) == "<Hi you>"


def test_address_that_the_model_spoils_is_kept_out() -> None:
    assert translate("go to www.a.com now", Model(lambda text: text.replace("www", "ver"))) == "go to www.a.com now"
    assert translate("ask me@a.com or @bob now", Model(lambda _: "x")) == "x me@a.com x @bob x"


@pytest.mark.parametrize("number", [
    "4111 1111 1111 1111", "000 000 504", "000 504", "1 800 555 1234", "555-123-4567", "555-1234", "12345678",
    "1111 1111 1111", "GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "DE89 3704 0044 0532 0130 00",
])  # fmt: skip
def test_long_numbers_keep_every_group(number: str) -> None:
    def dropping(text: str) -> str:
        return text.replace(number, number[:3])

    model = Model(dropping)
    assert translate(f"it is {number} now", model) == f"it is {number} now"
    assert translate(f"{number} it is", model) == f"{number} it is"
    assert translate(f"it is {number} now", Model(lambda _: "x")) == f"x {number} x"
    copying = Model(lambda text: text)
    assert translate(f"it is {number} now", copying) == f"it is {number} now"
    assert len(copying.given) == 1, "a model that copies it is asked once"


@pytest.mark.parametrize("number", ["25", "1984", "1990-1995", "3.5", "1,234,567.50", "10 000", "12:30", "100-200"])
def test_other_numbers_are_the_models_own(number: str) -> None:
    model = Model(lambda text: text.replace(number, "N"))
    assert translate(f"it is {number} now", model) == "it is N now"


@pytest.mark.parametrize("kind", [*Redaction, "…"])
def test_marks_of_what_is_hidden_survive(kind: str) -> None:
    model = Model(lambda text: text.replace("card", "cartão").replace("name", "nome"))
    assert translate(f"[{kind}] is mine and [{kind}] too", model) == f"[{kind}] is mine and [{kind}] too"
    assert f"[{kind}]" not in model.given[0]
    assert translate(f"it is [{kind}] now", Model(lambda _: "x")) == f"x [{kind}] x"


def test_names_keep_the_accents_that_the_vocabulary_lacks() -> None:
    model = Model()
    assert translate("Łódź is near Müller's", model) == "<Łódź is near Müller's>"
    assert model.given == ["Lodz is near Muller's"]


def test_shouting_is_translated_as_ordinary_text_and_shouted_again() -> None:
    model = Model(lambda text: text + " sim")
    assert translate("STOP HERE", model) == "STOP HERE SIM"
    assert model.given == ["Stop here"]
    assert translate("NASA", model) == "NASA sim"


def test_spaces_follow_the_way_the_languages_are_written() -> None:
    class Chinese(Model):
        def knows(self, character: str) -> bool:
            return character != "😀"

    def english(text: str) -> str:
        return {"你好。": "Hello.", "再见": "Bye"}.get(text, text)

    assert translate("你好。再见", Chinese(english), "zh", "en") == "Hello. Bye"
    assert translate("再见😀。", Chinese(english), "zh", "en") == "Bye 😀。"
    assert translate("Hello. Bye.", Model(), "en", "zh") == "<Hello.><Bye.>"


def test_confidence_is_the_mean_over_all_tokens() -> None:
    model = Model()
    answers = ChunkTranslator("en", "pt", model.run, model.knows, 400).translate(["a. B.", "1", ""])
    assert [answer.confidence for answer in answers] == [-0.5, None, None]


def test_together_gives_what_one_by_one_gives() -> None:
    texts = ["Hello. Bye 😀", "", "12", "write to me@a.com now", "ok"]
    model, spoiling = Model(), Model(lambda _: "x")
    for m in (model, spoiling):
        translator = ChunkTranslator("en", "pt", m.run, m.knows, 400)
        assert translator.translate_together(texts) == translator.translate(texts)


@given(st.text())
@example("ƀ; A")
@example("A¸")  # noqa: RUF001
@example("#\u0301 A")
def test_any_text_is_translated(text: str) -> None:
    model = Model(lambda chunk: chunk)
    out = translate(text, model)
    assert all(chunk.strip() == chunk != "" for chunk in model.given)
    assert all(character in ALPHABET for chunk in model.given for character in chunk)
    out.encode("utf-8")


@pytest.mark.parametrize("piece", ["a", "😀", "a😀", "a@b.cc ", ". ", "中a", "Ł", "#a", "http://"])
def test_a_hundred_thousand_characters_are_translated(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    assert translate(text, Model(lambda chunk: chunk)).replace(" ", "") == text.replace(" ", "")


TAGGED = [
    '<p class="a. B">one <b>two</b>, <br/>three</p>',
    "one &amp; two &#8364; &lt;three&gt;",
    "<script>var one = 'two. Three';</script> four",
    "<!-- one. Two -->three<code>x = y</code>",
]


@pytest.mark.parametrize("text", TAGGED)
def test_tags_and_entities_survive_unchanged(text: str) -> None:
    answer = translate(text, Model(str.upper))
    assert [m[0] for m in MARKUP.finditer(answer)] == [m[0] for m in MARKUP.finditer(text)]
    assert MARKUP.sub("|", answer).upper() == MARKUP.sub("|", text).upper()
    assert answer != text


def test_no_sentence_ends_inside_a_tag() -> None:
    text = '<a title="Mr. Smith. Hello! Yes">One.</a> Two. <!-- Three. Four --> Five.'
    assert split_sentences(text, "en") == [
        '<a title="Mr. Smith. Hello! Yes">One.</a> Two. ',
        "<!-- Three. Four --> Five.",
    ]


def test_a_piece_between_tags_gets_no_capital_and_no_full_stop() -> None:
    model = Model(lambda text: f"{text.capitalize()}.")
    assert translate("One <b>two</b> three.", model) == "One <b>two</b> three.."


@pytest.mark.parametrize(
    "code", ["{name}", "%s", "${price}", "{{ user.name }}", "%(count)d", "`git push --force`", "{0}"]
)
def test_placeholders_and_code_survive_unchanged(code: str) -> None:
    model = Model(lambda text: text.replace("press", "aperte"))
    assert translate(f"press {code} now", model) == f"aperte {code} now"
    mangling = Model(lambda text: re.sub(r"www\S*", "?", text))
    assert translate(f"press {code} now", mangling) == f"press {code} now"


def test_percentages_and_comparisons_are_no_code() -> None:
    model = Model()
    for text in ("a < b and c > d", "5% of all", "50 %, say"):
        translate(text, model)
    assert model.given == ["a < b and c > d", "5% of all", "50 %, say"]


def test_a_sentence_with_tags_is_translated_as_a_whole_where_their_words_can_be_found_again() -> None:
    words = {"this": "isto", "is": "é", "very": "muito", "important": "importante"}
    model = Model(lambda text: " ".join(words.get(w.strip(".").lower(), w) for w in text.split()))
    assert translate("<p>This is <b>very</b> important </p>", model) == "<p>isto é <b>muito</b> importante </p>"
    assert model.given[0] == "This is very important"


def test_tags_whose_words_move_are_set_where_the_words_are() -> None:
    model = Model(lambda text: {"blue house": "casa azul", "blue": "azul", "house": "casa"}.get(text, text))
    assert translate("<i>blue</i> <b>house</b>", model) == "<b>casa</b> <i>azul</i>"


def test_tags_whose_words_are_not_found_again_cut_the_sentence() -> None:
    model = Model(lambda text: text.replace("a", "x") if " " in text else "other")
    assert translate("a <b>b</b> a b", model) == "other <b>other</b> x b"
