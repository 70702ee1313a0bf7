"""Names of unordered language pairs."""

from __future__ import annotations

from xlprobe.errors import DataError
from xlprobe.languages import language_id

__all__ = ["canonical_pair"]


def canonical_pair(pair: str) -> str:
    """Return the name of an unordered pair: "fr-en" and "en-fr" are both "en-fr"."""
    codes = pair.split("-")
    if len(codes) != 2 or codes[0] == codes[1]:
        raise DataError(f"got the language pair {pair!r}; expected two different languages, such as en-fr")
    for code in codes:
        language_id(code)
    return "-".join(sorted(codes))
