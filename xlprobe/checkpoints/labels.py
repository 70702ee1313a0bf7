"""Which class of a classifier a label of the samples means: by name, whatever the order of either."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xlprobe.errors import DataError

__all__ = ["TRUE_FALSE", "class_order"]

TRUE_FALSE = ("false", "true")
"""What the labels 0 and 1 of samples mean that name none."""

_SYNONYMS = {
    "true": ("yes", "follows", "entailed"),
    "false": ("no", "does not follow", "not entailed", "not entailment", "non entailment"),
    "entailment": ("entail", "entails"),
    "contradiction": ("contradict", "contradicts", "contradictory"),
    "unknown": ("undecided", "undetermined"),
}
_MEANING = {word: name for name, words in _SYNONYMS.items() for word in words}
_NUMBERED = re.compile(r"(?:label|class)?[ _-]?(\d+)", re.IGNORECASE)


def class_order(classes: Sequence[str], labels: Sequence[str]) -> tuple[int, ...]:
    """Return, for each label of the samples, the index of the class that it means.

    `classes` are the names of a classifier's classes in its order, `labels` those of the samples' labels in theirs
    (none: `TRUE_FALSE`). Names are compared without regard to case, with the usual synonyms of true and false,
    entailment and contradiction; where the classes have numbers only (LABEL_0, LABEL_1), a label is the index. Raises
    `DataError` where there are not as many of both, or a name has no counterpart.
    """
    labels = tuple(labels) or TRUE_FALSE
    advice = (
        "Use samples of the task that the classifier was trained on, or say what its classes are, in its own order: "
        f"labels={list(labels)}"
    )
    if len(classes) != len(labels):
        raise DataError(
            f"got a classifier of {len(classes)} classes ({_listed(classes)}) for samples with {len(labels)} labels "
            f"({_listed(labels)}); expected as many classes as labels. {advice}"
        )
    if _are_numbered(classes) or _are_numbered(labels):
        return tuple(range(len(labels)))
    meanings = [_meaning(name, len(classes)) for name in classes]
    wanted = [_meaning(name, len(labels)) for name in labels]
    if len(set(meanings)) < len(meanings) or set(meanings) != set(wanted):
        raise DataError(
            f"got a classifier of the classes {_listed(classes)} for samples with the labels {_listed(labels)}; "
            f"expected the same names in any order. {advice}"
        )
    return tuple(meanings.index(name) for name in wanted)


def _are_numbered(names: Sequence[str]) -> bool:
    matches = [_NUMBERED.fullmatch(name.strip()) for name in names]
    return [match and int(match[1]) for match in matches] == list(range(len(names)))


def _meaning(name: str, count: int) -> str:
    plain = re.sub(r"[\s_-]+", " ", name).strip().lower()
    plain = _MEANING.get(plain, plain)
    # Of two classes, entailment and the lack of it, entailment is what follows.
    return "true" if count == 2 and plain == "entailment" else plain


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:6]) + (", ..." if len(names) > 6 else "")
