"""Language tags: which primary subtags exist (ISO 639), and how a tag is written (BCP 47, RFC 5646)."""

from __future__ import annotations

import difflib
import re

_NAMES = """
aa:Afar ab:Abkhazian af:Afrikaans ak:Akan am:Amharic an:Aragonese ar:Arabic as:Assamese ast:Asturian
av:Avaric ay:Aymara az:Azerbaijani ba:Bashkir be:Belarusian bg:Bulgarian bh:Bihari bi:Bislama bm:Bambara
bn:Bengali bo:Tibetan br:Breton bs:Bosnian ca:Catalan ce:Chechen ceb:Cebuano ch:Chamorro ckb:Sorani
co:Corsican cr:Cree cs:Czech cv:Chuvash cy:Welsh da:Danish de:German dv:Dhivehi dz:Dzongkha ee:Ewe el:Greek
en:English eo:Esperanto es:Spanish et:Estonian eu:Basque fa:Persian ff:Fula fi:Finnish fil:Filipino
fj:Fijian fo:Faroese fr:French fy:Frisian ga:Irish gd:Gaelic gl:Galician gn:Guarani gu:Gujarati gv:Manx
ha:Hausa haw:Hawaiian he:Hebrew hi:Hindi hmn:Hmong ho:Motu hr:Croatian ht:Haitian hu:Hungarian hy:Armenian
hz:Herero ia:Interlingua id:Indonesian ig:Igbo ii:Nuosu ik:Inupiaq io:Ido is:Icelandic it:Italian
iu:Inuktitut ja:Japanese jv:Javanese ka:Georgian kg:Kongo ki:Kikuyu kj:Kuanyama kk:Kazakh kl:Kalaallisut
km:Khmer kn:Kannada ko:Korean kr:Kanuri ks:Kashmiri ku:Kurdish kv:Komi kw:Cornish ky:Kyrgyz la:Latin
lb:Luxembourgish lg:Ganda li:Limburgish ln:Lingala lo:Lao lt:Lithuanian lu:Luba lv:Latvian mg:Malagasy
mh:Marshallese mi:Maori mk:Macedonian ml:Malayalam mn:Mongolian mr:Marathi ms:Malay mt:Maltese my:Burmese
na:Nauru nb:Bokmal nd:Ndebele ne:Nepali ng:Ndonga nl:Dutch nn:Nynorsk no:Norwegian nr:Ndebele nv:Navajo
ny:Chichewa oc:Occitan oj:Ojibwa om:Oromo or:Odia os:Ossetian pa:Punjabi pi:Pali pl:Polish ps:Pashto
pt:Portuguese qu:Quechua rm:Romansh rn:Rundi ro:Romanian ru:Russian rw:Kinyarwanda sa:Sanskrit sc:Sardinian
sd:Sindhi se:Sami sg:Sango si:Sinhala sk:Slovak sl:Slovenian sm:Samoan sn:Shona so:Somali sq:Albanian
sr:Serbian ss:Swati st:Sotho su:Sundanese sv:Swedish sw:Swahili ta:Tamil te:Telugu tg:Tajik th:Thai
ti:Tigrinya tk:Turkmen tl:Tagalog tn:Tswana to:Tongan tr:Turkish ts:Tsonga tt:Tatar tw:Twi ty:Tahitian
ug:Uyghur uk:Ukrainian ur:Urdu uz:Uzbek ve:Venda vi:Vietnamese vo:Volapuk wa:Walloon wo:Wolof xh:Xhosa
yi:Yiddish yo:Yoruba yue:Cantonese za:Zhuang zh:Chinese zu:Zulu
"""

NAMES = dict(entry.split(":") for entry in _NAMES.split())
"""English name of each primary language subtag that Dragoman knows."""

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.ASCII)


def canonical_language(tag: str) -> str:
    """Write a language tag the usual way: ``PT_br`` becomes ``pt-BR``, ``zh-hant`` becomes ``zh-Hant``.

    Raises
    ------
    ValueError
        When it is no tag, or its language does not exist; the message names the nearest tag that does.
    """
    language, *rest = tag.strip().replace("_", "-").lower().split("-")
    if not _TAG.fullmatch("-".join([language, *rest])) or language not in NAMES:
        nearest = _nearest(tag)
        known = f"; did you mean {nearest!r} ({NAMES[nearest]})?" if nearest else ""
        raise ValueError(f"not a language tag such as 'en' or 'pt-BR'{known}")
    return "-".join([language, *(_canonical_subtag(part) for part in rest)])


def _canonical_subtag(subtag: str) -> str:
    """Write a script ``Latn``, a region ``BR`` or ``419``, and the rest in lower case (RFC 5646, 2.1.1)."""
    if len(subtag) == 2:
        return subtag.upper()
    return subtag.title() if len(subtag) == 4 and subtag.isalpha() else subtag


def _nearest(tag: str) -> str | None:
    """Find the known primary subtag that somebody who wrote ``tag`` most likely meant."""
    word = tag.strip().lower()
    head = re.split(r"[-_]", word)[0]
    if head in NAMES:
        return head
    by_name = {name.lower(): code for code, name in NAMES.items()}
    if names := difflib.get_close_matches(word, by_name, n=1, cutoff=0.75):
        return by_name[names[0]]
    # Three-letter codes such as "eng" or "por" are mostly the beginning of the language's name.
    begins = [code for name, code in by_name.items() if len(head) >= 3 and name.startswith(head)]
    begins += [head[:2]] if head[:2] in NAMES else []
    begins += difflib.get_close_matches(head, NAMES, n=1, cutoff=0.6)
    return begins[0] if begins else None
