import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import Profanity
from device.text.profanity import ProfanityFilter
from device.text.rules import LANGUAGES

INNOCENT = {
    "en": "Scunthorpe Penistone Lightwater Arsenal Essex Sussex Middlesex assess assassin class classic pass passage "
    "cocktail peacock Hancock Cockburn Dickens Dickinson shiitake Matsushita analysis title titanic button cucumber "
    "document circumstance therapist raccoon scrap grape skyscraper embarrass harass grass compass bass ass-ess "
    "Buttermilk Wankel swank twatter Pakistan snigger niggle faggots-to-go shitake Nigeria niggardly hello shift",
    "pt": "computador disputa deputado reputação cultura documento curso acusar escuro amputar puto-dizer cuidado "
    "Portugal porrada cone conta conas-culpa forro poda",
    "es": "disputa computadora cabra Cabrera película reputación cultura calculo mierense jodhpur conejo vergüenza",
    "fr": "concert conseil député culture merci conte content habite arbitre cultiver chirurgien chien consigne",
    "de": "Marsch Barsch Fickert Arschin-nein bitte Huren-nein Schiff scheinen Schein Wichtel Muschel pissarro kackerl",
    "it": "cazzuola Cazzago disputa computer culturale calcolo colla fico Merano scazonte cagliari",
}
OFFENSIVE = {
    "en": "fuck fucking motherfucker shit bullshit shitty assholes bitches cunts wankers pissed fuckers",
    "pt": "merda foda-se fodido caralho putas merdas cabrões porra fodendo punheteiro",
    "es": "mierda joder jodido puta gilipollas cabrones coño pendejo chingada cojones",
    "fr": "merde putain connard enculé salope emmerder couilles niquer branleurs chiant",
    "de": "Scheiße scheißegal Arschloch Arschlöcher ficken gefickt Fotze Wichser verarschen Hurensohn",
    "it": "cazzo cazzi incazzato merda stronzo stronza vaffanculo puttana coglioni minchia",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_offensive_words_are_found_in_every_form(language):
    words = ProfanityFilter(language)
    for word in OFFENSIVE[language].split():
        for written in (
            word,
            word.upper(),
            word.capitalize() + "!",
            f"({word})",
            " ".join(word.replace("-", "")) if len(word) < 14 else word,
        ):
            assert words.find(f"x1 {written} y1"), written


@pytest.mark.parametrize(
    "written",
    [
        "f u c k",
        "f.u.c.k",
        "f-u-c-k",
        "fuuuuck",
        "f*ck",
        "sh1t",
        "$hit",
        "fu\u200bck",
        "fück",
        "\uff46\uff55\uff43\uff4b",
        "f***ing",
    ],
)
def test_words_written_to_slip_through_are_found(written):
    assert ProfanityFilter("en").apply(f"what the {written} now", Profanity.REMOVED) == "what the now"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pt", "Picanha na brasa: ele pica a cebola e a abelha picou."),
        ("es", "Un cono de helado y el cono sur."),
        ("en", "Scunthorpe, Moby-Dick, a peacock and a raccoon assess the class."),
        ("de", "Mose und der Marsch."),
    ],
)
def test_letters_of_a_language_are_not_taken_for_others(language, text):
    assert not ProfanityFilter(language).find(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_innocent_words_that_hold_offensive_ones_stay(language):
    words = ProfanityFilter(language)
    for word in INNOCENT[language].split():
        if "-" not in word:
            assert not words.find(word), word
    assert not words.find("a s s e s s, the U S A and a b c d e, 5 * 3 * 2, a * b")


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (Profanity.RAW, "Well, fuck, it is shitty."),
        (Profanity.MASKED, "Well, ****, it is ******."),
        (Profanity.REMOVED, "Well, it is."),
        (Profanity.TAGGED, "Well, <profanity>fuck</profanity>, it is <profanity>shitty</profanity>."),
    ],
)
def test_each_way_to_treat_them(mode, shown):
    assert ProfanityFilter("en").apply("Well, fuck, it is shitty.", mode) == shown


def test_a_quotation_of_nothing_else_goes_with_its_marks():
    assert ProfanityFilter("en").apply('He said "shit" twice.', Profanity.REMOVED) == "He said twice."
    assert (
        ProfanityFilter("en").apply("Un-fucking-believable, kick-ass.", Profanity.MASKED)
        == "Un-*******-believable, kick-***."
    )


def test_what_is_removed_whole_leaves_nothing():
    assert ProfanityFilter("en").apply("Fuck!", Profanity.REMOVED) == ""


def test_a_user_adds_words_endings_and_innocent_ones():
    words = ProfanityFilter("en", ["dratted", "blast*", "!blaster", "!shit"])
    shown = words.apply("the dratted blasted blaster is shit, drattedly", Profanity.MASKED)
    assert shown == "the ******* ******* blaster is shit, drattedly"


def test_a_language_without_a_list_has_the_users_words():
    assert ProfanityFilter("nl", ["kut*"]).apply("kut, kutweer", Profanity.MASKED) == "***, *******"
    assert not ProfanityFilter("nl").find("kut")


@given(st.text(), st.sampled_from(list(Profanity)))
def test_any_text_is_survived_and_masking_keeps_its_length(text, mode):
    shown = ProfanityFilter("en").apply(text, mode)
    assert mode is not Profanity.MASKED or len(shown) == len(text)


@pytest.mark.parametrize("piece", ["f u c k ", "f*", "x", "a ", "$@", "u", "\u200f", "שלום "])
def test_a_megabyte_passes(piece):
    text = piece * (1_000_000 // len(piece))
    assert len(ProfanityFilter("en").apply(text, Profanity.MASKED)) == len(text)
