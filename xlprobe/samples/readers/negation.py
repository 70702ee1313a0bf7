"""The opposite of an English statement of LeapOfThought's kind."""

from __future__ import annotations

import re

__all__ = ["negated"]

# "A can has a lid." and "A will is a document.": a noun may look like a verb. So a verb never stands first or straight
# after an article, and the verbs that are nouns too come last.
_BEFORE = r"(?i:^((?:an?|the)\s+)?(?!(?:an?|the)\s)\S+(?:\s+\S+)*?)\s"
_RULES = tuple(
    (re.compile(f"(?P<before>{_BEFORE})(?P<verb>{verb})(?=[\\s.])"), replacement)
    for verb, replacement in (
        (r"(is|are|was|were|can|will)\s+not", r"\g<before>\4"),
        ("cannot", r"\g<before>can"),
        (r"does\s+not\s+have", r"\g<before>has"),
        (r"do\s+not\s+have", r"\g<before>have"),
        (r"does\s+not\s+desire", r"\g<before>desires"),
        (r"do\s+not\s+desire", r"\g<before>desire"),
        ("(is|are|was|were)", r"\g<before>\4 not"),
        ("has", r"\g<before>does not have"),
        ("have", r"\g<before>do not have"),
        ("desires", r"\g<before>does not desire"),
        ("desire", r"\g<before>do not desire"),
        ("(can|will)", r"\g<before>\4 not"),
    )
)
"""What takes a negation away, then what adds one; the first rule that fits is used."""


def negated(statement: str) -> str | None:
    """Return the opposite of an English statement, or None where no rule fits.

    The verbs are those of the data set: is, are, was, were, can, will ("is" becomes "is not" and back), has, have,
    desires, desire ("has" becomes "does not have" and back). Twice negated, a statement is itself again, but for
    "cannot", which comes back as "can not".
    """
    for pattern, replacement in _RULES:
        text, count = pattern.subn(replacement, statement, count=1)
        if count:
            return text
    return None
