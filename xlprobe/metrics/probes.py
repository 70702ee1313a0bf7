"""Linear probes of language identity: accuracy against a control task, and description length."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from xlprobe.errors import DataError

__all__ = ["LanguageProbe", "language_mdl_bits", "language_probe", "online_code_length"]

FRACTIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)
"""The growing shares of the data after which the online code refits its probe."""


@dataclass(frozen=True)
class LanguageProbe:
    """What a linear probe finds of the language.

    `accuracy`: on held-out groups, range [0, 1]. `control`: of the same probe on the control task. `selectivity`:
    accuracy - control, range [-1, 1]. `chance`: 1 / languages.
    """

    accuracy: float
    control: float
    chance: float

    @property
    def selectivity(self) -> float:
        """Accuracy above that on the control task, range [-1, 1]."""
        return self.accuracy - self.control


def language_probe(
    representations: Mapping[str, Any], groups: Sequence[Any] | None = None, *, folds: int = 5, seed: int = 0
) -> LanguageProbe:
    """Predict the language from representations by a linear classifier, beside a control task.

    `representations` maps languages to (item, width), rows parallel; `groups` labels the items that stay together.
    *Task*: the language, cross-validated with whole groups held out, so that no translation of a test item is seen in
    training. *Control*: every item gets a random label, the same in all its languages; versions of one item are in
    training and test, so the label can only be had by memorising the item (Hewitt and Liang 2019, arXiv 1909.03368). A
    selective probe does well on the first and badly on the second. Accuracy alone says little: language identity is
    near perfect at every layer of most encoders. Accuracies range in [0, 1], selectivity in [-1, 1]; NaN with fewer
    groups than folds.
    """
    x, language, group = _stack(representations, groups)
    count = len(representations)
    if len(np.unique(group)) < folds:
        return LanguageProbe(math.nan, math.nan, 1 / count)
    rng = np.random.default_rng(seed)
    item = np.tile(np.arange(len(x) // count), count)
    labels = rng.integers(0, count, len(x) // count)[item]
    by_group = _shuffled(group, rng) % folds
    # Each version of an item falls in another fold, so that every test item has been seen in other languages.
    by_version = (rng.permutation(len(x) // count)[item] + language) % min(folds, count)
    return LanguageProbe(
        accuracy=_accuracy(x, language, by_group), control=_accuracy(x, labels, by_version), chance=1 / count
    )


def online_code_length(probabilities: Any, first: int, classes: int) -> float:
    """Description length in bits of labels sent online: first * log2(classes) - sum of log2 p(label).

    `probabilities` are those that the probe, fitted on what was sent before, gave to each true label after the first
    ones. Range [0, inf), down = easier to extract; labels sent without a probe cost log2(classes) each. A probability
    of 0 costs infinitely many. Source: Voita and Titov 2020 (arXiv 2003.12298), section 2.2.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if ((p < 0) | (p > 1)).any() or classes < 2 or first < 0:
        raise DataError(f"got probabilities in [{p.min()}, {p.max()}], first={first}, classes={classes}; expected "
                        "[0, 1], first >= 0 and classes >= 2")  # fmt: skip
    with np.errstate(divide="ignore"):
        return float(first * math.log2(classes) - np.log2(p).sum())


def language_mdl_bits(
    representations: Mapping[str, Any],
    groups: Sequence[Any] | None = None,
    *,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the online description length in bits of the languages given the representations, and the uniform one.

    Groups are sent in random order, all languages of a group together; after each of `fractions` of the groups the
    probe is fitted anew. Range (0, inf), up = more neutral (the language is harder to extract); compare with the
    uniform code of items * log2(languages). NaN with fewer than four groups. Source: Voita and Titov 2020 (arXiv
    2003.12298), section 2.2.
    """
    x, language, group = _stack(representations, groups)
    classes = len(representations)
    uniform = len(x) * math.log2(classes)
    place = _shuffled(group, np.random.default_rng(seed))
    total = int(place.max()) + 1
    if total < 4:
        return math.nan, uniform
    stops = sorted({max(2, round(share * total)) for share in fractions} | {total})
    sent = []
    for start, stop in itertools.pairwise(stops):
        train, test = place < start, (place >= start) & (place < stop)
        model = _probe().fit(x[train], language[train])
        sent.append(model.predict_proba(x[test])[np.arange(int(test.sum())), language[test]])
    floor = np.finfo(np.float64).tiny
    probabilities = np.clip(np.concatenate(sent), floor, 1.0)
    return online_code_length(probabilities, int((place < stops[0]).sum()), classes), uniform


def _stack(
    representations: Mapping[str, Any], groups: Sequence[Any] | None
) -> tuple[Float[ndarray, "row width"], Int[ndarray, " row"], Int[ndarray, " row"]]:
    sets = [np.asarray(vectors, dtype=np.float64) for vectors in representations.values()]
    if len(sets) < 2 or len({one.shape for one in sets}) != 1 or sets[0].ndim != 2:
        raise DataError(
            f"got representations { ({name: np.shape(vectors) for name, vectors in representations.items()}) }; "
            "expected at least two languages with the same (item, width)"
        )
    items = len(sets[0])
    labels = list(range(items)) if groups is None else list(groups)
    if len(labels) != items:
        raise DataError(f"got {len(labels)} groups for {items} items; expected one for each")
    group = np.unique(np.asarray([str(label) for label in labels]), return_inverse=True)[1]
    return np.concatenate(sets), np.repeat(np.arange(len(sets)), items), np.tile(group, len(sets))


def _shuffled(group: Int[ndarray, " row"], rng: np.random.Generator) -> Int[ndarray, " row"]:
    """Renumber groups at random."""
    return rng.permutation(int(group.max()) + 1)[group]


def _probe() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000, tol=1e-3))


def _accuracy(x: Float[ndarray, "row width"], y: Int[ndarray, " row"], fold: Int[ndarray, " row"]) -> float:
    right = 0
    for number in np.unique(fold):
        test = fold == number
        if len(np.unique(y[~test])) < 2:
            right += int((y[test] == y[~test][0]).sum())
            continue
        right += int((_probe().fit(x[~test], y[~test]).predict(x[test]) == y[test]).sum())
    return right / len(y)
