"""Russian: gender, accusative and prepositional case, no verb "to be" in the present."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Place, Subject, listed
from xlprobe.samples.rulebase.logic import Entity, Literal

__all__ = ["GRAMMAR"]

# nominative, accusative, "in" with the prepositional, gender (0 masculine, 1 feminine)
NOUNS = {
    "Anne": ("Анна", "Анну", "в Анне", 1),
    "Bob": ("Боб", "Боба", "в Бобе", 0),
    "Charlie": ("Чарли", "Чарли", "в Чарли", 0),
    "Dave": ("Дейв", "Дейва", "в Дейве", 0),
    "Erin": ("Эрин", "Эрин", "в Эрин", 1),
    "Fiona": ("Фиона", "Фиону", "в Фионе", 1),
    "Gary": ("Гэри", "Гэри", "в Гэри", 0),
    "Harry": ("Гарри", "Гарри", "в Гарри", 0),
    "bald eagle": ("белоголовый орлан", "белоголового орлана", "в белоголовом орлане", 0),
    "bear": ("медведь", "медведя", "в медведе", 0),
    "cat": ("кошка", "кошку", "в кошке", 1),
    "cow": ("корова", "корову", "в корове", 1),
    "dog": ("собака", "собаку", "в собаке", 1),
    "lion": ("лев", "льва", "во льве", 0),
    "mouse": ("мышь", "мышь", "в мыши", 1),
    "rabbit": ("кролик", "кролика", "в кролике", 0),
    "squirrel": ("белка", "белку", "в белке", 1),
    "tiger": ("тигр", "тигра", "в тигре", 0),
}
# masculine, feminine, neuter, plural
ATTRIBUTES = {
    "big": ("большой", "большая", "большое", "большие"),
    "blue": ("синий", "синяя", "синее", "синие"),
    "cold": ("холодный", "холодная", "холодное", "холодные"),
    "furry": ("пушистый", "пушистая", "пушистое", "пушистые"),
    "green": ("зелёный", "зелёная", "зелёное", "зелёные"),
    "kind": ("добрый", "добрая", "доброе", "добрые"),
    "nice": ("приятный", "приятная", "приятное", "приятные"),
    "quiet": ("тихий", "тихая", "тихое", "тихие"),
    "red": ("красный", "красная", "красное", "красные"),
    "rough": ("грубый", "грубая", "грубое", "грубые"),
    "round": ("круглый", "круглая", "круглое", "круглые"),
    "smart": ("умный", "умная", "умное", "умные"),
    "white": ("белый", "белая", "белое", "белые"),
    "young": ("молодой", "молодая", "молодое", "молодые"),
}
# singular, plural, case of the object (1 accusative, 2 prepositional)
RELATIONS = {
    "chase": ("преследует", "преследуют", 1),
    "eat": ("ест", "едят", 1),
    "like": ("любит", "любят", 1),
    "need": ("нуждается", "нуждаются", 2),
    "see": ("видит", "видят", 1),
    "visit": ("навещает", "навещают", 1),
}
# word and gender
VARIABLE = {"someone": ("кто-то", 0), "something": ("что-то", 2), "they": ("он", 0), "it": ("оно", 2)}


class Russian(Grammar):
    code = "ru"
    conditional = "если {}, то {}"
    also = " и "

    def clause(self, subject: Subject, literals: tuple[Literal, ...], place: Place) -> str:
        if subject.entity is not None:
            who, _, _, form = NOUNS[subject.entity.name]
        else:
            who, form = VARIABLE[subject.word]
        return f"{who} {self.predicate(literals, form)}"

    def predicate(self, literals: tuple[Literal, ...], form: int) -> str:
        """Return what is said of the subject; form is 0 masculine, 1 feminine, 2 neuter, 3 plural."""
        return listed([("" if one.positive else "не ") + self._positive(one, form) for one in literals], " и ")

    def _positive(self, literal: Literal, form: int) -> str:
        if literal.object is None:
            return ATTRIBUTES[literal.predicate][form]
        singular, plural, case = RELATIONS[literal.predicate]
        return f"{plural if form == 3 else singular} {self.declined(literal.object, case)}"

    def declined(self, entity: Entity, case: int) -> str:
        """Return an entity as object: 1 accusative, 2 prepositional with its preposition."""
        _, accusative, prepositional, _ = NOUNS[entity.name]
        return accusative if case == 1 else prepositional

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            none, noun, form = ("ни один", "человек", 0) if people else ("ни одна", "вещь", 1)
            given = ", ".join(ATTRIBUTES[attribute][form] for attribute in attributes)
            return f"{none} {given} {noun} {self.predicate((conclusion,), form)}"
        given = ", ".join(ATTRIBUTES[attribute][3] for attribute in attributes)
        noun = "люди" if people else "вещи"
        return f"{'все ' if every else ''}{given} {noun} {self.predicate((conclusion,), 3)}"

    def join(self, clauses: list[str]) -> str:
        # A repeated "и" takes commas.
        return (self.also if len(clauses) < 3 else ", и ").join(clauses)


GRAMMAR = Russian()
