"""What can be measured of a checkpoint: the metrics that it has, and the problems that it can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import DataError
from xlprobe.measuring.design import Checked
from xlprobe.metrics.base import Metric
from xlprobe.samples.encoding import Encoder
from xlprobe.samples.types import ParallelSample

__all__ = ["few", "fitting", "unavailable"]


def unavailable(checkpoint: Checkpoint, checked: Checked) -> dict[str, str]:
    """Return the metrics that were asked for and cannot be computed, each with the reason."""
    reasons: dict[str, str] = {}
    answers = [one.name for one in checked.metrics if "logits" in one.needs]
    labels = {problem.label for problem in checked.problems}
    if labels == {None}:
        reasons |= dict.fromkeys(answers, "no labels")
    elif any(not problem.question for problem in checked.problems):
        reasons |= dict.fromkeys([one.name for one in checked.of("intervention")], "problems without a question")
    if not checkpoint.can_answer:
        reasons |= dict.fromkeys(answers, "no classification head")
    elif answers:
        try:
            checkpoint.check_labels(checked.problems)
        except DataError as error:
            reasons |= dict.fromkeys(answers, str(error))
    if checked.design.queries_at_once is not None:
        reasons |= dict.fromkeys(
            [one.name for one in checked.metrics if _of_whole_patterns(one)],
            "of whole patterns, and measured some queries at a time (queries_at_once)",
        )
    if not checkpoint.is_cross_query:
        shares = [one.name for one in checked.of("attention", "queries")]
        reasons |= dict.fromkeys(shares, "one query only: not a cross-query model")
    if not checked.design.controls:
        reasons["instability"] = "measured without controls"
    patching = [name for name in checked.names if name.startswith("patching_")]
    if not any(pair[0] == checked.base != pair[1] for pair in checked.pairs):
        for name in patching:
            reasons.setdefault(name, f"no code-switched pair whose context is in {checked.base}")
    if not checked.design.keep_patterns:
        reasons["attention"] = "no patterns kept: keep_patterns names no problem"
    if checkpoint.part == "cross":
        states = [one.name for one in checked.of("vectors")]
        reasons |= dict.fromkeys(states, "of the encoder's states: measure it with part='encoder'")
        reasons |= dict.fromkeys(("attention", "attention_distance"), "cross attention leads from one text to another")
    return {name: reason for name, reason in reasons.items() if name in checked.names}


def _of_whole_patterns(one: Metric) -> bool:
    """Whether a metric cannot be summed up from the attention that queries pay to units, some queries at a time."""
    by_unit = (one.kind, one.takes) in {("attention", "units"), ("comparison", "rows"), ("comparison", "means")}
    return one.kind in ("attention", "comparison") and (one.weighted or not by_unit)


def few(problems: Sequence[ParallelSample], base: str, count: int | None) -> list[ParallelSample]:
    """Return the shortest problems, of as many theories as there are; None: all."""
    if count is None:
        return list(problems)
    ordered = sorted(problems, key=lambda problem: (sum(map(len, problem.context[base])), problem.key))
    first = list({problem.group: problem for problem in reversed(ordered)}.values())[::-1]
    chosen = {problem.key for problem in first}
    return [*first, *(problem for problem in ordered if problem.key not in chosen)][:count]


def fitting(encoder: Encoder, checked: Checked, name: str, left_out: dict[str, Any]) -> list[ParallelSample]:
    """Leave out, or refuse, problems that are too long in any of the versions that will run."""
    # The longest version has the longest context and the longest question of all languages.
    pairs = [*((code, code) for code in checked.languages), *checked.pairs, *checked.answers]
    fits, excess = [], []
    for problem in checked.problems:
        lengths = (encoder.length(problem.pair(*pair)) for pair in pairs)
        if all(length <= encoder.max_length for length in lengths):
            fits.append(problem)
        else:
            excess.append(problem.key)
    if excess:
        what = (
            f"{len(excess)} of {len(checked.problems)} samples have more than the {encoder.max_length} tokens that "
            f"{name} takes: {', '.join(excess[:5])}{', ...' if len(excess) > 5 else ''}"
        )
        if checked.design.too_long == "error" or not fits:
            raise DataError(f"{what}. Leave them out with too_long='skip' (--too-long skip), or use shorter problems")
        left_out |= {"too_long": len(excess), "samples": excess}
    return fits
