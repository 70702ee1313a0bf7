"""Turkish: vowel harmony, the verb last, the accusative for a definite object, no gender."""

from __future__ import annotations

from xlprobe.samples.rulebase.grammars.base import Grammar, Mention, Place, Variable, listed, runs
from xlprobe.samples.rulebase.logic import Entity, Literal

__all__ = ["GRAMMAR"]

# nominative, accusative, dative; suffixes follow how a name is spoken. "Anne" is a mother in Turkish.
NOUNS = {
    "Anne": ("Anna", "Anna'yı", "Anna'ya"),
    "Bob": ("Bob", "Bob'u", "Bob'a"),
    "Charlie": ("Charlie", "Charlie'yi", "Charlie'ye"),
    "Dave": ("Dave", "Dave'i", "Dave'e"),
    "Erin": ("Erin", "Erin'i", "Erin'e"),
    "Fiona": ("Fiona", "Fiona'yı", "Fiona'ya"),
    "Gary": ("Gary", "Gary'yi", "Gary'ye"),
    "Harry": ("Harry", "Harry'yi", "Harry'ye"),
    "bald eagle": ("kel kartal", "kel kartalı", "kel kartala"),
    "bear": ("ayı", "ayıyı", "ayıya"),
    "cat": ("kedi", "kediyi", "kediye"),
    "cow": ("inek", "ineği", "ineğe"),
    "dog": ("köpek", "köpeği", "köpeğe"),
    "lion": ("aslan", "aslanı", "aslana"),
    "mouse": ("fare", "fareyi", "fareye"),
    "rabbit": ("tavşan", "tavşanı", "tavşana"),
    "squirrel": ("sincap", "sincabı", "sincaba"),
    "tiger": ("kaplan", "kaplanı", "kaplana"),
}
# Not "büyük insanlar", which are great people.
ATTRIBUTES = {
    "big": "iri",
    "blue": "mavi",
    "cold": "soğuk",
    "furry": "tüylü",
    "green": "yeşil",
    "kind": "iyi kalpli",
    "nice": "hoş",
    "quiet": "sessiz",
    "red": "kırmızı",
    "rough": "kaba",
    "round": "yuvarlak",
    "smart": "akıllı",
    "white": "beyaz",
    "young": "genç",
}
NOMINATIVE, ACCUSATIVE, DATIVE = range(3)
# what holds, what does not, case of the object
RELATIONS = {
    "chase": ("kovalar", "kovalamaz", ACCUSATIVE),
    "eat": ("yer", "yemez", ACCUSATIVE),
    "like": ("sever", "sevmez", ACCUSATIVE),
    "need": ("ihtiyaç duyar", "ihtiyaç duymaz", DATIVE),
    "see": ("görür", "görmez", ACCUSATIVE),
    "visit": ("ziyaret eder", "ziyaret etmez", ACCUSATIVE),
}
HARMONY = {"a": "ı", "ı": "ı", "e": "i", "i": "i", "o": "u", "u": "u", "ö": "ü", "ü": "ü"}


def _vowel(word: str) -> str:
    """Return the close vowel that a suffix takes after a word."""
    return HARMONY[next(letter for letter in reversed(word) if letter in HARMONY)]


def _is(word: str) -> str:
    """Return "is ..." as general truths have it: iridir, soğuktur."""
    return f"{word}{'t' if word[-1] in 'çfhkpsşt' else 'd'}{_vowel(word)}r"


def _if(word: str) -> str:
    """Return "if it is ...", "if it does ...": iriyse, soğuksa, görürse."""
    return f"{word}{'y' if word[-1] in HARMONY else ''}s{'a' if _vowel(word) in 'ıu' else 'e'}"


class Turkish(Grammar):
    code = "tr"
    conditional = "eğer {}, {}"
    also = " ve "
    # "O" alone could be anybody.
    someone = Variable(Mention("biri"), Mention("o kişi"))
    something = Variable(Mention("bir şey"), Mention("o şey"))

    def named(self, entity: Entity) -> Mention:
        return Mention(NOUNS[entity.name][NOMINATIVE])

    def capital(self, text: str) -> str:
        return ("İ" if text[0] == "i" else text[0].upper()) + text[1:]

    def clause(self, who: Mention, literals: tuple[Literal, ...], place: Place) -> str:
        if place == "condition":
            said = " ve ".join(_if(self.predicate(run)) for run in runs(literals))
        else:
            said = self.predicate(literals)
            if place == "conclusion" and literals[0].is_attribute:
                said = _is(said)
        return f"{who.text} {said}".lstrip()

    def predicate(self, literals: tuple[Literal, ...]) -> str:
        """Return what is said of a subject, without the suffix of a clause: "iri değil", "kediyi sevmez"."""
        first = literals[0]
        if first.object is not None:
            *verbs, case = RELATIONS[first.predicate]
            return f"{NOUNS[first.object.name][case]} {verbs[not first.positive]}"
        words = listed([ATTRIBUTES[one.predicate] for one in literals], " ve ")
        return words if first.positive else f"{words} değil"

    def quantified(self, attributes: tuple[str, ...], conclusion: Literal, people: bool, every: bool) -> str:
        none = every and not conclusion.positive
        noun = ("insan" if people else "şey") + ("" if none else "lar" if people else "ler")
        which = "hiçbir " if none else "bütün " if every else ""
        said = _is(self.predicate((conclusion,)))
        if len(attributes) == 1:
            return f"{which}{ATTRIBUTES[attributes[0]]} {noun} {said}"
        # "Red and white things" could be red ones and white ones.
        both = " ".join(f"hem {ATTRIBUTES[attribute]}" for attribute in attributes)
        return f"{both} olan {which}{noun} {said}"


GRAMMAR = Turkish()
