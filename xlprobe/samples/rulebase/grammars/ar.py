"""Arabic: gender of verb and adjective, negation with لا and ليس, conditions with كان, people in the plural."""

from __future__ import annotations

from dataclasses import dataclass

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Turn, Variable
from xlprobe.samples.rulebase.logic import Entity, Literal

__all__ = ["GRAMMAR"]

# noun, whether feminine
NOUNS = {
    "Anne": ("آن", True),
    "Bob": ("بوب", False),
    "Charlie": ("تشارلي", False),
    "Dave": ("ديف", False),
    "Erin": ("إيرين", True),
    "Fiona": ("فيونا", True),
    "Gary": ("غاري", False),
    "Harry": ("هاري", False),
    "bald eagle": ("النسر الأصلع", False),
    "bear": ("الدب", False),
    "cat": ("القط", False),
    "cow": ("البقرة", True),
    "dog": ("الكلب", False),
    "lion": ("الأسد", False),
    "mouse": ("الفأر", False),
    "rabbit": ("الأرنب", False),
    "squirrel": ("السنجاب", False),
    "tiger": ("النمر", False),
}


@dataclass(frozen=True)
class Adjective:
    """Masculine and feminine; masculine accusative; plural nominative, genitive with the article, and accusative."""

    masculine: str
    feminine: str
    accusative: str
    plural: str
    plural_genitive: str
    plural_accusative: str

    @classmethod
    def sound(cls, stem: str, rest: str = "") -> Adjective:
        """Return an adjective with the regular plural."""
        return cls(
            f"{stem}{rest}", f"{stem}ة{rest}", f"{stem}ًا{rest}", f"{stem}ون{rest}", f"{stem}ين{rest}", f"{stem}ين{rest}"
        )

    @classmethod
    def broken(cls, stem: str, plural: str) -> Adjective:
        """Return an adjective with a broken plural, which (diptote) takes no ending -an as accusative."""
        return cls(stem, f"{stem}ة", f"{stem}ًا", plural, plural, plural)

    @classmethod
    def of(cls, stem: str, plural: str, what: str) -> Adjective:
        """Return an adjective with a noun that says in what respect: big in size, young in years."""
        masculine, feminine, several = (f"{word} {what}" for word in (stem, f"{stem}ة", plural))
        return cls(masculine, feminine, masculine, several, several, several)

    @classmethod
    def colour(cls, masculine: str, feminine: str, plural: str) -> Adjective:
        """Return a colour, which takes no -an in the singular."""
        return cls(masculine, feminine, masculine, plural, plural, f"{plural}ًا")


ATTRIBUTES = {
    "big": Adjective.of("كبير", "كبار", "الحجم"),
    "blue": Adjective.colour("أزرق", "زرقاء", "زرق"),
    "cold": Adjective.sound("بارد"),
    "furry": Adjective.sound("مكسو", " بالفرو"),
    "green": Adjective.colour("أخضر", "خضراء", "خضر"),
    "kind": Adjective.sound("طيب"),
    "nice": Adjective.broken("لطيف", "لطفاء"),
    "quiet": Adjective.sound("هادئ"),
    "red": Adjective.colour("أحمر", "حمراء", "حمر"),
    "rough": Adjective.sound("خشن"),
    "round": Adjective.sound("مستدير"),
    "smart": Adjective.broken("ذكي", "أذكياء"),
    "white": Adjective.colour("أبيض", "بيضاء", "بيض"),
    "young": Adjective.of("صغير", "صغار", "السن"),
}
# masculine, feminine, preposition
RELATIONS = {
    "chase": ("يطارد", "تطارد", ""),
    "eat": ("يأكل", "تأكل", ""),
    "like": ("يحب", "تحب", ""),
    "need": ("يحتاج", "تحتاج", "إلى "),
    "see": ("يرى", "ترى", ""),
    "visit": ("يزور", "تزور", ""),
}
MASCULINE, FEMININE, PEOPLE = range(3)


class Arabic(Grammar):
    code = "ar"
    conditional = "إذا {}، {}"
    also = " و"
    someone = Variable(Mention("شخص ما"), Mention("ذلك الشخص"), Mention("ه"))
    something = Variable(Mention("شيء ما"), Mention("ذلك الشيء"), Mention("ه"))

    def named(self, entity: Entity) -> Mention:
        noun, feminine = NOUNS[entity.name]
        return Mention(noun, FEMININE if feminine else MASCULINE)

    def drops(self, turn: Turn) -> bool:
        # After an object, which is mostly masculine too, "وكان" could be about that.
        return turn.alone

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        if place == "condition":
            return self.condition(who, literals)
        predicate = self.predicate(literals[0], who.form)
        if place == "main":
            return f"{who.text} {predicate}"
        # The pronoun is written together with the particle.
        return f"فإن{'' if who.text == 'ه' else ' '}{who.text} {predicate}"

    def predicate(self, literal: Literal, form: int) -> str:
        """Return what is said of the subject; in the form that agrees with it."""
        if literal.object is not None:
            return self.action(literal, form)
        adjective = ATTRIBUTES[literal.predicate]
        if literal.positive:
            return (adjective.masculine, adjective.feminine, adjective.plural)[form]
        accusative = (adjective.accusative, adjective.feminine, adjective.plural_accusative)[form]
        return f"{('ليس', 'ليست', 'ليسوا')[form]} {accusative}"

    def action(self, literal: Literal, form: int) -> str:
        """Return verb and object, negated with لا."""
        assert literal.object is not None
        relation = RELATIONS[literal.predicate]
        return f"{'' if literal.positive else 'لا '}{relation[form]} {relation[2]}{NOUNS[literal.object.name][0]}"

    def condition(self, who: Mention, literals: tuple[Literal, ...]) -> str:
        """Return "كان القط كبيرًا ولم يكن أحمر": what holds after كان, attributes that do not after لم يكن."""
        feminine = who.form == FEMININE
        text = ""
        last: bool | None = None
        for literal in literals:
            verb = ("كان", "كانت")[feminine] if literal.positive or literal.object else ("لم يكن", "لم تكن")[feminine]
            if literal.object is not None:
                said = self.action(literal, who.form)
            else:
                adjective = ATTRIBUTES[literal.predicate]
                said = adjective.feminine if feminine else adjective.accusative
            if last and literal.positive:
                text += f" و{said}"
            else:
                words = (verb, who.text if last is None else "", said)
                text += (" و" if text else "") + " ".join(word for word in words if word)
            last = literal.positive
        return text

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        words = [ATTRIBUTES[attribute] for attribute in attributes]
        none = every and not conclusion.positive
        if people:
            forms = [word.plural_genitive if every else word.plural for word in words]
        else:
            forms = [word.feminine for word in words]
        # Side by side without "and": one thing has them all. With it, some have the one and some the other.
        listed = " ".join(f"ال{form}" for form in forms)
        noun = "الأشخاص" if people else "الأشياء"
        if none:
            return (
                f"لا {'أحد' if people else 'شيء'} من {noun} {listed} {self.predicate(conclusion.negated(), MASCULINE)}"
            )
        # Things in the plural agree as a feminine singular.
        predicate = self.predicate(conclusion, PEOPLE if people else FEMININE)
        return f"{'كل ' if every else ''}{noun} {listed} {predicate}"


GRAMMAR = Arabic()
