"""What is written in figures and signs is spoken as each language says it; everything else stays as it is."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.text.verbalize import readings, spoken_words, verbalize

CASES = {
    "en-US": {
        "It costs $5.20.": "It costs five dollars and twenty cents.",
        "$1, £2 and €3 million": "one dollar, two pounds and three million euros",
        "12.5% more": "twelve point five percent more",
        "on 3/15/2026": "on March fifteenth, twenty twenty-six",
        "2026-11-20": "November twentieth, twenty twenty-six",
        "the 15 March": "the fifteenth of March",
        "you may 5 times": "you may 5 times",
        "at 10:30 am": "at ten thirty AM",
        "at 3:05 p.m. sharp": "at three oh five PM sharp",
        "in 1984": "in nineteen eighty-four",
        "1984 people": "one thousand nine hundred eighty-four people",
        "1,234.5 m": "one thousand two hundred thirty-four point five metres",
        "60 km/h": "sixty kilometres per hour",
        "the 21st": "the twenty-first",
        "-5 °C": "minus five degrees Celsius",
        "3/4 or 5/8": "three quarters or five eighths",
        "10-20 people": "ten to twenty people",
        "agent 007": "agent zero zero seven",
        "version 2.0.1": "version two dot zero dot one",
        "+351 912 345": "plus three five one, nine one two, three four five",
        "Dr. Smith, St. Mary": "Doctor Smith, Saint Mary",
        "on Main St. and": "on Main Street and",
        "AT&T": "AT and T",
        "anna@example.com": "anna at example dot com",
        "H2O, MP3, B2B, 5G": "H2O, MP3, B2B, 5G",
        "No. 5": "number five",
        "No. That": "No. That",
    },
    "pt-BR": {
        "R$ 5,20": "cinco reais e vinte centavos",
        "US$ 3 milhões": "três milhões de dólares",
        "15/03/2026": "quinze de março de dois mil e vinte e seis",
        "1 de março": "primeiro de março",
        "às 10h30": "às dez e trinta",
        "2 casas e 2 dias": "duas casas e dois dias",
        "21 pessoas, 200 semanas": "vinte e uma pessoas, duzentas semanas",
        "2 problemas": "dois problemas",
        "no 1º andar, 2ª porta": "no primeiro andar, segunda porta",
        "1.234,5 m": "mil duzentos e trinta e quatro vírgula cinco metros",
        "O Dr. Silva": "O Doutor Silva",
        "12,5%": "doze vírgula cinco por cento",
    },
    "es-ES": {
        "5,20 €": "cinco euros con veinte céntimos",
        "21 días y 21 personas": "veintiún días y veintiuna personas",
        "El 1 de mayo de 1984": "El uno de mayo de mil novecientos ochenta y cuatro",
        "a las 10:30": "a las diez y treinta",
        "Sr. Pérez, 50%": "Señor Pérez, cincuenta por ciento",
    },
    "fr-FR": {
        "5,20 €": "cinq euros vingt",
        "1 234,5 km": "mille deux cent trente-quatre virgule cinq kilomètres",
        "Le 1er mai": "Le premier mai",
        "à 10h30": "à dix heures trente",
        "M. Dupont": "Monsieur Dupont",
        "au 2e étage": "au deuxième étage",
    },
    "de-DE": {
        "5,20 €": "fünf Euro zwanzig",
        "Am 3. Mai 1984": "Am dritten Mai neunzehnhundertvierundachtzig",
        "um 10:30 Uhr": "um zehn Uhr dreißig",
        "z.B. 1 km": "zum Beispiel ein Kilometer",
        "1.234 Menschen": "eintausendzweihundertvierunddreißig Menschen",
        "3,14": "drei Komma eins vier",
    },
    "it-IT": {
        "5,20 €": "cinque euro e venti centesimi",
        "Il 1° maggio": "Il primo maggio",
        "alle 10:30": "alle dieci e trenta",
        "Sig. Rossi, 50%": "Signor Rossi, cinquanta per cento",
        "2ª porta": "seconda porta",
    },
    "pl": {"Mam 5 zł.": "Mam 5 zł."},
}


UNUSUAL = {
    "en": {
        "in the 1980s, the 90s and his 20s": "in the nineteen eighties, the nineties and his twenties",
        "for 30s": "for thirty seconds",
        "R$ 1.234,56 or €3,50": (
            "one thousand two hundred thirty-four reais and fifty-six centavos or three euros and fifty cents"
        ),
        "10–20 km, 10-20%": "ten to twenty kilometres, ten to twenty percent",  # noqa: RUF001
        "$5-10, $5-$10": "five to ten dollars, five to ten dollars",
        "call 555-1234 or (555) 123-4567": (
            "call five five five, one two three four or five five five, one two three, four five six seven"
        ),
        "500-1000 people": "five hundred to one thousand people",
        "1000000": "one million",
        "2½ cups, 1 1/2 km, ⅛": "two and one half cups, one and one half kilometres, one eighth",
        "-$5, $5M": "minus five dollars, five million dollars",
        "24/7": "twenty-four seven",
        "C# and #music and #1": "C# and hashtag music and number one",
        "Louis XIV, World War I, Chapter IV": "Louis the fourteenth, World War one, Chapter four",
        "I am Vitamin V on CD": "I am Vitamin V on CD",
    },
    "pt": {
        "3.5 e 1,234.56": "três vírgula cinco e mil duzentos e trinta e quatro vírgula cinquenta e seis",
        "$1,234.56": "mil duzentos e trinta e quatro dólares e cinquenta e seis centavos",
        "às 10:30:15": "às dez e trinta e quinze segundos",
        "2½ kg": "dois e meio quilos",
        "R$ 5 mi": "cinco milhões de reais",
        "98765-4321": "nove oito sete, seis cinco, quatro três dois um",
    },
    "de": {
        "um 10.30 Uhr": "um zehn Uhr dreißig",
        "die 1980er und 90er Jahre": "die neunzehnhundertachtziger und neunziger Jahre",
        "5 Mio. €": "fünf Millionen Euro",
        "2½ kg": "zweieinhalb Kilogramm",
        "Ludwig XIV. war": "Ludwig der vierzehnte war",
    },
    "fr": {
        "au XIXe siècle, Louis XIV, François Ier": "au dix-neuvième siècle, Louis quatorze, François premier",
        "5 M€": "cinq millions d'euros",
    },
    "it": {"alle 10.30": "alle dieci e trenta"},
}


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [(language, written, spoken) for language, cases in UNUSUAL.items() for written, spoken in cases.items()],
)
def test_decades_ranges_foreign_figures_and_numerals_are_spoken(language, written, spoken):
    assert verbalize(written, language) == spoken


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [(language, written, spoken) for language, cases in CASES.items() for written, spoken in cases.items()],
)
def test_it_is_spoken_as_the_language_does(language, written, spoken):
    assert verbalize(written, language) == spoken


def test_dates_are_read_as_the_country_writes_them():
    assert verbalize("3/4/2026", "en-US") == "March fourth, twenty twenty-six"
    assert verbalize("3/4/2026", "en-GB") == "April third, twenty twenty-six"


def test_words_are_known_as_they_are_written():
    assert spoken_words("It costs $5.20, or 3 km.", "en") == [
        ("It", "It"), ("costs", "costs"), ("$5.20,", "five dollars and twenty cents,"), ("or", "or"),
        ("3 km.", "three kilometres."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["שלום 5", "\u200b12\u200b", "\u202e12\u202c", "\uff15", "٣", "²", "1e5", "½½", "€", "1/0"]
)
def test_unusual_text_is_read_somehow(text):
    assert isinstance(verbalize(text, "en"), str)


TEXTS = st.text(alphabet=st.sampled_from("0123456789.,:/-+$€%°ºh aAmpPkMaiJun\u00a0\u200b\u202e½&@#Drn"), max_size=60)


@given(TEXTS | st.text(max_size=60), st.sampled_from([*CASES, "en-GB"]))
def test_readings_are_in_order_and_words_lose_nothing(text, language):
    found = readings(text, language)
    assert all(r.start < r.end for r in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert "".join("".join(w.split()) for w, _ in spoken_words(text, language)) in "".join(text.split())


MUCH = ["1" * 200_000, "a.b@" * 50_000, "1 " * 50_000, "$" * 200_000, "-1" * 50_000, "1." * 50_000]


@pytest.mark.parametrize("text", MUCH)
def test_much_of_the_same_is_read_to_its_end(text):
    assert verbalize(text, "en")
