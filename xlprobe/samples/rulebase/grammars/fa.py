"""Farsi: the verb last, objects with را, the subjunctive in conditions, negation on the verb."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Place, Subject, runs
from xlprobe.samples.rulebase.logic import Literal

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
    "lion": "شیر",
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
# object with a place for its noun, then the verb: (holds, does not) in the indicative, subjunctive and plural
RELATIONS = {
    "chase": ("{} را تعقیب", ("می‌کند", "نمی‌کند"), ("کند", "نکند"), ("می‌کنند", "نمی‌کنند")),
    "eat": ("{} را", ("می‌خورد", "نمی‌خورد"), ("بخورد", "نخورد"), ("می‌خورند", "نمی‌خورند")),
    "like": ("{} را دوست", ("دارد", "ندارد"), ("داشته باشد", "نداشته باشد"), ("دارند", "ندارند")),
    "need": ("به {} نیاز", ("دارد", "ندارد"), ("داشته باشد", "نداشته باشد"), ("دارند", "ندارند")),
    "see": ("{} را", ("می‌بیند", "نمی‌بیند"), ("ببیند", "نبیند"), ("می‌بینند", "نمی‌بینند")),
    "visit": ("به دیدن {}", ("می‌رود", "نمی‌رود"), ("برود", "نرود"), ("می‌روند", "نمی‌روند")),
}
BE = (("است", "نیست"), ("باشد", "نباشد"), ("هستند", "نیستند"))
VARIABLE = {"someone": "کسی", "something": "چیزی", "they": "او", "it": "آن"}


class Farsi(Grammar):
    code = "fa"
    conditional = "اگر {}، آنگاه {}"
    also = " و "

    def clause(self, subject: Subject, literals: tuple[Literal, ...], place: Place) -> str:
        who = NOUNS[subject.entity.name] if subject.entity else VARIABLE[subject.word]
        return f"{who} {self.predicate(literals, int(place == 'condition'))}"

    def predicate(self, literals: tuple[Literal, ...], form: int) -> str:
        """Return what is said of the subject; form is 0 indicative, 1 subjunctive, 2 indicative plural."""
        first = literals[0]
        if first.object is not None:
            frame, *verbs = RELATIONS[first.predicate]
            return f"{frame.format(NOUNS[first.object.name])} {verbs[form][not first.positive]}"
        parts = []
        for run in runs(literals):
            attributes = " و ".join(ATTRIBUTES[one.predicate] for one in run)
            parts.append(f"{attributes} {BE[form][not run[0].positive]}")
        return " و ".join(parts)

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        listed = " و ".join(ATTRIBUTES[attribute] for attribute in attributes)
        noun = "افراد" if people else "چیزهای"
        if every and not conclusion.positive:
            return f"هیچ‌یک از {noun} {listed} {self.predicate((conclusion,), 0)}"
        return f"{'همه ' if every else ''}{noun} {listed} {self.predicate((conclusion,), 2)}"


GRAMMAR = Farsi()
