import itertools

from hypothesis import given
from hypothesis import strategies as st

from device.text.steady import SteadyText


def test_what_two_guesses_share_is_shown_but_their_last_words():
    text = SteadyText("pt")
    assert text.update("Foi o melhor dos tempos") == "Foi", "something is shown at once"
    assert text.update("Foi o melhor dos dias de") == "Foi o melhor"
    assert text.update("Foi o melhor dos dias de todos os") == "Foi o melhor dos dias"


def test_what_was_shown_stays_though_the_guess_changes():
    text = SteadyText("pt")
    text.update("Ele foi à casa dela ontem")
    shown = text.update("Ele foi à casa dela ontem.")
    assert shown == "Ele foi à"
    assert text.update("Ela vai à escola amanhã de manhã") == shown
    assert text.update("Ela vai à escola amanhã de manhã") == shown


def test_marks_and_capitals_alone_change_nothing():
    text = SteadyText("pt")
    text.update("Sim, vamos lá agora mesmo")
    assert text.update("sim vamos lá, agora mesmo então") == "sim vamos lá,"


def test_languages_without_spaces_grow_by_characters():
    text = SteadyText("zh")
    text.update("今天天气很好")
    assert text.update("今天天气很好我们去") == "今天天气很好"


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c.", "D"]), max_size=6), max_size=8))
def test_words_are_taken_back_once_at_most(guesses):
    text = SteadyText("en")
    shown = [text.update(" ".join(words)) for words in guesses]
    assert sum(not after.startswith(before) for before, after in itertools.pairwise(shown)) <= 1
