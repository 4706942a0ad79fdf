"""Language tags are written the usual way; a wrong one is refused with the nearest that exists."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.config import canonical_language
from device.config.languages import NAMES


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("pt_BR", "pt-BR"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        (" yue ", "yue"),
    ],
)
def test_tags_are_written_the_usual_way(given_, expected):
    assert canonical_language(given_) == expected


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("english", "'en' (English)"),
        ("portugese", "'pt' (Portuguese)"),
        ("eng", "'en' (English)"),
        ("por", "'pt' (Portuguese)"),
        ("en-", "'en' (English)"),
        ("ptt", "'pt' (Portuguese)"),
        ("deutsch", None),
    ],
)
def test_wrong_tags_are_refused_with_the_nearest(wrong, nearest):
    with pytest.raises(ValueError, match="not a language tag") as caught:
        canonical_language(wrong)
    if nearest:
        assert nearest in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_any_text_is_a_tag_in_its_usual_writing_or_is_refused(text):
    try:
        tag = canonical_language(text)
    except ValueError:
        return
    assert tag.split("-")[0] in NAMES
    assert canonical_language(tag) == tag
