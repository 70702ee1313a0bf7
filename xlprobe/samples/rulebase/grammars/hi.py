"""Hindi: the verb last, gender in adjectives and verbs, whoever needs something in the dative."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Turn, Variable, listed, runs
from xlprobe.samples.rulebase.logic import Entity, Literal

__all__ = ["GRAMMAR"]

MASCULINE, FEMININE, PLURAL = range(3)
# nominative, oblique, gender
NOUNS = {
    "Anne": ("ऐनी", "ऐनी", FEMININE),
    "Bob": ("बॉब", "बॉब", MASCULINE),
    "Charlie": ("चार्ली", "चार्ली", MASCULINE),
    "Dave": ("डेव", "डेव", MASCULINE),
    "Erin": ("एरिन", "एरिन", FEMININE),
    "Fiona": ("फ़ियोना", "फ़ियोना", FEMININE),
    "Gary": ("गैरी", "गैरी", MASCULINE),
    "Harry": ("हैरी", "हैरी", MASCULINE),
    "bald eagle": ("गंजा उकाब", "गंजे उकाब", MASCULINE),
    "bear": ("भालू", "भालू", MASCULINE),
    "cat": ("बिल्ली", "बिल्ली", FEMININE),
    "cow": ("गाय", "गाय", FEMININE),
    "dog": ("कुत्ता", "कुत्ते", MASCULINE),
    "lion": ("शेर", "शेर", MASCULINE),
    "mouse": ("चूहा", "चूहे", MASCULINE),
    "rabbit": ("ख़रगोश", "ख़रगोश", MASCULINE),
    "squirrel": ("गिलहरी", "गिलहरी", FEMININE),
    "tiger": ("बाघ", "बाघ", MASCULINE),
}


def _agreeing(stem: str) -> tuple[str, str, str]:
    return f"{stem}ा", f"{stem}ी", f"{stem}े"


# masculine, feminine, plural. Not "बड़े लोग", which are people of influence.
ATTRIBUTES = {
    "big": ("विशाल",) * 3,
    "blue": _agreeing("नील"),
    "cold": _agreeing("ठंड"),
    "furry": ("रोएँदार",) * 3,
    "green": _agreeing("हर"),
    "kind": ("दयालु",) * 3,
    "nice": _agreeing("अच्छ"),
    "quiet": ("शांत",) * 3,
    "red": ("लाल",) * 3,
    "rough": _agreeing("खुरदर"),
    "round": ("गोल",) * 3,
    "smart": ("होशियार",) * 3,
    "white": ("सफ़ेद",) * 3,
    "young": _agreeing("कम उम्र क"),
}
# object, then (after a negation) the verb's stem
RELATIONS = {
    "chase": ("{} का पीछा", "कर"),
    "eat": ("{} को", "खा"),
    "like": ("{} को पसंद", "कर"),
    "see": ("{} को", "देख"),
    "visit": ("{} से मिलने", "जा"),
}
PERSON, THING = Mention("वह व्यक्ति", MASCULINE), Mention("वह चीज़", FEMININE)
OBLIQUE = {nominative: oblique for nominative, oblique, _ in NOUNS.values()} | {
    PERSON.text: "उस व्यक्ति",
    THING.text: "उस चीज़",
}


class Hindi(Grammar):
    code = "hi"
    conditional = "यदि {}, तो {}"
    also = " और "
    stop = "।"
    # Not "कोई": with a negated verb it is nobody.
    someone = Variable(Mention("एक व्यक्ति", MASCULINE), PERSON, Mention("वह", MASCULINE))
    something = Variable(Mention("एक चीज़", FEMININE), THING, Mention("वह", FEMININE))

    def named(self, entity: Entity) -> Mention:
        nominative, _, gender = NOUNS[entity.name]
        return Mention(nominative, gender)

    def drops(self, turn: Turn) -> bool:
        # Who needs something stands in another case than who does something.
        return turn.continues and "need" not in (turn.before[-1].predicate, turn.literals[0].predicate)

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        first = literals[0]
        if first.predicate == "need" and first.object is not None:
            return f"{OBLIQUE.get(who.text, who.text)} को {self.oblique(first.object)} की ज़रूरत {self.verb(first)}"
        return f"{who.text} {self.predicate(literals, who.form)}".lstrip()

    def verb(self, literal: Literal) -> str:
        """Return "is" or "is not"."""
        return "है" if literal.positive else "नहीं है"

    def oblique(self, entity: Entity) -> str:
        """Return an entity as it stands before a postposition."""
        return NOUNS[entity.name][1]

    def predicate(self, literals: tuple[Literal, ...], form: int) -> str:
        """Return what is said of a subject of this gender: "लाल है और नीला नहीं है", "बिल्ली को नहीं देखता है"."""
        first = literals[0]
        if first.object is not None:
            whom, stem = RELATIONS[first.predicate]
            negation = "" if first.positive else "नहीं "
            return f"{whom.format(self.oblique(first.object))} {negation}{stem}{'ती' if form == FEMININE else 'ता'} है"
        phrases = (f"{self.given([one.predicate for one in run], form)} {self.verb(run[0])}" for run in runs(literals))
        return " और ".join(phrases)

    def given(self, attributes: list[str], form: int) -> str:
        """Return attributes that agree with a noun: "लाल और नीला"."""
        return listed([ATTRIBUTES[attribute][form] for attribute in attributes], " और ")

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        noun, form = ("व्यक्ति", MASCULINE) if people else ("चीज़", FEMININE)
        none, said = every and not conclusion.positive, self.predicate((conclusion,), form)
        given = self.given(list(attributes), form)
        if len(attributes) > 1:
            # "Red and white things" could be red ones and white ones.
            if every:
                return f"{'कोई भी' if none else 'हर'} {noun} जो {given} है, {said}"
            return f"जो {noun} {given} है, वह {said}"
        if none:
            return f"कोई भी {given} {noun} {said}"
        noun, form = ("लोग", PLURAL) if people else ("चीज़ें", FEMININE)
        said = self.predicate((conclusion,), form).removesuffix("है") + "हैं"
        return f"{'सभी ' if every else ''}{self.given(list(attributes), form)} {noun} {said}"


GRAMMAR = Hindi()
