"""Wordings that careful readers took for something else, each with a sentence that had it: none is made any more."""

from __future__ import annotations

import re

import pytest

from xlprobe.samples import generate
from xlprobe.samples.rulebase.grammars import grammar, verbalise
from xlprobe.samples.rulebase.vocabulary import ENTITIES

NAMED = "|".join(name for name in ENTITIES if name[0].isupper())
# {} stands for whoever can be named, in the nominative.
MISLEADING = [
    ("de", "the animal just named", rf"\b(?:[dD](?:er|ie|as|en) [A-ZÄÖÜ]|{NAMED}).*\b(?:er|es)\b",
     "Wenn jemand den Bären mag und der Bär groß ist, dann ist er kalt."),
    ("de", "'es' as object", r"\bdann (?!ist\b)\w+ es\b", "Wenn etwas rot ist, dann sieht es Anne."),
    ("de", "the weather", r"\bdann ist es\b", "Wenn etwas blau ist, dann ist es kalt."),
    ("de", "another hunts, or sees", rf"\bund (?:(?:die|das) \w+|{NAMED}) (?:nicht )?(?:jagt|sieht)\b",
     "Wenn jemand den Hund mag und die Katze jagt, dann ist diese Person kalt."),
    ("de", "two verbs for one", r"\b(?:isst|frisst|essen|fressen)\b", "Wenn jemand die Katze isst, dann ist Bob rund."),
    ("es", "the animal just named", r"\b(?:el|la|al|a [A-Z]\w+)\b.*entonces (?:no )?es\b",
     "Si algo ve al conejo y el conejo es joven, entonces no es joven."),
    ("es", "an order, or one in general", r"entonces (?:no )?(?:se come|ve|visita|persigue|necesita|aprecia|le)\b",
     "Si alguien necesita al conejo, entonces ve a la ardilla."),
    ("es", "one in general", r"\by (?:no )?se come\b", "Si alguien es amable y se come a Anne, entonces Bob es azul."),
    ("fr", "the animal just named", rf"(?:\b(?:le|la|au|du) |\bl'|{NAMED}).*\b(?:il|elle)\b",
     "Si quelqu'un aime le chien et si le chien est froid, alors il est gentil."),
    ("fr", "what was just told", r"\b(?:cela|quelque chose)\b", "Si quelque chose est gentil, alors cela aime l'ours."),
    ("fr", "a word-for-word name", r"\baigle chauve\b", "L'aigle chauve est grand."),
    ("ru", "the animal just named", r"(?:ест|любит|видит|преследует|навещает|нуждается).*\bон\b",
     "Если кто-то любит кролика и он приятный, то он большой."),
    ("ru", "a young man", r"\b[Нн]и один .*человек\b", "Ни один молодой человек не грубый."),
    ("ar", "the animal just named", r"(?:يطارد|يأكل|يحب|يحتاج|يرى|يزور|تطارد|تأكل|تحب|تحتاج|ترى|تزور).*فإنه",
     "إذا كان شخص ما يحتاج إلى الأسد، فإنه طيب."),
    ("ar", "the animal just named, as subject left out",
     r"(?:يطارد|يأكل|يحب|يحتاج|يرى|يزور) (?:(?!ذلك|شخص ما|شيء ما)[^،])*\bو(?:كان|لم يكن) (?!ذلك|شخص ما|شيء ما|{})",
     "إذا كان شيء ما يطارد الكلب وكان أحمر، فإن بوب بارد."),
    ("ar", "two groups", r"(?:الأشخاص|الأشياء) [^.]* وال", "الأشياء الحمراء والبيضاء باردة."),
    ("ar", "a youth", r"شاب|شباب", "البقرة شابة."),
    ("ar", "grown-ups", r"\b(?:ال)?(?:كبير|كبيرة|كبار)\b(?! الحجم)", "الأشخاص الكبار طيبون."),
    ("fa", "nobody, nothing", r"\b(?:کسی|چیزی)\b(?! که)", "اگر کسی به دیدن گربه نرود، آنگاه گربه سرد نیست."),
    ("fa", "somebody else", r"\bاو\b", "اگر شخصی باب را دوست داشته باشد، آنگاه او بزرگ است."),
    ("fa", "that animal", r"\bآن (?!شخص|چیز)", "اگر یک چیز مهربان باشد، آنگاه آن سگ را می‌خورد."),
    ("fa", "two groups, or no border to the predicate", r"\b(?:افراد|چیزهای) ", "افراد سفید بزرگ هستند."),
    ("fa", "milk", r"\bشیر\b(?! نر)", "باب شیر را می‌خورد."),
    ("sw", "a certain one", r"\bfulani\b", "Ikiwa mtu fulani ni mwema, basi mtu huyo ni mkubwa."),
    ("sw", "a youth", r"\b[kv]ijana\b", "Ng'ombe ni kijana."),
    ("sw", "not said", r"\bkukwaruza\b", "Paka ni wa kukwaruza."),
    ("sw", "two groups", r"\b(?:[Ww]atu|[Vv]itu) (?!(?:(?:wote|vyote) )?(?:walio|vilivyo))(?:(?! [ns]i ).)* na ",
     "Watu wote wema na vijana ni werevu."),
    ("sw", "one more object", r"[^,] na (?:{}|mtu|kitu)\b",
     "Ikiwa paka anamhitaji dubu na dubu anamwona panya, basi paka ni mwekundu."),
    ("zh", "the one just named", r"(?:{}).*[他它]", "如果某个人看得见加里，那么他是圆的。"),
    ("zh", "did not see", r"看见", "如果某个东西是红色的，那么这个东西没看见白头鹰。"),
    ("zh", "two groups", r"的、[^。]*的(?:人|东西)", "所有善良的、聪明的人都很友好。"),
    ("tr", "a mother", r"\bAnne\b", "Anne iyi kalpli."),
    ("tr", "great people", r"\b[Bb]üyük", "Büyük insanlar hoştur."),
    ("tr", "two groups", r"^(?!Eğer).*\bve\b", "Kırmızı ve beyaz şeyler soğuktur."),
    ("tr", "nobody, nothing", r"^Eğer .*\b(?:kimse|hiçbir)\b", "Eğer hiç kimse köpeği görmezse, köpek soğuktur."),
    ("tr", "somebody else", r"\b[oO]\b(?! kişi| şey)", "Eğer biri köpeği severse, o soğuktur."),
    ("tr", "the animal just named, as subject left out", r", (?!o kişi|o şey|{})[^,]+\.$",
     "Eğer biri köpeği severse, soğuktur."),
    ("tr", "any animal", r" (?:{}) (?:kovala|yer|yeme|seve|sevme|gör|ziyaret|ihtiyaç)", "Bob köpek kovalar."),
    ("hi", "nobody, nothing", r"(?:कोई|किसी|कुछ) (?!भी)", "यदि कोई कुत्ते को नहीं देखता है, तो कुत्ता लाल है।"),
    ("hi", "people of influence", r"बड़[ाीे]", "बड़े लोग लाल हैं।"),
    ("hi", "two groups", r"और [^।]* (?:लोग|चीज़ें)", "लाल और सफ़ेद चीज़ें ठंडी हैं।"),
    ("hi", "the animal just named", r"(?<!उम्र )(?:को|का|की|से) .*तो (?:वह|उसे|उस) (?!व्यक्ति|चीज़)",
     "यदि एक व्यक्ति कुत्ते को पसंद करता है, तो वह लाल है।"),
    ("hi", "who needs, left out", r"और (?:\S+|गंजे उकाब) की ज़रूरत",
     "यदि एक व्यक्ति दयालु है और कुत्ते की ज़रूरत है, तो कुत्ता लाल है।"),
]  # fmt: skip
NAMES = [f"{language}: {kind}" for language, kind, _, _ in MISLEADING]


@pytest.fixture(scope="session")
def generated_rules():
    """The rules of generated theories, of RuleTaker's kind and with people's relations."""
    samples = generate(1500, depth=(0, 1, 2), rules=(2, 4), languages=("en",), seed=3)
    from xlprobe.samples.rulebase import Rule, parse_statement

    told = dict.fromkeys(text for sample in samples for text in sample.context["en"])
    return [one for one in map(parse_statement, told) if isinstance(one, Rule)]


def found(language: str, pattern: str, statements: list) -> list[str]:
    who = "|".join(grammar(language).named(entity).text for entity in ENTITIES.values())
    search = re.compile(pattern.replace("{}", who)).search
    return [said for said in (verbalise(one, language) for one in statements) if search(said)]


@pytest.mark.parametrize(("language", "kind", "pattern", "sentence"), MISLEADING, ids=NAMES)
def test_nothing_is_worded_so_that_it_misleads(language, kind, pattern, sentence, rules, statements, generated_rules):
    who = "|".join(grammar(language).named(entity).text for entity in ENTITIES.values())
    assert re.search(pattern.replace("{}", who), sentence), "the pattern finds its sentence"
    assert found(language, pattern, [*rules[::7], *statements, *generated_rules]) == []


@pytest.mark.parametrize(("language", "kind", "pattern", "sentence"), MISLEADING, ids=NAMES)
def test_nor_in_ruletaker(language, kind, pattern, sentence, ruletaker_rules):
    assert len(ruletaker_rules) > 20_000
    assert found(language, pattern, ruletaker_rules) == []
