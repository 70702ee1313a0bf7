"""From what data sets write as an answer to the index of its class."""

from __future__ import annotations

import re
from typing import Any

from xlprobe.errors import DataError

__all__ = ["ENTAILMENT", "NLI", "OPEN_TRUTH", "TRUTH", "Labels", "class_of", "number_of"]

TRUTH = ("False", "True")
"""Does a statement follow? Nothing else is asked in a closed world."""
OPEN_TRUTH = ("False", "True", "Unknown")
"""In an open world some statements are neither."""
NLI = ("entailment", "neutral", "contradiction")
ENTAILMENT = ("not entailment", "entailment")

_SAME = {
    "contradictory": "contradiction",
    "no": "false",
    "yes": "true",
    "uncertain": "unknown",
    "undetermined": "unknown",
    "non entailment": "not entailment",
}
_NOTHING: tuple[Any, ...] = (None, "", "-", "-1")


def class_of(label: Any, names: tuple[str, ...], where: str) -> int | None:
    """Return the index of a class by its name, in any case, or its number.

    None stands for no label: as data sets have it, that is nothing, -1, or "-" (the annotators of an NLI set did not
    agree). Raises `DataError` for anything else.
    """
    if (type(label) is int and label == -1) or (isinstance(label, str | None) and label in _NOTHING):
        return None
    if isinstance(label, bool) and names[:2] == TRUTH:
        return int(label)
    if type(label) is int and 0 <= label < len(names):
        return label
    if isinstance(label, str):
        known = {_plain(name): place for place, name in enumerate(names)}
        plain = _plain(label)
        if plain in known:
            return known[plain]
        if plain.isdecimal() and len(plain) < 4 and int(plain) < len(names):
            return int(plain)
    raise DataError(f"{where}: has the label {label!r:.40}; expected one of {', '.join(names)}")


class Labels:
    """The classes of a data set whose labels are names or numbers: those given, or those that its first label is of."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = names

    def index(self, label: Any, where: str) -> int | None:
        """Return the index of a label's class; raise `DataError` where it is none of the data set's classes."""
        label = number_of(label)
        if not self.names:
            if isinstance(label, int) and not isinstance(label, bool):
                return None if label == -1 else label
            self.names = _family(label)
        if label is not None and not self.names:
            raise DataError(
                f"{where}: has the label {label!r:.40}; expected a number from 0, or a name of "
                f"{', '.join(OPEN_TRUTH)}; {', '.join(NLI)}; {', '.join(ENTAILMENT)}"
            )
        return class_of(label, self.names, where) if self.names else None


def number_of(value: Any) -> Any:
    """Return the whole number that a table has as text, or pandas as 1.0 beside missing values; others as they are."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}(\.0)?", value):
        return int(float(value))
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e9 else value


def _family(label: Any) -> tuple[str, ...]:
    if isinstance(label, bool):
        return TRUTH
    plain = _plain(label) if isinstance(label, str) else ""
    return next((names for names in (TRUTH, ENTAILMENT, NLI, OPEN_TRUTH) if plain in [*map(_plain, names)]), ())


def _plain(name: str) -> str:
    plain = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    return _SAME.get(plain, plain)
