"""Which of Azure's voices are women's and which are men's, so that one is answered by a voice of its kind."""

from __future__ import annotations

from typing import Final, Literal

_FEMALE: Final = """
aarti abbi abril agata agnieszka alina alla amala amber ana ananya annette aoi aria ariane ashley athina ava beatriz
bella blessica brenda brigitte candela carlota carly carole catherine celeste charline chloe clara colette cora
coralie dalia dariya dena denise ekaterina elizabeth elke ella eloise elsa elsie elvira elza emel emily emma estrella
eva fabiola fenna fernanda fiamma francisca freya frida gabriela giovanna gisela hazel heera helena hillevi hoaimy
hollie imani imelda inbal ingrid irene irma isabella jacqueline jane jenny jennymultilingual jessa jimin joana joanne
josephine julie kalina katja kavya kim klarissa laia larissa laura leah leila leni leticia lia libby linda louisa luna
maisie maja manuela maria mariana marina marta mayu michelle molly monica nanami nancy natasha neerja nia noemi nora
nuria olivia palmira paola pernille pierina polina premwadee raquel renata rosa salma sara selma seohyeon seraphina
shiori shirley sofia sofie sonia soonbok sunhi susan svetlana swara sylvie tanja tatyana tessa thalita tina triana
vera viktoria vivienne vlasta xiaochen xiaohan xiaomo xiaoqiu xiaorui xiaoshuang xiaoxiao xiaoxuan xiaoyan xiaoyi
xiaozhen ximena yara yelda yujin yvette zariyah zira zofia zuri
"""
_MALE: Final = """
afonso ahmet alain alessio alfie alvaro andika andrew antoine antonin antonio arnau arnaud asaf avri benigno benjamin
bernd bongjin brandon brian calimero cataldo cecilio christoph christopher claude cliff connor conrad daichi dario
darren david davis diego dmitry donato duarte duncan elias elliot emil eric ethan fabio fabrice filip finn florian
franck george gerard gerardo gianni giuseppe gookmin gustavo guy hamed harri henri hugo humberto injoon jacob jakub
jan jason jean jeppe jerome jonas jorge josip julio kasper keita ken killian klaus koldo liam liberto lisandro luca
luciano lukas maarten macerio madhur marcello marcus marek mark masaru mattias maurice maxim mitchell namminh naoki
neil nestoras nicolau nil niwat noah oliver ollie orhan ostap pavel pelayo prabhat ralf remy ricky rinaldo roberto
roger ryan samuel saul shakir stefan steffan steven tamas teo thierry thomas tim tomas tony valerio vincent william
yago yannis yunfeng yunhao yunjian yunxi yunyang yunye yunze yves
"""
_GENDERS: Final[dict[str, Literal["female", "male"]]] = {
    **dict.fromkeys(_FEMALE.split(), "female"),
    **dict.fromkeys(_MALE.split(), "male"),
}


def gender_of(short_name: str) -> Literal["female", "male", ""]:
    """Return whose voice ``en-US-JennyNeural`` is; nothing for a name that is not known."""
    given = short_name.rsplit("-", 1)[-1].lower().partition(":")[0]
    for ending in ("neural", "multilingual", "hd", "turbo"):
        given = given.removesuffix(ending)
    return _GENDERS.get(given, "")
