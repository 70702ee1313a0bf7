"""Russian: gender, accusative and prepositional case, no verb "to be" in the present."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Turn, Variable, listed
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
# masculine, feminine, neuter, plural, genitive plural
ATTRIBUTES = {
    "big": ("большой", "большая", "большое", "большие", "больших"),
    "blue": ("синий", "синяя", "синее", "синие", "синих"),
    "cold": ("холодный", "холодная", "холодное", "холодные", "холодных"),
    "furry": ("пушистый", "пушистая", "пушистое", "пушистые", "пушистых"),
    "green": ("зелёный", "зелёная", "зелёное", "зелёные", "зелёных"),
    "kind": ("добрый", "добрая", "доброе", "добрые", "добрых"),
    "nice": ("приятный", "приятная", "приятное", "приятные", "приятных"),
    "quiet": ("тихий", "тихая", "тихое", "тихие", "тихих"),
    "red": ("красный", "красная", "красное", "красные", "красных"),
    "rough": ("грубый", "грубая", "грубое", "грубые", "грубых"),
    "round": ("круглый", "круглая", "круглое", "круглые", "круглых"),
    "smart": ("умный", "умная", "умное", "умные", "умных"),
    "white": ("белый", "белая", "белое", "белые", "белых"),
    "young": ("молодой", "молодая", "молодое", "молодые", "молодых"),
}
# verb, case of the object (1 accusative, 2 prepositional)
RELATIONS = {
    "chase": ("преследует", 1),
    "eat": ("ест", 1),
    "like": ("любит", 1),
    "need": ("нуждается", 2),
    "see": ("видит", 1),
    "visit": ("навещает", 1),
}
MASCULINE, FEMININE, NEUTER, PLURAL, GENITIVE = range(5)
IT = Mention("оно", NEUTER)


class Russian(Grammar):
    code = "ru"
    conditional = "если {}, то {}"
    also = " и "
    someone = Variable(Mention("кто-то"), Mention("этот кто-то"), Mention("он"))
    # No person or animal is neuter, so that "оно" is clear everywhere.
    something = Variable(Mention("что-то", NEUTER), IT, IT)

    def named(self, entity: Entity) -> Mention:
        noun, _, _, gender = NOUNS[entity.name]
        return Mention(noun, gender)

    def refer(self, variable: Variable, turn: Turn, last: Mention) -> Mention:
        mention = super().refer(variable, turn, last)
        if mention.text or not turn.literals[0].is_attribute:
            return mention
        # An adjective has no verb, so that a word has to say where it begins.
        own = "само" if last.form == NEUTER else "сам"
        return Mention("при этом" if turn.before[-1].is_attribute else own, last.form)

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        return f"{who.text} {self.predicate(literals, who.form)}".lstrip()

    def predicate(self, literals: tuple[Literal, ...], form: int) -> str:
        """Return what is said of a subject of this gender, or of several."""
        return listed([("" if one.positive else "не ") + self._positive(one, form) for one in literals], " и ")

    def _positive(self, literal: Literal, form: int) -> str:
        if literal.object is None:
            return ATTRIBUTES[literal.predicate][form]
        verb, case = RELATIONS[literal.predicate]
        return f"{verb} {self.declined(literal.object, case)}"

    def declined(self, entity: Entity, case: int) -> str:
        """Return an entity as object: 1 accusative, 2 prepositional with its preposition."""
        _, accusative, prepositional, _ = NOUNS[entity.name]
        return accusative if case == 1 else prepositional

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        if every and not conclusion.positive:
            # Not "ни один молодой человек", which is a young man.
            given = ", ".join(ATTRIBUTES[attribute][GENITIVE if people else FEMININE] for attribute in attributes)
            none, form = (f"никто из {given} людей", MASCULINE) if people else (f"ни одна {given} вещь", FEMININE)
            return f"{none} {self.predicate((conclusion,), form)}"
        given = ", ".join(ATTRIBUTES[attribute][PLURAL] for attribute in attributes)
        noun = "люди" if people else "вещи"
        return f"{'все ' if every else ''}{given} {noun} {self.predicate((conclusion,), PLURAL)}"

    def join(self, clauses: list[str], shared: list[bool]) -> str:
        # A repeated "и" takes commas.
        return (self.also if len(clauses) < 3 else ", и ").join(clauses)


GRAMMAR = Russian()
