import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.text.numbers import write_numbers

WRITTEN = [
    ("en", "I have twenty-five dollars", "I have $25"),
    ("en", "twenty five dollars and fifty cents", "$25.50"),
    ("en", "a hundred dollars or three million dollars", "$100 or $3 million"),
    ("en", "one hundred and twenty three thousand people", "123,000 people"),
    ("en", "fifty percent at sixty miles per hour", "50% at 60 mph"),
    ("en", "three point one four", "3.14"),
    ("en", "it's five thirty p m", "it's 5:30 p.m."),
    ("en", "half past three, quarter to five, seven o'clock", "3:30, 4:45, 7 o'clock"),
    ("en", "meet at five forty five", "meet at 5:45"),
    ("en", "on May third nineteen ninety nine", "on May 3rd, 1999"),
    ("en", "the twenty first of may two thousand and ten", "the 21st of May 2010"),
    ("en", "in nineteen eighty-four", "in 1984"),
    ("en", "call five five five one two three four five six seven", "call 555-123-4567"),
    ("en", "room four one two", "room 412"),
    ("pt", "vinte e cinco reais e cinquenta centavos", "R$ 25,50"),
    ("pt", "às três e meia ou às quinze horas e trinta", "às 3:30 ou às 15:30"),
    ("pt", "vinte e cinco de abril de mil novecentos e setenta e quatro", "25 de abril de 1974"),
    ("pt", "cinquenta por cento de cinco quilômetros", "50% de 5 km"),
    ("pt", "nove um dois três quatro cinco seis sete oito", "912 345 678"),
    ("es", "veinticinco euros a las tres y cuarto", "25 € a las 3:15"),
    ("es", "el doce de mayo de dos mil veinte", "el 12 de mayo de 2020"),
    ("fr", "vingt-cinq euros cinquante à quinze heures trente", "25,50 € à 15 h 30"),
    ("fr", "le premier mai deux mille vingt", "le 1er mai 2020"),
    ("fr", "zéro six douze trente-quatre cinquante-six soixante-dix-huit", "06 12 34 56 78"),
    ("de", "am dritten Mai zweitausendzwanzig um drei Uhr dreißig", "am 3. Mai 2020 um 3:30 Uhr"),
    ("de", "fünfundzwanzig Euro und zwanzig Prozent", "25 € und 20 %"),
    ("it", "venticinque euro alle tre e mezza", "25 € alle 3:30"),
    ("it", "il tre maggio duemilaventi", "il 3 maggio 2020"),
]

MEANT = [
    ("en", "back in the nineteen eighties", "back in the 1980s"),
    ("en", "call one eight hundred five five five one two three four", "call 1-800-555-1234"),
    ("en", "a hundred percent sure", "100% sure"),
    ("en", "a five percent rise and a twenty dollar bill", "a 5% rise and a $20 bill"),
    ("en", "two or three hundred people", "two or three hundred people"),
    ("en", "tens of thousands of people", "tens of thousands of people"),
    ("en", "agent double oh seven", "agent 007"),
    ("en", "at two oh five p m or at eight oh five", "at 2:05 p.m. or at 8:05"),
    ("en", "twelve pounds of sugar, he weighs two hundred pounds", "12 pounds of sugar, he weighs 200 pounds"),
    ("en", "a debt of two hundred pounds", "a debt of £200"),
    ("en", "a thirty second break on the thirty second day", "a 30-second break on the 32nd day"),
    ("en", "open twenty four seven since nine eleven", "open 24/7 since 9/11"),
    ("en", "minus twenty degrees celsius", "-20 °C"),
    ("pt", "uma hora e meia", "uma hora e meia"),
    ("pt", "três horas e vinte minutos", "três horas e 20 minutos"),
    ("pt", "às três horas e vinte", "às 3:20"),
    ("pt", "dois ou três mil", "dois ou três mil"),
    ("pt", "menos dez graus", "-10°"),
    ("es", "dos horas y media", "dos horas y media"),
    ("es", "cinco euros con veinte", "5,20 €"),
    ("es", "dos o tres mil", "dos o tres mil"),
    ("fr", "deux ou trois cents", "deux ou trois cents"),
    ("de", "zwei oder dreihundert", "zwei oder dreihundert"),
    ("it", "due o trecento", "due o trecento"),
]


@pytest.mark.parametrize(("language", "spoken", "written"), MEANT)
def test_what_sounds_like_another_number_is_written_as_it_was_meant(language, spoken, written):
    assert write_numbers(spoken, language) == written


UNTOUCHED = [
    ("en", "one of them said no one knows, and a second later two came"),
    ("en", "a hundred times, may five of them go first"),
    ("en", "It cost $25 at 5:30 on 3 May."),
    ("en", "It cost $2.3 billion, or 10 million euros, and billions of people."),
    ("pt", "27 milhões de euros e bilhões de dólares"),
    ("pt", "um dos dois, e mais uma vez"),
    ("es", "el cuarto de baño, una vez más"),
    ("fr", "un café neuf, trois heures de route"),
    ("de", "ein Hund und acht Katzen"),
    ("it", "tu sei un amico"),
    ("zh", "二十五块钱"),
    ("he", "עשרים וחמש שקלים"),
]


@pytest.mark.parametrize(("language", "spoken", "written"), WRITTEN)
def test_spoken_numbers_are_written(language, spoken, written):
    assert write_numbers(spoken, language) == written


@pytest.mark.parametrize(("language", "text"), UNTOUCHED)
def test_words_that_are_no_amounts_stay_words(language, text):
    assert write_numbers(text, language) == text


@pytest.mark.parametrize(("language", "written"), [(language, written) for language, _, written in WRITTEN])
def test_written_numbers_stay_as_they_are(language, written):
    assert write_numbers(written, language) == written


WORDS = st.sampled_from(
    [
        "one",
        "two",
        "five",
        "ten",
        "twenty",
        "thirty",
        "hundred",
        "thousand",
        "and",
        "a",
        "oh",
        "zero",
        "point",
        "o'clock",
        "at",
        "p",
        "m",
        "may",
        "dollars",
        "cents",
        "percent",
        "half",
        "past",
        "first",
        "third",
        "million",
        "-",
        ",",
        ".",
        "\n",
        "\u200f",
        "5",
        "25",
    ]
)


@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_any_heap_of_number_words_is_survived(text):
    written = write_numbers(text, "en")
    assert "\ue000" not in written
    assert "\ue001" not in written


@given(st.text(), st.sampled_from(["en", "pt", "es", "fr", "de", "it"]))
def test_any_text_is_survived(text, language):
    write_numbers(text, language)


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("born in nineteen oh five", "born in 1905"),
        ("it is ten past four, or at twenty five to nine", "it is 4:10, or at 8:35"),
        ("oh seven nine double four one two three four five six", "07944123456"),
        ("one in ten, and five to six people", "one in ten, and five to six people"),
        ("a double one", "a double one"),
    ],
)
def test_english_times_years_and_numbers_are_written_however_they_are_said(spoken, written):
    assert write_numbers(spoken, "en") == written
