"""Takes out what tells who somebody is: names, telephone and card numbers, accounts, identity numbers, addresses.

Every pattern of numbers is checked, so that prices, years and part numbers stay: cards by their check digit
(ISO/IEC 7812, Luhn), accounts by theirs (ISO 13616), identity numbers by each country's rule (python-stdnum),
telephone numbers by the numbering plans of the language's countries (libphonenumber).
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import phonenumbers
from stdnum import iban, luhn
from stdnum.br import cpf
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.it import codicefiscale
from stdnum.pt import cc, nif
from stdnum.us import ssn

from device.config import Redaction
from device.text.numbers import write_numbers
from device.text.rules import primary

LONGEST: Final = 100_000
"""Characters of a text that are looked at together; a longer one is cut between lines or words."""

REMEMBERED: Final = 512
"""Words of names, and numbers, that one conversation remembers."""
_FEWEST_DIGITS: Final = 7
_MOST_DIGITS: Final = 5_000
"""Characters of rows of digits that the numbering plans are asked about."""

Span = tuple[int, int, Redaction]

_LETTER: Final = r"[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]"
"""A letter of a script whose words are parted by spaces."""
_EMAIL_BETWEEN: Final = re.compile(
    rf"(?<![A-Za-z0-9_.+-])(?:{_LETTER}|[.+-]){{1,64}}@(?:{_LETTER}|-){{1,63}}(?:\.(?:{_LETTER}|-){{1,63}}){{1,8}}"
)
_PASSWORD: Final = re.compile(r"(?<=://)[^\s/<>\"]{1,200}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")
"""In a web address."""
_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
    r"|(?<!\w)[\w+-]{2,64}(?: (?:dot|ponto|punto|point|punkt) [\w+-]{1,64}){0,3}"
    r" (?:at|arroba|arobase|ät|chiocciola) [\w-]{2,63}"
    r"(?: (?:dot|ponto|punto|point|punkt) [\w-]{2,20}){0,2} (?:dot|ponto|punto|point|punkt)"
    r" (?:com|org|net|edu|gov|io|eu|info|pt|br|es|fr|de|it|uk|ch|at|nl|ca)(?!\w)",
    re.IGNORECASE,
)
"""As it is written, and as it is said: "jane dot doe at example dot com"."""
_CARD: Final = re.compile(r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d-])")
_IBAN: Final = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?!\w)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"(?<![\w.,-])\d(?:[ .\-/]?\d){6,17}(?: ?[A-Z](?!\w))?(?![\w-])", re.IGNORECASE)
_PHONE: Final = re.compile(
    r"(?<![\w.,$€£-])(?:\d{3}-\d{4}|(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}|\d{3}-\d{3}-\d{3})(?![\w-]|[.,]\d)"
)
_TAX_CODE: Final = re.compile(r"(?<!\w)(?:[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]|[XYZ]\d{7}[A-Z])(?!\w)", re.IGNORECASE)

_IDS: Final[dict[str, tuple[Any, ...]]] = {
    "en": (ssn, nhs), "pt": (cpf, nif, cc), "es": (dni, nie), "fr": (nir,), "de": (idnr,), "it": (codicefiscale,),
}  # fmt: skip
_REGIONS: Final = {
    "en": ("US", "GB"), "pt": ("PT", "BR"), "es": ("ES", "MX"), "fr": ("FR",), "de": ("DE",), "it": ("IT",),
    "nl": ("NL",), "pl": ("PL",), "zh": ("CN",), "ja": ("JP",), "ru": ("RU",), "uk": ("UA",), "ca": ("ES",),
    "gl": ("ES",), "hi": ("IN",), "tr": ("TR",), "ko": ("KR",), "sv": ("SE",),
}  # fmt: skip
_NAME: Final = r"(?:[A-ZÀ-Þ][\w'’-]{0,29}|\d{1,3}[a-z]{2})"  # noqa: RUF001
_LINK: Final = r"(?:(?:de|da|do|das|dos|del|la|las|los|el|du|des|le|les|di|della|degli|d'|l') ?)"
_NAMES: Final = rf"{_LINK}{{0,2}}{_NAME}(?: {_LINK}{{0,2}}{_NAME}){{0,3}}"
_ADDRESSES: Final = {
    "en": rf"\d{{1,5}}[A-Za-z]? {_NAMES}? ?\b(?i:street|st|avenue|ave|road|rd|lane|drive|boulevard|court|square)\b",
    "pt": rf"\b(?i:rua|avenida|av\.|travessa|praça|largo|estrada|alameda) {_NAMES},? (?:n\.?º? ?)?\d{{1,5}}\b",
    "es": rf"\b(?i:calle|avenida|avda\.|plaza|paseo|carrera) {_NAMES},? (?:n\.?º? ?)?\d{{1,5}}\b",
    "fr": rf"\d{{1,5}}(?: bis| ter)?,? (?i:rue|avenue|boulevard|place|chemin|impasse|allée|quai) {_NAMES}",
    "de": rf"\b{_NAME}(?:straße|strasse|str\.|weg|platz|allee|gasse) \d{{1,4}}[a-z]?\b",
    "it": rf"\b(?i:via|viale|piazza|corso|largo|vicolo) {_NAMES},? \d{{1,5}}\b",
}
"""Names in an address begin with a capital."""
_NO_DIGIT: Final = re.compile(r"\D+")
_ROW: Final = re.compile(r"\d(?:[ .\-()/]{0,2}\d){6,}")
_RUN: Final = re.compile(r"\d(?:[ .\-()/]{0,2}\d){2,}")


def redact(text: str, language: str, kinds: Iterable[Redaction]) -> str:
    """Return ``text`` with what ``kinds`` names replaced by the kind in brackets: ``[phone]``."""
    return Redactor(kinds).hide(text, language)


def redact_so_far(text: str, language: str, kinds: Iterable[Redaction]) -> str:
    """Do the same with text that still grows: every row of digits is hidden, since it may become a number."""
    return Redactor(kinds).hide_so_far(text, language)


class Memory:
    """What was hidden once in a conversation, to be found again in what follows; may be shared between redactors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: OrderedDict[str, None] = OrderedDict()
        self._numbers: OrderedDict[str, Redaction] = OrderedDict()
        self._addresses: OrderedDict[str, None] = OrderedDict()

    def names(self) -> frozenset[str]:
        """Return the words of names."""
        with self._lock:
            return frozenset(self._names)

    def kind_of(self, digits: str) -> Redaction | None:
        """Return what a row of digits was hidden as."""
        with self._lock:
            return self._numbers.get(digits)

    def add_names(self, words: Iterable[str]) -> None:
        """Remember words of names."""
        with self._lock:
            _remember(self._names, dict.fromkeys(words))

    def addresses(self) -> tuple[str, ...]:
        """Return addresses as they were written."""
        with self._lock:
            return tuple(self._addresses)

    def add_address(self, text: str) -> None:
        """Remember an address, which translators often copy."""
        with self._lock:
            _remember(self._addresses, {text: None})

    def add_number(self, text: str, kind: Redaction) -> None:
        """Remember the digits of what was hidden."""
        digits = _NO_DIGIT.sub("", text)
        if len(digits) >= _FEWEST_DIGITS:
            with self._lock:
                _remember(self._numbers, {digits: kind})


def _remember(known: OrderedDict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        known[key] = value
        known.move_to_end(key)
    while len(known) > REMEMBERED:
        known.popitem(last=False)


class Redactor:
    """Hides what ``kinds`` names in the texts of one conversation; may be called from any thread.

    Names and numbers that were found once are found again in what follows, in other languages too: a translation
    must not tell what the transcript hides, and the numbering plans of its language do not know the number.
    """

    def __init__(self, kinds: Iterable[Redaction], memory: Memory | None = None) -> None:
        self.kinds = frozenset(kinds)
        self.memory = memory or Memory()

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def hide(self, text: str, language: str) -> str:
        """Return ``text`` with what is to be hidden replaced by its kind in brackets: ``[phone]``."""
        if not self.kinds or not text:
            return text
        return "".join(self._hide(piece, primary(language)) for piece in _pieces(text))

    def hide_so_far(self, text: str, language: str) -> str:
        """Do the same with text that still grows: every row of digits is hidden, since it may become a number."""
        hidden = self.hide(text, language)
        return _RUN.sub("[…]", hidden) if self.kinds - {Redaction.NAME} else hidden

    def hide_said(self, text: str, language: str, *, growing: bool = False) -> str:
        """Do the same with text whose numbers may be words; text with nothing to hide is returned as it is."""
        hide = self.hide_so_far if growing else self.hide
        plain = hide(text, language)
        written = write_numbers(plain, language)
        hidden = hide(written, language)
        return plain if hidden == written else hidden

    def _hide(self, text: str, language: str) -> str:
        found: list[Span] = []
        taken = bytearray(len(text))
        for kind in (*_FINDERS, Redaction.NAME):
            if kind not in self.kinds:
                continue
            spans = self._find_names(text, language) if kind is Redaction.NAME else _FINDERS[kind](text, language)
            for start, end in spans:
                if not any(taken[start:end]):
                    taken[start:end] = b"\1" * (end - start)
                    found.append((start, end, kind))
                    if kind is Redaction.ADDRESS:
                        self.memory.add_address(text[start:end])
                    if kind is not Redaction.NAME:
                        self.memory.add_number(text[start:end], kind)
        for start, end, kind in self._known(text):
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append((start, end, kind))
        out, done = [], 0
        for start, end, kind in sorted(found):
            out += [text[done:start], f"[{kind.value}]"]
            done = end
        return "".join(out) + text[done:]

    def _known(self, text: str) -> Iterator[Span]:
        """Find again what was hidden before."""
        for row in _ROW.finditer(text):
            kind = self.memory.kind_of(_NO_DIGIT.sub("", row[0]))
            if kind in self.kinds:
                yield (*row.span(), kind)
        if Redaction.ADDRESS in self.kinds:
            for address in self.memory.addresses():
                for match in re.finditer(rf"(?<!\w){re.escape(address)}(?!\w)", text):
                    yield (*match.span(), Redaction.ADDRESS)

    def _find_names(self, text: str, language: str) -> list[tuple[int, int]]:
        from device.text.names import find_names  # its lists are long, and few ask for them

        spans, learnt = find_names(text, language, self.memory.names())
        self.memory.add_names(learnt)
        return spans


def _pieces(text: str) -> Iterator[str]:
    while len(text) > LONGEST:
        cut = max(text.rfind("\n", 0, LONGEST), text.rfind(" ", 0, LONGEST)) + 1 or LONGEST
        yield text[:cut]
        text = text[cut:]
    yield text


def _emails(text: str, language: str) -> Iterator[tuple[int, int]]:  # noqa: ARG001
    for pattern in (_PASSWORD, _EMAIL_BETWEEN, _EMAIL):
        yield from (m.span() for m in pattern.finditer(text))


def _cards(text: str, language: str) -> Iterator[tuple[int, int]]:  # noqa: ARG001
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if luhn.is_valid(digits) and digits[0] in "3456" and len(set(digits)) > 1:
            yield match.span()


def _ibans(text: str, language: str) -> Iterator[tuple[int, int]]:  # noqa: ARG001
    for match in _IBAN.finditer(text):
        # What follows an account may look like more of it: "… 0154 at the bank".
        parts = match[0].split(" ")
        for count in range(len(parts), 0, -1):
            said = " ".join(parts[:count])
            if iban.is_valid(said):
                yield match.start(), match.start() + len(said)
                break


def _ids(text: str, language: str) -> Iterator[tuple[int, int]]:
    checks = _IDS.get(language, ())
    for pattern in (_TAX_CODE, _NUMBER):
        for match in pattern.finditer(text):
            # A letter after a number may be a word of the sentence: "501 964 843 e …".
            for said in dict.fromkeys((match[0], re.sub(r" ?[A-Za-z]$", "", match[0]))):
                if any(check.is_valid(said) for check in checks) and not re.fullmatch(r"\d{7,8}", said):
                    yield match.start(), match.start() + len(said)
                    break


def _phones(text: str, language: str) -> Iterator[tuple[int, int]]:
    rows = [m.span() for m in _ROW.finditer(text)]
    if sum(end - start for start, end in rows) > _MOST_DIGITS:
        # Nobody says as many: what cannot be looked at in reasonable time is hidden rather than shown.
        yield from rows
        return
    for region in _REGIONS.get(language, ("ZZ",)):
        for match in phonenumbers.PhoneNumberMatcher(
            text, region, leniency=phonenumbers.Leniency.VALID, max_tries=10_000
        ):
            if sum(map(str.isdigit, match.raw_string)) >= _FEWEST_DIGITS:
                yield match.start, match.end
    # Whatever the plans know: seven digits in two groups, as numbers inside one town are written, or three groups.
    for local in _PHONE.finditer(text):
        yield local.span()


@cache
def _address(language: str) -> re.Pattern[str] | None:
    return re.compile(_ADDRESSES[language]) if language in _ADDRESSES else None


def _addresses(text: str, language: str) -> Iterator[tuple[int, int]]:
    pattern = _address(language)
    return (m.span() for m in pattern.finditer(text)) if pattern else iter(())


_FINDERS: Final[dict[Redaction, Callable[[str, str], Iterator[tuple[int, int]]]]] = {
    Redaction.EMAIL: _emails,
    Redaction.IBAN: _ibans,
    Redaction.CARD: _cards,
    Redaction.ADDRESS: _addresses,
    Redaction.ID: _ids,
    Redaction.PHONE: _phones,
}
"""The surest first: what one has found, no other is asked about."""
