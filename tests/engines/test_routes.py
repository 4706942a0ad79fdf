"""Routes: direct before pivots, good before bad, and one clear line where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.engines.routes import (
    MOST_PIVOTS,
    Route,
    find_route,
    join_sentences,
    reachable_targets,
    served_by,
)
from device.errors import DragomanError
from device.modelstore.catalogue import Model


def model(pair: str, quality: float = 0.5, suffix: str = "") -> Model:
    source, target = pair.split(">")
    return Model(
        id=f"mt-{source}-{target}{suffix}", task="mt", engine="bergamot", name="", licence="", homepage="",
        source=source, target=target, quality=quality,
    )  # fmt: skip


SOME = [model("en>pt"), model("pt>en"), model("zh>en"), model("en>es"), model("es>en")]


def test_direct_model_is_preferred_to_a_better_pivot() -> None:
    models = [model("zh>en", 1.0), model("en>pt", 1.0), model("zh>pt", 0.1)]
    assert find_route(models, "zh", "pt") == Route(("zh", "pt"), ("mt-zh-pt",))


def test_chinese_reaches_portuguese_through_english() -> None:
    assert find_route(SOME, "zh", "pt") == Route(("zh", "en", "pt"), ("mt-zh-en", "mt-en-pt"))


def test_best_product_of_quality_wins() -> None:
    models = [model("a>b", 0.9), model("b>d", 0.2), model("a>c", 0.5), model("c>d", 0.5)]
    assert find_route(models, "a", "d").languages == ("a", "c", "d")
    twice = [model("en>pt", 0.3, "-tiny"), model("en>pt", 0.6, "-base")]
    assert find_route(twice, "en", "pt").model_ids == ("mt-en-pt-base",)


def test_no_more_than_two_pivots() -> None:
    chain = [model("a>b"), model("b>c"), model("c>d"), model("d>e")]
    assert find_route(chain, "a", "d").languages == ("a", "b", "c", "d")
    with pytest.raises(DragomanError, match="b, c, d"):
        find_route(chain, "a", "e")


@pytest.mark.parametrize(("source", "target", "languages"), [
    ("en", "pt-BR", ("en", "pt")),
    ("en-GB", "pt", ("en", "pt")),
    ("EN", "PT", ("en", "pt")),
    ("zh-Hans-CN", "pt-PT", ("zh", "en", "pt")),
])  # fmt: skip
def test_region_is_served_by_the_bare_language(source: str, target: str, languages: tuple[str, ...]) -> None:
    assert find_route(SOME, source, target).languages == languages


def test_exact_region_is_preferred() -> None:
    models = [model("en>pt", 0.9), model("en>pt-PT", 0.4)]
    assert find_route(models, "en", "pt-PT").target == "pt-PT"
    assert find_route(models, "en", "pt-BR").target == "pt"
    assert find_route(models, "en", "pt").target == "pt"
    assert served_by("pt-BR", "pt-PT") is None


def test_same_language_needs_no_model() -> None:
    assert find_route(SOME, "en", "en") == Route(("en",), ())
    assert find_route(SOME, "en-GB", "en") == Route(("en",), ())


def test_unreachable_target_is_refused_with_what_can_be_reached() -> None:
    with pytest.raises(DragomanError) as caught:
        find_route(SOME, "zh", "fr")
    assert "'fr'" in str(caught.value)
    assert "en, es, pt" in str(caught.value)
    with pytest.raises(DragomanError, match="no installed model translates from 'fr'"):
        find_route(SOME, "fr", "en")


@given(
    pairs=st.sets(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")).filter(lambda p: p[0] != p[1])),
    source=st.sampled_from("abcdef"),
    target=st.sampled_from("abcdef"),
)
def test_route_is_found_exactly_when_a_target_is_reachable(
    pairs: set[tuple[str, str]], source: str, target: str
) -> None:
    models = [model(f"{a}>{b}") for a, b in sorted(pairs)]
    reachable = reachable_targets(models, source)
    if source == target or target in reachable:
        route = find_route(models, source, target)
        assert len(set(route.languages)) == len(route.languages) <= MOST_PIVOTS + 2
        assert all(leg in pairs for leg in zip(route.languages, route.languages[1:], strict=False))
    else:
        with pytest.raises(DragomanError):
            find_route(models, source, target)


def test_sentences_are_joined_as_the_target_writes_them() -> None:
    assert join_sentences(["你好。", "再见。"], ["Hello.", "Bye."], "en") == "Hello. Bye."
    assert join_sentences(["Hello. ", "Bye."], ["你好。", "再见。"], "zh") == "你好。再见。"
    assert join_sentences([" Hello.\n", "Bye. "], ["Olá.", "Tchau."], "pt") == " Olá.\nTchau. "
    assert join_sentences(["aaa", "aaa"], ["aaa", "aaa"], "pt") == "aaaaaa", "one word, cut because of its length"
    assert join_sentences(["  ", "  "], ["", ""], "pt") == "    "
