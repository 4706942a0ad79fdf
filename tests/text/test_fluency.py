import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device.text.fluency import remove_disfluencies, remove_disfluencies_so_far

SPOKEN = [
    ("en", "Um, I think, uh, we should go.", "I think we should go."),
    ("en", "I I want I want to go to the the store.", "I want to go to the store."),
    ("en", "Let's meet on Monday, I mean, on Tuesday.", "Let's meet on Tuesday."),
    ("en", "turn left no wait right at the corner", "turn right at the corner"),
    ("en", "It was very, very good, you know, and so on.", "It was very, very good and so on."),
    ("en", "We wa- we went home. [coughs] Then (laughter) we slept.", "We went home. Then we slept."),
    ("en", "I was going to — I went there.", "I went there."),
    ("en", "Ummmm, at five, no, six thirty.", "At six thirty."),
    (
        "en",
        "I came at 5 p.m. the the other day; um, so it was late.",
        "I came at 5 p.m. the other day; so it was late.",
    ),
    (
        "en",
        "It's, it's a, uh, an old house, and they've, they have sold it.",
        "It's an old house, and they have sold it.",
    ),
    ("en", "I think you have, you should have a lawyer.", "I think you should have a lawyer."),
    ("en", "They moved to Dallas, I mean, Austin in May.", "They moved to Austin in May."),
    ("pt", "Custa vinte, não, trinta euros.", "Custa trinta euros."),
    ("pt", "Hum, eu eu queria, tipo, um café.", "Eu queria um café."),
    ("pt", "Na segunda, quer dizer, na terça.", "Na terça."),
    ("es", "Eh, yo yo quiero un un café.", "Yo quiero un café."),
    ("es", "El lunes, perdón, el martes.", "El martes."),
    ("fr", "Euh, je je voudrais, euh, un café.", "Je voudrais un café."),
    ("fr", "Le lundi, enfin, le mardi.", "Le mardi."),
    ("de", "Ähm, ich ich komme am Montag, nein, am Dienstag.", "Ich komme am Dienstag."),
    ("it", "Ehm, io io vorrei un caffè lunedì, anzi, martedì.", "Io vorrei un caffè martedì."),
]

KEPT = [
    ("en", 'He said, "I I think so."', 'He said, "I think so."'),
    ("en", '"Um, yes," she said, "I, uh."', '"Yes," she said, "I."'),
    ("pt", "«Eu eu sei»", "«Eu sei»"),
    ("es", "¿Que que pasa?", "¿Que pasa?"),
    ("en", "I mean, you know, it works.", "I mean, it works."),
    ("pt", "Ele é médico, quer dizer, enfermeiro.", "Ele é médico, enfermeiro."),
    ("en", "What he said is is true, uh huh.", "What he said is true, uh huh."),
]


@pytest.mark.parametrize(("language", "said", "meant"), KEPT)
def test_quotation_marks_and_meaning_outlive_the_words_beside_them(language, said, meant):
    assert remove_disfluencies(said, language) == meant


FLUENT = [
    ("en", "Mm hmm."),
    ("en", "Uh huh. The ER is open."),
    ("fr", "Ah bon ?"),
    ("it", "Boh."),
    ("pt", "Ahã."),
    ("en", "Come in in the morning and log in in the app, or go on on Monday."),
    ("en", "What it is is a problem, and all it is is noise."),
    ("en", "No, I don't know."),
    ("en", "I had had enough, and that that was it."),
    ("en", "New York New York is a song by Duran Duran."),
    ("en", "Step by step by step, more and more and more."),
    ("en", "My number is five five five one two one two."),
    ("en", "Do you know what I mean?"),
    ("en", "I like it. It is very very good."),
    ("en", "Bye bye! He said no, no, no."),
    ("en", "I came, I saw, I conquered."),
    ("en", "The error [E42] is in (brackets)."),
    ("en", "A 35 mm film, or 56 by 56 mm."),
    ("pt", 'Mudaram o "O" na calçada (calçada).'),
    ("pt", "São efeitos da mania, não da depressão."),
    ("es", "Es de Madrid, no de Barcelona."),
    ("pt", "Comprei um livro e é muito muito bom."),
    ("pt", "Não, não quero. Eu digo que sim."),
    ("es", "Este libro es muy muy bueno."),
    ("fr", "Nous nous levons et vous vous couchez."),
    ("de", "Er geht um das Haus, und er ist gut."),
    ("de", "Die Frau, die die Tür öffnet."),
    ("de", "Obwohl das Haus alt ist, ist es schön, und was wir haben, haben wir gern."),
    ("de", "Er konnte nicht gehen \u2013 er stand bloß da."),
    ("fr", "On gagne du temps en en louant un."),
    ("en", "The air there is new to you, you're soon tired (the higher, the colder it will be), it is said."),
    ("en", "He came, he saw, and what she says, she does."),
    ("it", "Piano piano si va lontano."),
    ("zh", "嗯嗯，我我想去。"),  # noqa: RUF001
    ("ru", "ну ну, эм, да"),
    ("ar", "أنا أنا أريد أن أذهب"),
]


@pytest.mark.parametrize(("language", "said", "meant"), SPOKEN)
def test_what_nobody_meant_goes_out(language, said, meant):
    assert remove_disfluencies(said, language) == meant


@pytest.mark.parametrize(("language", "text"), FLUENT)
def test_fluent_text_stays_as_it_is(language, text):
    assert remove_disfluencies(text, language) == text
    assert text.startswith(remove_disfluencies_so_far(text, language))


@pytest.mark.parametrize("text", ["Um.", "um uh, hmm", "[coughs]", "(music) ♪"])
def test_nothing_is_left_of_sounds_alone(text):
    assert not remove_disfluencies(text, "en").strip()


@pytest.mark.parametrize(("language", "text"), [row[:2] for row in SPOKEN] + FLUENT)
def test_what_was_cleaned_needs_no_cleaning(language, text):
    once = remove_disfluencies(text, language)
    assert remove_disfluencies(once, language) == once


WORDS = st.sampled_from(["I", "um", "want", "to", "the", "go", "uh", "a", "well,", "no", "wa-", "five", "New", "so."])


@given(st.lists(WORDS, max_size=14))
@example(["I", "want", "I", "want", "to", "go", "to", "the", "the"])
@example(["to", "the", "a", "to", "the", "a", "go"])
def test_a_growing_transcript_never_takes_a_word_back(words):
    shown = [remove_disfluencies_so_far(" ".join(words[:n]), "en") for n in range(len(words) + 1)]
    for before, after in itertools.pairwise(shown):
        assert after.startswith(before)


@given(st.text(), st.sampled_from(["en", "pt", "es", "fr", "de", "it", "zh"]))
def test_any_text_is_survived_and_gains_no_word(text, language):
    assert len(remove_disfluencies(text, language).split()) <= len(text.split())
    remove_disfluencies_so_far(text, language)
