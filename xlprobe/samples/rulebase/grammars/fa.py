"""Farsi: the verb last, objects with را, the subjunctive in conditions, negation on the verb."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Variable, runs
from xlprobe.samples.rulebase.logic import Entity, Literal

__all__ = ["GRAMMAR"]

NOUNS = {
    "Anne": "آنا",
    "Bob": "باب",
    "Charlie": "چارلی",
    "Dave": "دیوید",
    "Erin": "ارین",
    "Fiona": "فیونا",
    "Gary": "گری",
    "Harry": "هری",
    "bald eagle": "عقاب سرسفید",
    "bear": "خرس",
    "cat": "گربه",
    "cow": "گاو",
    "dog": "سگ",
    "lion": "شیر نر",  # "male lion", as one says where it could be milk
    "mouse": "موش",
    "rabbit": "خرگوش",
    "squirrel": "سنجاب",
    "tiger": "ببر",
}
ATTRIBUTES = {
    "big": "بزرگ",
    "blue": "آبی",
    "cold": "سرد",
    "furry": "پشمالو",
    "green": "سبز",
    "kind": "مهربان",
    "nice": "دوست‌داشتنی",
    "quiet": "آرام",
    "red": "قرمز",
    "rough": "خشن",
    "round": "گرد",
    "smart": "باهوش",
    "white": "سفید",
    "young": "جوان",
}
# object with a place for its noun, then the verb: (holds, does not) in the indicative and the subjunctive
RELATIONS = {
    "chase": ("{} را تعقیب", ("می‌کند", "نمی‌کند"), ("کند", "نکند")),
    "eat": ("{} را", ("می‌خورد", "نمی‌خورد"), ("بخورد", "نخورد")),
    "like": ("{} را دوست", ("دارد", "ندارد"), ("داشته باشد", "نداشته باشد")),
    "need": ("به {} نیاز", ("دارد", "ندارد"), ("داشته باشد", "نداشته باشد")),
    "see": ("{} را", ("می‌بیند", "نمی‌بیند"), ("ببیند", "نبیند")),
    "visit": ("به دیدن {}", ("می‌رود", "نمی‌رود"), ("برود", "نرود")),
}
BE = (("است", "نیست"), ("باشد", "نباشد"), ("هستند", "نیستند"))
INDICATIVE, SUBJUNCTIVE, PLURAL = range(3)


class Farsi(Grammar):
    code = "fa"
    conditional = "اگر {}، آنگاه {}"
    also = " و "
    # Not کسی and چیزی: with a negated verb they are "nobody" and "nothing".
    someone = Variable(Mention("شخصی"), Mention("آن شخص"))
    something = Variable(Mention("یک چیز"), Mention("آن چیز"))

    def named(self, entity: Entity) -> Mention:
        return Mention(NOUNS[entity.name])

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        form = SUBJUNCTIVE if place == "condition" else INDICATIVE
        return f"{who.text} {self.predicate(literals, form)}".lstrip()

    def predicate(self, literals: tuple[Literal, ...], form: int) -> str:
        """Return what is said of the subject; a relation is always that of one."""
        first = literals[0]
        if first.object is not None:
            frame, *verbs = RELATIONS[first.predicate]
            return f"{frame.format(NOUNS[first.object.name])} {verbs[form][not first.positive]}"
        phrases = []
        for run in runs(literals):
            attributes = " و ".join(ATTRIBUTES[one.predicate] for one in run)
            phrases.append(f"{attributes} {BE[form][not run[0].positive]}")
        return " و ".join(phrases)

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        # A clause of its own: the attributes narrow down together, and their end is seen (the ezafe is not written).
        given = " و ".join(ATTRIBUTES[attribute] for attribute in attributes)
        noun = f"{'افرادی' if people else 'چیزهایی'} که {given} هستند،"
        if every and not conclusion.positive:
            return f"هیچ‌یک از {noun} {self.predicate((conclusion,), INDICATIVE)}"
        return f"{'همهٔ ' if every else ''}{noun} {self.predicate((conclusion,), PLURAL)}"


GRAMMAR = Farsi()
