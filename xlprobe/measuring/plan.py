"""What is run and what is compared with what: versions of problems, comparisons, and batches that hold both sides.

Every comparison's two sides are in one batch, so that patterns are compared as they come and none is kept. Who is
compared with whom depends on the problems alone, not on the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.languages import language_id
from xlprobe.samples.batch import Batch
from xlprobe.samples.encoding import Encoder
from xlprobe.samples.prompts import PromptEncoder
from xlprobe.samples.types import ParallelSample

__all__ = [
    "Comparison",
    "Comparisons",
    "PairedBatch",
    "Version",
    "paired_batches",
    "plan",
    "plan_shards",
]

Condition = Literal["observed", "floor", "chance", "forced"]


@dataclass(frozen=True, slots=True)
class Version:
    """A problem in a pair of languages.

    `routed_as` gives the question's tokens another language than they have, so that a cross-query model puts both
    its queries to work on an in-language sample (condition "forced"); the text stays as it is.
    """

    problem: int
    context_language: str
    question_language: str
    routed_as: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One version's attention against another's; `by_token` where their contexts are the same text.

    `group` is what it counts as in statistics, where that is not the left side's theory.
    """

    left: Version
    right: Version
    condition: Condition
    by_token: bool
    group: str = ""

    @property
    def reference(self) -> str:
        """The pair of languages that the left side is compared with."""
        return f"{self.right.context_language}-{self.right.question_language}"


@dataclass(frozen=True)
class Comparisons:
    """Comparisons of a batch's rows, side by side: `left` against `right`; the rest as in `Comparison`."""

    left: Int[Tensor, " comparison"]
    right: Int[Tensor, " comparison"]
    by_token: Bool[Tensor, " comparison"]
    condition: np.ndarray[Any, Any]
    reference: np.ndarray[Any, Any]
    group: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.left)

    @property
    def is_observed(self) -> Bool[Tensor, " comparison"]:
        """Which are no controls, nor the routing condition."""
        return torch.as_tensor(self.condition == "observed", dtype=torch.bool)

    def __getitem__(self, chosen: Tensor) -> Comparisons:
        """Return some of them, by number or by a boolean."""
        picked = chosen.numpy()
        sides = self.left[chosen], self.right[chosen], self.by_token[chosen]
        return Comparisons(*sides, self.condition[picked], self.reference[picked], self.group[picked])


@dataclass(frozen=True)
class PairedBatch(Batch):
    """A batch whose rows are versions; `owned` rows are reported, the others are only compared with."""

    versions: tuple[Version, ...]
    owned: Int[Tensor, " owned"]
    comparisons: Comparisons


LONGER_THAN_MOST = 1.25
"""A batch whose longest text is so many times as long as the average one, or longer, has fewer versions."""


@dataclass(frozen=True, slots=True)
class ProblemPlan:
    """What is run and compared for one problem; `length` is that of its longest text, in those of the average one."""

    versions: tuple[Version, ...]
    comparisons: tuple[Comparison, ...]
    length: float = 1.0


def plan(
    problems: Sequence[ParallelSample],
    pairs: Sequence[tuple[str, str]],
    *,
    base: str = "en",
    controls: bool = True,
    forced: bool = False,
) -> list[ProblemPlan]:
    """Plan versions and comparisons of every problem, theory by theory, similar lengths together, the longest first.

    A code-switched version (c, q) is compared with (c, c) token by token, and, unless c is `base`, with
    (base, base) by units; an in-language version with (base, base) by units. With `controls`, each in-language version
    also has its *floor*, the next question of the same theory, and its *chance*, the same place in a neighbouring
    theory. Neighbours are theories two by two, whose comparisons count as one observation; of an odd number the last
    three count as one, the third compared with the second. With `forced`, (c, q) is compared with (c, c) under both
    queries too; masks ask only whether two tokens are of one language, so that one forced version serves all questions.
    """
    if not problems:
        raise DataError("got no problems to measure; expected at least one")
    theories: dict[str, list[int]] = {}
    for number, problem in enumerate(problems):
        theories.setdefault(problem.group, []).append(number)
    # The longest first: memory that they leave serves the shorter ones, and what does not fit fails at once.
    order = sorted(theories, key=lambda group: (_size(problems[theories[group][0]]), group), reverse=True)
    contexts = list(dict.fromkeys(context for context, _ in pairs))
    with_base = all(base in problem.languages for problem in problems)
    letters = [_letters(problem) for problem in problems]
    average = max(1.0, sum(letters) / len(letters))
    version = cache(Version)  # of a long run equal ones are one object
    plans = []
    for place, group in enumerate(order):
        partner = place ^ 1 if place ^ 1 < len(order) else place - 1
        others = theories[order[partner]] if partner >= 0 else []
        together = _neighbours(order, place)
        members = theories[group]
        for turn, number in enumerate(members):
            floor = members[(turn + 1) % len(members)] if len(members) > 1 else None
            chance = others[turn % len(others)] if others else None
            comparisons = list(_comparisons(version, number, pairs, contexts, base if with_base else None, forced))
            if controls:
                comparisons += _controls(version, number, contexts, floor, chance, min(together))
            owned = [version(number, context, context) for context in contexts]
            if with_base:
                owned.append(version(number, base, base))
            owned += [one.left for one in comparisons]
            owned += [one.right for one in comparisons if one.condition == "forced"]
            owned += [version(number, *pair) for pair in pairs]
            length = letters[number] / average
            plans.append(ProblemPlan(tuple(dict.fromkeys(owned)), tuple(comparisons), length))
    return plans


def _neighbours(order: Sequence[str], place: int) -> Sequence[str]:
    """Return the theories that are compared with each other for chance, and so count as one observation."""
    last = max(0, len(order) // 2 - 1)
    number = min(place // 2, last)
    return order[2 * number :] if number == last else order[2 * number : 2 * number + 2]


def _size(problem: ParallelSample) -> tuple[int, int]:
    units = next(iter(problem.context.values()))
    return sum(map(len, units)), len(units)


def _letters(problem: ParallelSample) -> int:
    """Return the letters of a problem in the language in which it has most."""
    return max(sum(map(len, problem.context[code])) + len(problem.question.get(code, "")) for code in problem.languages)


def _comparisons(
    version: Callable[..., Version],
    number: int,
    pairs: Sequence[tuple[str, str]],
    contexts: list[str],
    base: str | None,
    forced: bool,
) -> Iterator[Comparison]:
    other: dict[str, str] = {}
    for context, question in pairs:
        if context == question:
            continue
        left = version(number, context, question)
        yield Comparison(left, version(number, context, context), "observed", True)
        if base not in (None, context):
            yield Comparison(left, version(number, base, base), "observed", False)
        if forced:
            right = version(number, context, context, other.setdefault(context, question))
            yield Comparison(left, right, "forced", True)
    for context in contexts:
        if base not in (None, context):
            yield Comparison(version(number, context, context), version(number, base, base), "observed", False)


def _controls(
    version: Callable[..., Version],
    number: int,
    contexts: list[str],
    floor: int | None,
    chance: int | None,
    group: str,
) -> Iterator[Comparison]:
    for context in contexts:
        left = version(number, context, context)
        if floor is not None:
            yield Comparison(left, version(floor, context, context), "floor", True)
        if chance is not None:
            yield Comparison(left, version(chance, context, context), "chance", True, group)


def paired_batches(
    problems: Sequence[ParallelSample],
    plans: Sequence[ProblemPlan],
    encoder: Encoder,
    batch_size: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[PairedBatch]:
    """Gather planned problems into batches of about `batch_size` versions; a problem's versions stay together.

    A quarter more are in a batch where fewer have to be run again, for others to be compared with; and fewer where
    texts are long, since the longest batch says how much memory all need.
    """
    for pending in _gathered(plans, batch_size):
        yield _paired_batch(problems, pending, encoder)
        advance(len(pending))


def plan_shards(plans: Sequence[ProblemPlan], batch_size: int, batches: int) -> list[list[ProblemPlan]]:
    """Cut plans into shards of `batches` batches each; the shards' batches are those of the whole."""
    gathered = list(_gathered(plans, batch_size))
    starts = range(0, len(gathered), batches)
    return [[one for batch in gathered[start : start + batches] for one in batch] for start in starts]


def _gathered(plans: Sequence[ProblemPlan], batch_size: int) -> Iterator[Sequence[ProblemPlan]]:
    start = 0
    while start < len(plans):
        rows: set[Version] = set()
        sizes: list[int] = []
        # The first is about the longest.
        room = int(batch_size / max(1.0, plans[start].length / LONGER_THAN_MOST)) or 1
        for one in plans[start:]:
            rows.update(one.versions, (c.right for c in one.comparisons))
            if sizes and len(rows) > room * 5 // 4:
                break
            sizes.append(len(rows))
        count = _chosen(sizes, room)
        yield plans[start : start + count]
        start += count


def _chosen(sizes: Sequence[int], batch_size: int) -> int:
    """Return how many problems a batch has; `sizes` are its versions with the first, the first two, ... of them.

    As many as fit; or as many as share what they are compared with, where that saves a tenth of the versions.
    """
    fitting = max((count for count, size in enumerate(sizes, 1) if size <= batch_size), default=1)
    best = min(range(1, len(sizes) + 1), key=lambda count: sizes[count - 1] / count)
    saves = sizes[best - 1] / best < 0.9 * sizes[fitting - 1] / fitting
    return best if saves else fitting


def _paired_batch(problems: Sequence[ParallelSample], plans: Sequence[ProblemPlan], encoder: Encoder) -> PairedBatch:
    rows: dict[Version, int] = {}
    for one in plans:
        for version in (*one.versions, *(c.right for c in one.comparisons)):
            rows.setdefault(version, len(rows))
    batch = encoder.encode([problems[v.problem].pair(v.context_language, v.question_language) for v in rows])
    language_ids = batch.language_ids.clone()
    for version, row in rows.items():
        if version.routed_as is not None:
            language_ids[row, batch.segment_ids[row] == 1] = language_id(version.routed_as)
    every = [c for one in plans for c in one.comparisons]
    if isinstance(encoder, PromptEncoder):
        _check_contexts(batch, [(rows[c.left], rows[c.right]) for c in every if c.by_token and c.condition != "chance"])
    comparisons = Comparisons(
        torch.tensor([rows[c.left] for c in every], dtype=torch.long),
        torch.tensor([rows[c.right] for c in every], dtype=torch.long),
        torch.tensor([c.by_token for c in every], dtype=torch.bool),
        np.array([c.condition for c in every], dtype=object),
        np.array([c.reference for c in every], dtype=object),
        np.array([c.group for c in every], dtype=object),
    )
    owned = torch.tensor(sorted({rows[version] for one in plans for version in one.versions}), dtype=torch.long)
    values = {field.name: getattr(batch, field.name) for field in fields(Batch)} | {"language_ids": language_ids}
    return PairedBatch(**values, versions=tuple(rows), owned=owned, comparisons=comparisons)


def _check_contexts(batch: Batch, pairs: Sequence[tuple[int, int]]) -> None:
    """Refuse prompts whose contexts are to be compared token by token and have other tokens.

    A prompt is tokenised as a whole, so what follows the context may change its last token.
    """
    contexts = batch.input_ids.masked_fill((batch.segment_ids != 0), -1)
    left, right = torch.tensor(list(pairs), dtype=torch.long).reshape(-1, 2).unbind(1)
    differ = (contexts[left] != contexts[right]).any(dim=1)
    if bool(differ.any()):
        key = batch.samples[pairs[int(differ.nonzero()[0])][0]].key
        raise DataError(
            f"sample {key!r}: its context has other tokens with another question after it; expected the same, as they "
            "are compared. Put a line's end after {context} in the template"
        )
