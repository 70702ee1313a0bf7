"""Languages: names, scripts, writing direction, and the integer that stands for a language in a tensor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xlprobe.errors import DataError

__all__ = [
    "KNOWN_LANGUAGES",
    "LANGUAGES",
    "Language",
    "expand_pairs",
    "get_language",
    "is_code",
    "joined",
    "joints",
    "language_code",
    "language_id",
    "register",
]


@dataclass(frozen=True)
class Language:
    """A language as the toolkit knows it.

    `code` is ISO 639-1 where there is one (else 639-3), `script` is ISO 15924, `direction` the writing direction,
    `separator` what stands between two sentences (Chinese and Japanese leave no blank there; Thai does, though it
    leaves none between words).
    """

    code: str
    name: str
    endonym: str
    script: str
    direction: Literal["ltr", "rtl"]
    family: str
    separator: str = " "


_RIGHT_TO_LEFT = {"Arab", "Hebr"}
_UNSEPARATED = {"Hans", "Jpan"}


def _table(*rows: tuple[str, str, str, str, str]) -> dict[str, Language]:
    languages = {}
    for code, name, endonym, script, family in rows:
        direction: Literal["ltr", "rtl"] = "rtl" if script in _RIGHT_TO_LEFT else "ltr"
        separator = "" if script in _UNSEPARATED else " "
        languages[code] = Language(code, name, endonym, script, direction, family, separator)
    return languages


LANGUAGES: dict[str, Language] = _table(
    ("en", "English", "English", "Latn", "Germanic"),
    ("fr", "French", "français", "Latn", "Romance"),
    ("de", "German", "Deutsch", "Latn", "Germanic"),
    ("es", "Spanish", "español", "Latn", "Romance"),
    ("ru", "Russian", "русский", "Cyrl", "Slavic"),
    ("ar", "Arabic", "العربية", "Arab", "Semitic"),
    ("fa", "Farsi", "فارسی", "Arab", "Iranian"),
    ("zh", "Chinese", "中文", "Hans", "Sinitic"),
)
"""The eight languages of the study (arXiv 2310.15258, section 4)."""

KNOWN_LANGUAGES: dict[str, Language] = LANGUAGES | _table(
    ("af", "Afrikaans", "Afrikaans", "Latn", "Germanic"),
    ("az", "Azerbaijani", "azərbaycanca", "Latn", "Turkic"),
    ("bg", "Bulgarian", "български", "Cyrl", "Slavic"),
    ("bn", "Bengali", "বাংলা", "Beng", "Indic"),
    ("ca", "Catalan", "català", "Latn", "Romance"),
    ("cs", "Czech", "čeština", "Latn", "Slavic"),
    ("da", "Danish", "dansk", "Latn", "Germanic"),
    ("el", "Greek", "ελληνικά", "Grek", "Hellenic"),
    ("et", "Estonian", "eesti", "Latn", "Finnic"),
    ("eu", "Basque", "euskara", "Latn", "isolate"),
    ("fi", "Finnish", "suomi", "Latn", "Finnic"),
    ("gu", "Gujarati", "ગુજરાતી", "Gujr", "Indic"),
    ("he", "Hebrew", "עברית", "Hebr", "Semitic"),
    ("hi", "Hindi", "हिन्दी", "Deva", "Indic"),
    ("ht", "Haitian Creole", "kreyòl ayisyen", "Latn", "French creole"),
    ("hu", "Hungarian", "magyar", "Latn", "Ugric"),
    ("id", "Indonesian", "Bahasa Indonesia", "Latn", "Malayic"),
    ("it", "Italian", "italiano", "Latn", "Romance"),
    ("ja", "Japanese", "日本語", "Jpan", "Japonic"),
    ("jv", "Javanese", "Jawa", "Latn", "Javanic"),
    ("ka", "Georgian", "ქართული", "Geor", "Kartvelian"),
    ("kk", "Kazakh", "қазақ тілі", "Cyrl", "Turkic"),
    ("ko", "Korean", "한국어", "Kore", "Koreanic"),
    ("lt", "Lithuanian", "lietuvių", "Latn", "Baltic"),
    ("ml", "Malayalam", "മലയാളം", "Mlym", "Dravidian"),
    ("mr", "Marathi", "मराठी", "Deva", "Indic"),
    ("ms", "Malay", "Bahasa Melayu", "Latn", "Malayic"),
    ("my", "Burmese", "မြန်မာ", "Mymr", "Burmish"),
    ("nl", "Dutch", "Nederlands", "Latn", "Germanic"),
    ("no", "Norwegian", "norsk", "Latn", "Germanic"),
    ("pa", "Punjabi", "ਪੰਜਾਬੀ", "Guru", "Indic"),
    ("pl", "Polish", "polski", "Latn", "Slavic"),
    ("pt", "Portuguese", "português", "Latn", "Romance"),
    ("qu", "Quechua", "Runasimi", "Latn", "Quechuan"),
    ("ro", "Romanian", "română", "Latn", "Romance"),
    ("sv", "Swedish", "svenska", "Latn", "Germanic"),
    ("sw", "Swahili", "Kiswahili", "Latn", "Bantu"),
    ("ta", "Tamil", "தமிழ்", "Taml", "Dravidian"),
    ("te", "Telugu", "తెలుగు", "Telu", "Dravidian"),
    ("th", "Thai", "ไทย", "Thai", "Tai"),
    ("tl", "Tagalog", "Tagalog", "Latn", "Philippine"),
    ("tr", "Turkish", "Türkçe", "Latn", "Turkic"),
    ("uk", "Ukrainian", "українська", "Cyrl", "Slavic"),
    ("ur", "Urdu", "اردو", "Arab", "Indic"),
    ("vi", "Vietnamese", "Tiếng Việt", "Latn", "Vietic"),
    ("wo", "Wolof", "Wolof", "Latn", "Senegambian"),
    ("yo", "Yoruba", "Yorùbá", "Latn", "Yoruboid"),
    ("mul", "mixed", "mixed", "Zyyy", "none"),
    ("und", "undetermined", "undetermined", "Zyyy", "none"),
)
"""The languages whose names, scripts and directions are known: the eight, and those of XNLI and XTREME-R."""


def register(language: Language) -> None:
    """Make the name, script and direction of a further language known, for readers, tables and figures alike."""
    language_id(language.code)
    KNOWN_LANGUAGES[language.code] = language


def is_code(text: str) -> bool:
    """Whether a text has the form of a language code of ISO 639: two or three letters a-z."""
    return re.fullmatch("[a-z]{2,3}", text) is not None


def get_language(code: str) -> Language:
    """Return the language of a code.

    One that is not among the known is called by its code, taken to run from left to right, and of no known script
    ("Zzzz"); `register` says more about it. Raises `DataError` where the text has not the form of a code.
    """
    known = KNOWN_LANGUAGES.get(code)
    if known is not None:
        return known
    if not is_code(code):
        raise DataError(
            f"got the language {code!r}; expected a code of two or three letters a-z (ISO 639), such as 'en' or 'yue'"
        )
    return Language(code, code, code, "Zzzz", "ltr", "unknown")


def joined(units: Sequence[str], code: str) -> str:
    """Return the text of a language's sentences that follow each other, with `joints` between them."""
    return "".join(part for pair in zip(units, joints(units, code), strict=True) for part in pair)


def joints(units: Sequence[str], code: str) -> list[str]:
    """Return what stands after each sentence of a text: the language's separator; nothing after the last.

    Nothing stands after a sentence that ends in a blank of its own: so a Chinese text keeps the blanks that it has. A
    blank stands after one that ends in Latin letters or marks ("Anne is kind."), whatever the language.
    """
    separator = get_language(code).separator
    return [_joint(unit, separator) for unit in units[:-1]] + [""] * bool(units)


def _joint(unit: str, separator: str) -> str:
    if unit[-1:].isspace():
        return ""
    return " " if unit.rstrip("\"')]")[-1:].isascii() and not separator else separator


def language_id(code: str) -> int:
    """Return the integer that stands for a language code in `Batch.language_ids`.

    The code's letters are the digits of a number to base 27, so that ids need no table: they are the same in
    every process and every saved file. 0 is no language (padding). Codes have one to four letters a-z.
    """
    if not re.fullmatch("[a-z]{1,4}", code):
        raise DataError(f"got the language code {code!r}; expected one to four lower-case letters, such as 'en'")
    number = 0
    for letter in code:
        number = number * 27 + ord(letter) - 96
    return number


def language_code(number: int) -> str:
    """Return the language code of an integer made by `language_id`."""
    letters = ""
    while number > 0:
        number, digit = divmod(number, 27)
        letters = chr(96 + digit) + letters
    return letters


def expand_pairs(
    pairs: str | list[str] | tuple[str, ...], languages: list[str] | tuple[str, ...]
) -> list[tuple[str, str]]:
    """Expand pairs such as `"en-fr"`, `"en-*"`, `"*-en"`, `"*-*"` into (context language, question language).

    A string may hold several, separated by commas or blanks. `*` stands for every one of `languages`; where one
    side is `*` and the other is not, the in-language pair is left out (ask for it by name: `"en-en"`). The order
    is kept and repetitions are dropped.
    """
    items = re.split(r"[,\s]+", pairs.strip()) if isinstance(pairs, str) else list(pairs)
    expanded: dict[tuple[str, str], None] = {}
    for item in items:
        match = re.fullmatch(r"([a-z]{2,4}|\*)-([a-z]{2,4}|\*)", item)
        if match is None:
            raise DataError(f"got the language pair {item!r}; expected context-question, such as en-fr, en-* or *-en")
        first, second = match.groups()
        for code in (first, second):
            if code != "*":
                get_language(code)
                if code not in languages:
                    raise DataError(
                        f"the pair {item!r} asks for {code!r}, which is not among the languages {' '.join(languages)}; "
                        "add it to the languages or drop the pair"
                    )
        lefts = languages if first == "*" else (first,)
        rights = languages if second == "*" else (second,)
        one_sided = (first == "*") != (second == "*")
        for left in lefts:
            for right in rights:
                if not (one_sided and left == right):
                    expanded[left, right] = None
    return list(expanded)
