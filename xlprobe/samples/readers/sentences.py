"""Where a text's sentences end, in any of the scripts: quotations, runs of marks and abbreviations included."""

from __future__ import annotations

import re

from xlprobe.languages import get_language

__all__ = ["sentences"]

_RUN = re.compile(r"[.!?…؟۔।॥。！？｡]+")
_WIDE = frozenset("。！？｡")
_CLOSING = frozenset("”’»›)]}」』】》〉）］｝")
_OPENING_OR_CLOSING = frozenset("“‘«‹")
_STRAIGHT = frozenset("\"'")
_OPENING = "\"'“‘«‹„‚»(［[（「『【《〈¿¡—–- "

_INSIDE = re.compile(
    r"(?<!\w)(?:Mrs?|Ms|Mx|Drs?|Dra|Prof|St|Mt|Gen|Col|Lt|Sgt|Capt|Rev|Gov|Sen|Rep|vs|cf|approx|dept|Fig|"
    r"[eE]\.\s?g|[iI]\.\s?e|Hr|Fr|Nr|Dipl|Ing|bzw|bspw|ca|ggf|evtl|sog|vgl|inkl|[zZ]\.\s?B|[dD]\.\s?h|[uU]\.\s?a|"
    r"MM?|[pP]\.\s?ex|c\.-à-d|Sra?|Srta|Dña|Uds?|[pP]\.\s?ej|EE\.\s?UU|núm|pág|т\.\s?[екнч]|им|ул|проф|акад|см|напр|"
    r"Sn|örn|[Dd]oç|د)\.(?=\s)"
)
_MAYBE = re.compile(r"(?<!\w)(?:Jr|Sr|Inc|Ltd|Co|Corp|etc|usw|vb|т\.\s?[дп]|гг?)\.$")
_ACRONYM = re.compile(r"(?<!\w)(?:\w\.){2,}$")
_INITIAL = re.compile(r"(?:[^\W\d_]\S*\s+)*[^\W\d_]\.")
_NAME = re.compile(r"(?:[^\W\d_]\.\s+)*[^\W\d_]\w")
_STARTER = re.compile(
    r"(?:A|All|An|And|Any|Both|But|Each|Either|Every(?:one|thing)?|He|How|However|I|If|In|It|Its|Neither|No|Nobody|"
    r"Nothing|On|She|Some(?:one|thing)?|That|The|Their|Then|There|These|They|This|Those|We|What|When|Where|Who|Why|Yes|"
    r"You)(?!\w)"
)
"""Words that seldom follow an acronym within a sentence."""


def sentences(text: str, language: str = "en") -> tuple[str, ...]:
    """Split a text into its sentences, after full stops, question and exclamation marks of any of the scripts.

    Closing quotation marks and brackets stay with their sentence, a run of marks is one end, and a narrow mark ends
    nothing without a blank after it. No sentence ends at an abbreviation (titles, "e.g.", "z. B.", initials of a name
    that it begins with), nor, after an ellipsis or a closing mark, before a small letter. Blanks between sentences are
    dropped; in a language that has none there, they stay with the sentence before (`xlprobe.languages.joints`).
    """
    text = text.strip()
    inside = {place for match in _INSIDE.finditer(text) for place in range(*match.span())}
    keep = not get_language(language).separator
    pieces, start, position = [], 0, 0
    while (run := _RUN.search(text, position)) is not None:
        position = _closed(text, start, run)
        if position < len(text) and run.end() - 1 not in inside and _ends(text, start, run, position):
            after = len(text) - len(text[position:].lstrip())
            pieces.append(text[start : after if keep and not _WIDE.isdisjoint(run[0]) else position])
            start = position = after
    return tuple(piece for piece in (*pieces, text[start:]) if piece.strip())


def _closed(text: str, start: int, run: re.Match[str]) -> int:
    """Return where the closing marks (and further end marks) after a run of end marks are over."""
    wide = not _WIDE.isdisjoint(run[0])
    place = run.end()
    while place < len(text):
        one, after = text[place], text[place + 1 : place + 2]
        if one in _STRAIGHT:
            closing = text.count(one, start, place) % 2 == 1 if wide else not after.isalnum()
        elif one in _OPENING_OR_CLOSING:
            closing = not wide and (not after or after.isspace())
        elif one.isspace():
            # French: « Oui. » has a blank inside the mark.
            closing = after == "»" and (text[place + 2 : place + 3] or " ").isspace()
        else:
            closing = one in _CLOSING or _RUN.match(one) is not None
        if not closing:
            break
        place += 1
    return place


def _ends(text: str, start: int, run: re.Match[str], position: int) -> bool:
    """Whether a sentence ends at `position`, after a run of end marks and what closes them."""
    if not _WIDE.isdisjoint(run[0]):
        return True
    if not text[position].isspace():
        return False
    rest = text[position:].lstrip(_OPENING + "\t\n\u00a0\u202f")
    small = rest[:1].islower()
    closed = position > run.end()
    if small and (closed or "…" in run[0] or ".." in run[0]):
        return False
    before = text[start : run.end()]
    if run[0] != "." or closed:
        return True
    if _MAYBE.search(before):
        return not small
    if _ACRONYM.search(before):
        return not small and _STARTER.match(rest) is not None
    words = before.split()
    initial = _INITIAL.fullmatch(before) and all(word[0].isupper() for word in words)
    return not (initial and len(words[-1]) == 2 and _NAME.match(rest) and rest[:1].isupper())
